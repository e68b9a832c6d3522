import type { Desk } from '../client/desk.ts';
import type { RollAsk } from '../decide/roll.ts';
import { BY, INTERRUPTED, REASON, signed, untilInterrupted, withDesk } from './operator.ts';
import { confirmHarm, endWith, globalsOf, paint, printData, say } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  program
    .command('roll')
    .summary("restart every member's database in turn, for a minor upgrade")
    .description(
      "Restarts the standbys' databases one after another with the programs that are there by then, waits after each until it follows again, hands the primary's role to one of them, and waits until the old primary follows. It goes on in the group's workflow, whatever becomes of this command; `understudy pause` holds it between two members. It refuses to begin where an incident is open or a member does not follow, and stops at the first trouble.",
    )
    .argument('<group>', 'the group')
    .option('--members <names>', 'these alone, with commas between them: to go on with a roll that has stopped')
    .requiredOption(...REASON)
    .option(...BY)
    .option('--no-wait', 'do not follow it')
    .addHelpText(
      'after',
      example('understudy roll orders --reason "PostgreSQL 15.19" --yes', 'understudy roll orders --members pg-c,pg-a --reason "PostgreSQL 15.19, the rest"') +
        '\n\nExit codes here:\n  0 every member was restarted   1 it has stopped, and says where   3 refused by a rule',
    )
    .action(async (group, options, command) => roll(group, options, command));
}

interface Options {
  readonly members?: string | undefined;
  readonly reason: string;
  readonly by?: string | undefined;
  readonly wait: boolean;
}

async function roll(group: string, options: Options, command: Program): Promise<void> {
  const globals = globalsOf(command);
  const members = options.members?.split(',').map((name) => name.trim());
  const ask: RollAsk = { ...signed(options), ...(members === undefined ? {} : { members }) };
  await withDesk(command, async ({ desk }) => {
    const { primary } = await desk.status(group);
    const writes = members === undefined || members.includes(primary ?? '') ? `, and a switchover from ${primary}: writes stop for a moment` : '';
    await confirmHarm(`This restarts the database of ${members?.join(', ') ?? `every member of ${group}`}, one after another${writes}.`, globals);
    const id = await desk.tell<string>(group, 'roll', ask);
    say(`understudy: ${id} has begun`);
    if (options.wait) await follow(desk, group, id, globals.output);
    else {
      await printData(globals.output, { id }, () => id);
      say(`Next: understudy status ${group} --watch`);
    }
  });
}

/** Ctrl-C ends the looking, not the roll. */
async function follow(desk: Desk, group: string, id: string, format: ReturnType<typeof globalsOf>['output']): Promise<void> {
  const [{ followRoll }, { explainRoll }] = await Promise.all([import('../client/follow.ts'), import('../decide/roll.ts')]);
  const interrupt = untilInterrupted();
  try {
    const end = await followRoll({ desk, group, id, signal: interrupt.signal, onChange: (words) => say(`understudy: ${words}`) });
    await printData(format, end, () => paint(end.ended?.outcome === 'done' ? 'good' : 'bad', `${end.id} ${explainRoll(end)}`));
    if (end.ended?.outcome !== 'done' && end.left.length > 0)
      say(`Next: understudy status ${group}; then understudy roll ${group} --members ${end.left.join(',')} --reason ...`);
    endWith(end.ended?.outcome === 'done' ? 'done' : 'failed');
  } catch (error) {
    if (!interrupt.signal.aborted) throw error;
    say(`understudy: no longer followed; ${id} goes on all the same.\nNext: understudy status ${group} --watch`);
    process.exitCode = INTERRUPTED;
  } finally {
    interrupt.close();
  }
}
