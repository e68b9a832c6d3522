import type { Desk } from '../client/desk.ts';
import type { GroupLook } from '../client/look.ts';
import type { Config } from '../model/config.ts';
import { CliError, EXIT } from './exit.ts';
import { untilInterrupted, withDesk } from './operator.ts';
import { type Format, endWith, globalsOf, printData, printJsonLine, readerGone, say, tame } from './output.ts';
import { type Program, example } from './program.ts';

const WATCH_EVERY_MS = 1000;

export function register(program: Program): void {
  program
    .command('status')
    .summary('show how a group is, or all of them')
    .description(
      "Shows each member's role, place and lag, who could take over, the commit rule, what is paused or held back and the command that lifts it, and the last incidents. Exit code 4 where no worker answers: then the last heartbeats are shown, which Temporal's server holds.",
    )
    .argument('[group]', 'the group; left out: all')
    .option('--watch', 'go on: drawn anew on a terminal, else a line for each change')
    .addHelpText('after', example('understudy status orders', 'understudy status orders --watch', 'understudy status -o json | jq -r .groups[].status.primary'))
    .action(async (group, { watch }, command) => status(group, watch === true, command));
}

async function status(group: string | undefined, watch: boolean, command: Program): Promise<void> {
  const { output } = globalsOf(command);
  await withDesk(command, async ({ desk, config }) => {
    if (watch) await keepWatching({ desk, config, group, format: output });
    else await showOnce({ desk, config, group, format: output });
  });
}

interface Showing {
  readonly desk: Desk;
  readonly config: Config | undefined;
  readonly group: string | undefined;
  readonly format: Format;
}

async function showOnce({ desk, config, group, format }: Showing): Promise<void> {
  const [looks, { describeGroup }] = await Promise.all([lookAll(desk, group), import('./status-words.ts')]);
  await printData(format, { groups: looks }, () => looks.map((look) => describeGroup(look, Date.now())).join('\n\n'));
  const missing = group === undefined ? Object.keys(config?.groups ?? {}).filter((name) => looks.every((look) => look.group !== name)) : [];
  if (missing.length > 0) say(`understudy: in the configuration, and not started: ${missing.join(', ')}. Next: understudy apply`);
  else if (looks.length === 0) say('understudy: no group runs here. Next: understudy apply');
  const unseen = looks.filter((look) => look.unseen !== undefined);
  for (const { unseen: words } of unseen) say(`understudy: ${words}; what is shown is the last that is known. Next: is a worker running: understudy worker`);
  if (unseen.length > 0) endWith('unknown');
}

async function lookAll(desk: Desk, group: string | undefined): Promise<GroupLook[]> {
  const [{ lookAtGroup }, { allSettled }] = await Promise.all([import('../client/look.ts'), import('../client/settled.ts')]);
  const names = group === undefined ? await desk.groups() : [group];
  return allSettled(names.map((name) => lookAtGroup(desk, name)));
}

/** Until Ctrl-C, or until nobody reads any more. What cannot be seen for a while is said, and looked for again. */
async function keepWatching({ desk, group, format }: Showing): Promise<void> {
  const interrupt = untilInterrupted();
  const signal = AbortSignal.any([interrupt.signal, readerGone]);
  const draw = process.stdout.isTTY && format === 'table' ? await redrawing() : printing(format);
  // A group that is not there is no matter for waiting.
  if (group !== undefined) await lookAll(desk, group);
  try {
    while (!signal.aborted) {
      await draw.show(await lookAgain(desk, group));
      await pause(WATCH_EVERY_MS, signal);
    }
  } finally {
    draw.close();
    interrupt.close();
  }
}

async function lookAgain(desk: Desk, group: string | undefined): Promise<GroupLook[] | Error> {
  try {
    return await lookAll(desk, group);
  } catch (error) {
    const { isUnseen } = await import('../client/operator-error.ts');
    if (isUnseen(error)) return error as Error;
    throw error;
  }
}

interface Drawing {
  show(looks: GroupLook[] | Error): Promise<void>;
  close(): void;
}

async function redrawing(): Promise<Drawing> {
  const [{ default: logUpdate }, { describeGroup }] = await Promise.all([import('log-update'), import('./status-words.ts')]);
  return {
    show: async (looks) => {
      const text = looks instanceof Error ? `${looks.message}; asked again` : looks.map((look) => describeGroup(look, Date.now())).join('\n\n');
      logUpdate(tame(`${text}\n\n${new Date().toISOString().slice(11, 19)}Z, Ctrl-C ends`));
    },
    close: () => logUpdate.done(),
  };
}

/** A line for each thing that is no longer as it was. */
function printing(format: Format): Drawing {
  if (format === 'yaml') throw new CliError(EXIT.usage, '--watch does not print YAML', { next: 'use -o json: a line for each change' });
  let before: ReadonlyMap<string, string> = new Map();
  let unseen = false;
  return {
    show: async (looks) => {
      const { factsOf } = await import('./status-words.ts');
      if (looks instanceof Error) {
        if (!unseen) say(`understudy: ${looks.message}; asked again`);
        unseen = true;
        return;
      }
      unseen = false;
      const at = new Date().toISOString();
      const now = new Map<string, string>();
      for (const { group, subject, words } of looks.flatMap((look) => factsOf(look).map(([name, is]) => ({ group: look.group, subject: name, words: is })))) {
        const key = `${group} ${subject}`;
        const was = before.get(key);
        now.set(key, words);
        if (was === words) continue;
        if (format === 'json') await printJsonLine({ at, group, subject, ...(was === undefined ? {} : { was }), is: words });
        else await printData('table', undefined, () => `${at}  ${key}: ${was === undefined ? words : `${was} -> ${words}`}`);
      }
      before = now;
    },
    close: () => undefined,
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
