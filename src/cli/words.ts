import type { BeginAsk, MemberOrder, PauseAsk } from '../decide/operator.ts';
import { DURATION_WORDS, parseDuration } from '../model/units.ts';
import { CliError, EXIT } from './exit.ts';
import { BY, REASON, signed, withDesk } from './operator.ts';
import { confirmHarm, globalsOf, printData, say } from './output.ts';
import { type Program, example } from './program.ts';

/** The words of an operator that a group answers at once. What lifts something needs no reason: the commands that others print are to work as they stand. */
export function register(program: Program): void {
  program
    .command('pause')
    .summary('no automatic action for a while')
    .description('Holds back automatic failovers of a group, for a time or until it is resumed. Its databases go on, and a failover by hand is still possible.')
    .argument('<group>', 'the group')
    .option('--for <duration>', `how long: ${DURATION_WORDS}`)
    .option('--until-resumed', 'with no end: it is resumed by hand, or never')
    .requiredOption(...REASON)
    .option(...BY)
    .addHelpText('after', example('understudy pause orders --for 1h --reason "network maintenance"'))
    .action(async (group, options, command) => tell(group, 'pause', { ...signed(options), ...endOf(options) }, command));
  program
    .command('resume')
    .summary('automatic action again')
    .description('Lifts a pause. A failover that it held back follows at once where the primary is still away.')
    .argument('<group>', 'the group')
    .option(...REASON, 'the pause is over')
    .option(...BY)
    .addHelpText('after', example('understudy resume orders --reason "maintenance is over"'))
    .action(async (group, options, command) => tell(group, 'resume', signed(options), command));
  program
    .command('exclude')
    .summary('never promote this member')
    .description('Excludes a member: it goes on following, but is not promoted and confirms no commits, until it is included again.')
    .argument('<group>', 'the group')
    .argument('<member>', 'the member')
    .requiredOption(...REASON)
    .option(...BY)
    .addHelpText('after', example('understudy exclude orders pg-c --reason "its disk is slow"'))
    .action(async (group, member, options, command) => tell(group, 'exclude', { ...signed(options), member } satisfies MemberOrder, command));
  program
    .command('include')
    .summary('promote this member again where it is the best')
    .description('Takes an exclusion back.')
    .argument('<group>', 'the group')
    .argument('<member>', 'the member')
    .option(...REASON, 'it may be promoted again')
    .option(...BY)
    .addHelpText('after', example('understudy include orders pg-c --reason "its disk was replaced"'))
    .action(async (group, member, options, command) => tell(group, 'include', { ...signed(options), member } satisfies MemberOrder, command));
  program
    .command('override')
    .summary('lift the rate limit for one failover')
    .description('Lets one automatic failover happen though the rate limit (minInterval, maxPerDay) holds it back.')
    .argument('<group>', 'the group')
    .option(...REASON, 'lifted by hand')
    .option(...BY)
    .addHelpText('after', example('understudy override orders --reason "the second fault has another cause"'))
    .action(async (group, options, command) => tell(group, 'override', signed(options), command));
  program
    .command('begin')
    .summary('begin a group without members that do not answer')
    .description(
      'Lets a group that waits for silent members begin without them, where the others leave no doubt how: what only the silent ones have is given up. A group that has begun is refused.',
    )
    .argument('<group>', 'the group')
    .requiredOption('--without <members...>', 'the silent members, each by name')
    .requiredOption(...REASON)
    .option(...BY)
    .addHelpText('after', example('understudy begin orders --without pg-c --reason "its host is gone for good" --yes'))
    .action(async (group, options, command) => begin(group, { ...signed(options), without: options.without }, command));
}

/** Nobody should be asked for a yes to what is refused anyway: a group that is not there, or has begun. */
async function begin(group: string, ask: BeginAsk, command: Program): Promise<void> {
  const globals = globalsOf(command);
  const answer = await withDesk(command, async ({ desk }) => {
    const { primary } = await desk.status(group);
    const names = ask.without.join(', ');
    if (primary === null)
      await confirmHarm(`This begins ${group} without ${names}: writes that only ${names} ${ask.without.length === 1 ? 'has' : 'have'} are given up.`, globals);
    return desk.tell<string>(group, 'begin', ask);
  });
  await printData(globals.output, { group, word: 'begin', ...ask, answer }, () => answer);
  say(`Next: understudy status ${group}`);
}

/** With neither, the group's rule says what is missing; with both, nobody knows what is meant. */
function endOf(options: { readonly for?: string | undefined; readonly untilResumed?: true | undefined }): Pick<PauseAsk, 'untilMs' | 'untilResumed'> {
  if (options.for === undefined) return options.untilResumed === true ? { untilResumed: true } : {};
  if (options.untilResumed === true) throw new CliError(EXIT.usage, '--for and --until-resumed exclude each other', { next: 'keep one of them' });
  const ms = parseDuration(options.for);
  if (ms === undefined || ms <= 0) throw new CliError(EXIT.usage, `--for ${options.for} is no duration`, { next: `write ${DURATION_WORDS}` });
  return { untilMs: Date.now() + ms };
}

async function tell(group: string, word: string, ask: object, command: Program): Promise<void> {
  const answer = await withDesk(command, ({ desk }) => desk.tell<string>(group, word, ask));
  await printData(globalsOf(command).output, { group, word, ...ask, answer }, () => answer);
}
