import { existsSync } from 'node:fs';
import type { Desk } from '../client/desk.ts';
import type { CodecConfig } from '../model/config.ts';
import type { GroupSpec } from '../model/group.ts';
import type { RecordedHistory } from '../replay/histories.ts';
import type { ReplayInput, Replayed } from '../replay/replay.ts';
import { CliError, EXIT } from './exit.ts';
import { configOf, withDesk } from './operator.ts';
import { endWith, globalsOf, paint, printData, say, table } from './output.ts';
import { type Program, example } from './program.ts';

const ALL_LIMIT_MS = 10 * 60_000;

export function register(program: Program): void {
  program
    .command('replay')
    .summary("say which past decision today's code would make otherwise")
    .description(
      "Runs recorded histories against today's workflow code, which must give the same commands in the same order, and decides each past incident's elections again from the answers that it kept. Changes nothing. Exit code 1 where something differs: such code would break what runs, or decide otherwise.",
    )
    .argument('[what...]', 'workflow ids (failover/orders/8, group/orders), or files that `temporal workflow show -o json` wrote')
    .option('--all', 'every run of every group and incident that Temporal still keeps')
    .option('--under-config', "decide elections under the configuration's rules instead of those that the incident went by")
    .addHelpText('after', example('understudy replay --all', 'understudy replay failover/orders/8', 'understudy replay test/replay/*.json -o json'))
    .action(async (what, options, command) => replay(what, options, command));
}

interface Options {
  readonly all?: true | undefined;
  readonly underConfig?: true | undefined;
}

async function replay(what: readonly string[], options: Options, command: Program): Promise<void> {
  if ((options.all === true) === what.length > 0)
    throw new CliError(EXIT.usage, options.all === true ? '--all names everything already' : 'say what to replay', {
      next: 'understudy replay --all, or name workflows or files',
    });
  const specOf = options.underConfig === true ? await specsOf(globalsOf(command).config) : undefined;
  const results = await (options.all === true
    ? withDesk(command, ({ desk, config }) => replayAll(desk, { specOf, codec: config?.temporal.codec }))
    : replayNamed(what, specOf, command));
  const { agrees } = await import('../replay/replay.ts');
  const differing = results.filter((one) => !agrees(one)).length;
  await printData(globalsOf(command).output, { replayed: results.length, differing, results }, () => describe(results));
  say(differing === 0 ? `understudy: ${results.length} replayed, none differs` : `understudy: ${differing} of ${results.length} would go otherwise`);
  if (differing > 0) endWith('failed');
}

async function specsOf(file: string): Promise<(group: string) => GroupSpec | undefined> {
  const { loadConfig } = await import('../runtime/config.ts');
  const { groups } = await loadConfig(file);
  return (group) => groups[group]?.spec;
}

/** What the replayed workflows logged once is no news. A runtime that no worker follows would keep the process, so that it comes last; and Ctrl-C ends it at once. */
async function quiet(): Promise<void> {
  const { DefaultLogger, Runtime } = await import('@temporalio/worker');
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [], telemetryOptions: { logging: { filter: 'OFF', forward: {} } } });
}

async function readAll(files: readonly string[]): Promise<RecordedHistory[]> {
  const { readHistory } = await import('../replay/histories.ts');
  return Promise.all(
    files.map(async (file) => {
      try {
        return await readHistory(file);
      } catch (error) {
        if (error instanceof SyntaxError || error instanceof TypeError) {
          throw new CliError(EXIT.failed, `${file} holds no history`, {
            why: error.message,
            next: `temporal workflow show --workflow-id failover/orders/8 -o json > ${file}`,
            cause: error,
          });
        }
        throw error;
      }
    }),
  );
}

/** One history at a time, since all of them may not fit into memory. */
async function replayAll(desk: Desk, how: How): Promise<Replayed[]> {
  const { allHistories } = await import('../replay/recorded.ts');
  return desk.call('the histories', () => run(allHistories(desk.workflows), how), ALL_LIMIT_MS);
}

async function replayNamed(what: readonly string[], specOf: SpecOf, command: Program): Promise<Replayed[]> {
  const files = what.filter((one) => existsSync(one));
  const ids = what.filter((one) => !files.includes(one));
  const histories = await readAll(files);
  if (ids.length > 0) histories.push(...(await withDesk(command, ({ desk }) => fetchAll(desk, ids))));
  return run(histories, { specOf, codec: (await configOf(command))?.temporal.codec });
}

async function fetchAll(desk: Desk, ids: readonly string[]): Promise<RecordedHistory[]> {
  const [{ historyOf }, { allSettled }] = await Promise.all([import('../replay/recorded.ts'), import('../client/settled.ts')]);
  return allSettled(ids.map((id) => desk.call(`${id}, which is no file here either`, () => historyOf(desk.workflows, id))));
}

type SpecOf = ((group: string) => GroupSpec | undefined) | undefined;
interface How {
  readonly specOf: SpecOf;
  /** Histories that were encrypted are opened with the configuration's keys. */
  readonly codec: CodecConfig | undefined;
}

async function run(histories: ReplayInput['histories'], { specOf, codec }: How): Promise<Replayed[]> {
  const { replayHistories } = await import('../replay/replay.ts');
  await quiet();
  const results: Replayed[] = [];
  for await (const one of replayHistories({ histories, codec, ...(specOf === undefined ? {} : { specOf }) })) results.push(one);
  return results;
}

function describe(results: readonly Replayed[]): string {
  if (results.length === 0) return '';
  const rows = results.map(({ workflowId, events, same, words, elections, open }) => {
    const decided =
      elections.length === 0 ? (open ? 'no result yet' : '-') : elections.every((one) => one.same) ? `${elections.length} as then` : paint('bad', 'otherwise');
    const why = [...(words === undefined ? [] : [words]), ...elections.filter((one) => !one.same).map((one) => one.words)].join('; ');
    return [workflowId, events, same ? 'same' : paint('bad', 'differs'), decided, why];
  });
  return table(['workflow', 'events', 'commands', 'elections', 'why'], rows);
}
