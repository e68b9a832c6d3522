import type { FailoverAsk, SwitchoverAsk } from '../decide/operator.ts';
import type { Started } from '../model/operator.ts';
import { followToTheEnd } from './follow.ts';
import { BY, REASON, signed, withDesk } from './operator.ts';
import { confirmHarm, globalsOf, printData, say } from './output.ts';
import { type Program, example } from './program.ts';

const ENDS = `
Exit codes here:
  0 the target is the primary   1 it ended otherwise (given back, nobody fit, failed)   3 refused by a rule, or not approved   4 its end is not known`;

export function register(program: Program): void {
  program
    .command('failover')
    .summary('promote another member now')
    .description(
      'Fences the primary if it still answers, and promotes the best of the others, or the one that is named. Follows the incident to its end, step by step.',
    )
    .argument('<group>', 'the group')
    .option('--to <member>', 'this member or nobody')
    .requiredOption(...REASON)
    .option(...BY)
    .option('--fenced-by-hand', 'you vouch that the old primary is off and stays off: nothing is waited for. Where it is not, two members take writes')
    .option('--accept-loss', 'promote though acknowledged writes may be lost; the report says how many at most')
    .option('--no-wait', 'do not follow it')
    .addHelpText(
      'after',
      example(
        'understudy failover orders --reason "pg-a is on a failing disk"',
        'understudy failover orders --to pg-c --fenced-by-hand --reason "pg-a has no power" --yes',
      ) + `\n${ENDS}`,
    )
    .action(async (group, options, command) => failover(group, options, command));
  program
    .command('switchover')
    .summary('swap roles as planned, without loss')
    .description(
      'Checks first that it can be done, stops the primary in order, and promotes the target; fails it before the promotion, the old primary gets its role back. Follows it to its end.',
    )
    .argument('<group>', 'the group')
    .option('--to <member>', 'this member or nobody; left out: the best')
    .requiredOption(...REASON)
    .option(...BY)
    .option('--no-wait', 'do not follow it')
    .addHelpText('after', example('understudy switchover orders --to pg-b --reason "kernel update on pg-a" --yes') + `\n${ENDS}`)
    .action(async (group, options, command) => switchover(group, options, command));
}

interface FailoverOptions {
  readonly to?: string | undefined;
  readonly reason: string;
  readonly by?: string | undefined;
  readonly fencedByHand?: true | undefined;
  readonly acceptLoss?: true | undefined;
  readonly wait: boolean;
}

async function failover(group: string, options: FailoverOptions, command: Program): Promise<void> {
  const harm = [
    `This takes the role from the primary of ${group}, and promotes ${options.to ?? 'the best of the others'}.`,
    ...(options.fencedByHand === true ? ['You vouch that the old primary is off: where it is not, two members take writes.'] : []),
    ...(options.acceptLoss === true ? ['Acknowledged writes may be lost.'] : []),
  ].join(' ');
  const ask: FailoverAsk = {
    ...signed(options),
    ...(options.to === undefined ? {} : { to: options.to }),
    ...(options.fencedByHand === true ? { fencedByHand: true } : {}),
    ...(options.acceptLoss === true ? { acceptLoss: true } : {}),
  };
  await order({ group, word: 'failover', ask, harm, wait: options.wait, command });
}

interface SwitchoverOptions {
  readonly to?: string | undefined;
  readonly reason: string;
  readonly by?: string | undefined;
  readonly wait: boolean;
}

async function switchover(group: string, options: SwitchoverOptions, command: Program): Promise<void> {
  const harm = `This stops the primary of ${group} in order, and promotes ${options.to ?? 'the best of the others'}: writes stop for a moment.`;
  const ask: SwitchoverAsk = { ...signed(options), ...(options.to === undefined ? {} : { to: options.to }) };
  await order({ group, word: 'switchover', ask, harm, wait: options.wait, command });
}

interface Order {
  readonly group: string;
  readonly word: 'failover' | 'switchover';
  readonly ask: FailoverAsk | SwitchoverAsk;
  readonly harm: string;
  readonly wait: boolean;
  readonly command: Program;
}

async function order({ group, word, ask, harm, wait, command }: Order): Promise<void> {
  const globals = globalsOf(command);
  await withDesk(command, async ({ desk }) => {
    // Who asks for a group that is not there should not be asked for a yes first.
    const { incidents } = await desk.status(group);
    await confirmHarm(harm, globals);
    const before = new Set(incidents.map(({ id }) => id));
    const started = await desk.tell<Started>(group, word, ask);
    say(`understudy: ${started.words}`);
    if (!wait) {
      await printData(globals.output, started, () => started.incident ?? '');
      say(`Next: ${started.incident === undefined ? `understudy status ${group} --watch` : `understudy report ${started.incident}`}`);
      return;
    }
    await followToTheEnd({ desk, group, before, started, format: globals.output });
  });
}
