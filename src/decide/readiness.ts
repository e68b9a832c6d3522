import type { CommitRule, GroupSpec, MemberSpec } from '../model/group.ts';
import type { Verdict } from '../model/incident.ts';
import { assertNever } from '../model/assert-never.ts';
import { lagBytes } from '../model/lsn.ts';
import type { LiveState, MemberReport } from '../model/member.ts';
import type { Answer } from './election.ts';
import { inBytes } from './election-words.ts';
import type { Hold } from './hold.ts';

export interface ReadinessInput {
  readonly spec: GroupSpec;
  /** The primary's own answer. */
  readonly primary: MemberReport;
  readonly target?: string;
  readonly answers: readonly Answer[];
  /** The recorded commit rule. */
  readonly rule: CommitRule;
  readonly electable: readonly string[];
  readonly excluded: readonly string[];
  readonly hold: Hold;
}

export type ReadinessRule =
  | 'incident-open'
  | 'paused'
  | 'primary-not-open'
  | 'unknown-member'
  | 'already-primary'
  | 'no-standby-confirms'
  | 'archiver-stuck'
  | 'target-not-fit'
  | 'nobody-fit';

export type Readiness =
  | { readonly ready: true; readonly target: string; readonly verdicts: readonly Verdict[] }
  | { readonly ready: false; readonly rule: ReadinessRule; readonly words: string; readonly override?: string; readonly verdicts: readonly Verdict[] };

export type NotReady =
  | { readonly reason: 'silent'; readonly words: string }
  | { readonly reason: 'excluded' | 'not-electable' | 'priority-zero' | 'not-in-recovery' | 'replay-paused' | 'detached' | 'wrong-system' }
  | { readonly reason: 'seen-epoch'; readonly epoch: number; readonly expected: number }
  | { readonly reason: 'wrong-cluster'; readonly found: string; readonly expected: string }
  | { readonly reason: 'no-database'; readonly words: string }
  | { readonly reason: 'other-timeline'; readonly timeline: number; readonly expected: number }
  | { readonly reason: 'not-streaming'; readonly from: string | undefined }
  | { readonly reason: 'lagging' | 'replay-behind'; readonly lagBytes: number; readonly limitBytes: number };

/**
 * May this switchover start (protocol 6.1)? Nothing has been touched yet, so everything doubtful is a refusal. The rate limit does not apply: it
 * holds back automatic action, and this is a person's. Named targets may have priority 0; else the highest priority is taken, then the
 * least lag, then the first name: the target will be caught up before the gap opens, so a few bytes are no reason to pass over the preferred.
 */
export function decideReadiness(input: ReadinessInput): Readiness {
  const { spec, primary, target, hold } = input;
  const refuse = (rule: ReadinessRule, words: string, verdicts: readonly Verdict[] = []): Readiness => ({ ready: false, rule, words, verdicts });
  if (hold.held && (hold.rule === 'incident-open' || hold.rule === 'paused'))
    return { ready: false, rule: hold.rule, words: hold.words, override: hold.override, verdicts: [] };
  const trouble = primaryTrouble(primary);
  const { live } = primary;
  if (trouble !== undefined || live === undefined)
    return refuse(
      'primary-not-open',
      `the primary ${primary.member} is not open for writes: ${trouble ?? 'no database'}. Where it is dead, use: understudy failover ${spec.name}`,
    );
  if (target === primary.member) return refuse('already-primary', `${target} is the primary already`);
  if (target !== undefined && !spec.members.some((member) => member.name === target))
    return refuse('unknown-member', `${target} is no member of ${spec.name}; its members are ${spec.members.map((member) => member.name).join(', ')}`);

  const candidates = spec.members.filter((member) => member.name !== primary.member).map((member) => judge(member, live, input));
  const verdicts = candidates.map(({ member, why, lag }): Verdict => ({
    member: member.name,
    fit: why === undefined,
    words: why === undefined ? `ready: ${inBytes(lag)} behind, priority ${member.priority}` : explainNotReady(why),
  }));
  if (spec.durability.mode === 'sync' && input.rule.count <= 0) {
    return refuse(
      'no-standby-confirms',
      `no standby of ${spec.name} confirms commits now, so a stop that has to be made immediate could lose acknowledged writes. Wait until one follows`,
      verdicts,
    );
  }
  const archiver = archiverTrouble(live);
  if (archiver !== undefined) {
    return refuse(
      'archiver-stuck',
      `a stop in order first archives what is waiting, and ${primary.member} ${archiver}: it would hold up the switchover, and what is not archived by then would be missing from the archive. Mend archive_command there, and wait until its queue is short`,
      verdicts,
    );
  }
  const fit = candidates.filter((candidate) => candidate.why === undefined);
  if (target !== undefined) {
    const why = candidates.find((candidate) => candidate.member.name === target)?.why;
    return why === undefined ? { ready: true, target, verdicts } : refuse('target-not-fit', `${target} ${explainNotReady(why)}`, verdicts);
  }
  const best = fit.sort((a, b) => b.member.priority - a.member.priority || a.lag - b.lag || (a.member.name < b.member.name ? -1 : 1))[0];
  if (best !== undefined) return { ready: true, target: best.member.name, verdicts };
  return refuse(
    'nobody-fit',
    `no standby of ${spec.name} can take over: ${verdicts.map((verdict) => `${verdict.member} ${verdict.words}`).join('; ')}`,
    verdicts,
  );
}

function primaryTrouble({ role, live, trouble, leaseLeftMs }: MemberReport): string | undefined {
  if (role !== 'primary') return `its agent holds ${role === 'none' ? 'no role' : "a standby's role"}`;
  if (live === undefined) return trouble ?? 'its database does not run';
  if (live.inRecovery) return 'it is in recovery';
  if (leaseLeftMs === undefined || leaseLeftMs <= 0) return 'its guard holds no lease';
  return undefined;
}

/** More segments than this take longer to archive than clients should wait. */
const ARCHIVE_QUEUE = 16;
const ARCHIVE_HANGS_MS = 60_000;

/** Why the archiver would hold up a stop in order, after the primary's name. */
export function archiverTrouble({ archiver }: Pick<LiveState, 'archiver'>): string | undefined {
  if (archiver === undefined || archiver.waiting === 0) return undefined;
  const queue = `${archiver.waiting} segment${archiver.waiting === 1 ? ' waits' : 's wait'} to be archived, the oldest for ${Math.round(archiver.oldestWaitsMs / 1000)} s`;
  if (archiver.failing) return `fails to archive (${queue})`;
  if (archiver.oldestWaitsMs >= ARCHIVE_HANGS_MS) return `archives nothing any more (${queue})`;
  return archiver.waiting > ARCHIVE_QUEUE ? `is behind with archiving (${queue})` : undefined;
}

/** The logical slots of users that stay behind with this primary, since nothing carries them over; the readers of each begin anew after a switch. */
export function leftBehind({ slots }: Pick<LiveState, 'slots'>): string[] {
  return slots.filter((slot) => slot.logical === true && slot.failover !== true).map((slot) => slot.name);
}

interface Judged {
  readonly member: MemberSpec;
  readonly why: NotReady | undefined;
  readonly lag: number;
}

function judge(member: MemberSpec, primary: LiveState, input: ReadinessInput): Judged {
  const answer = input.answers.find((one) => one.member === member.name) ?? { member: member.name, silent: 'it was not asked' };
  const lag = 'report' in answer && answer.report.live !== undefined ? lagBytes(primary.flushedLsn, answer.report.live.flushedLsn) : 0;
  return { member, why: whyNot(answer, member, primary, lag, input), lag };
}

function whyNot(answer: Answer, member: MemberSpec, primary: LiveState, lag: number, input: ReadinessInput): NotReady | undefined {
  const { name, priority } = member;
  if (input.excluded.includes(name)) return { reason: 'excluded' };
  if (!input.electable.includes(name)) return { reason: 'not-electable' };
  if (priority === 0 && input.target !== name) return { reason: 'priority-zero' };
  if ('silent' in answer) return { reason: 'silent', words: answer.silent };
  const { report } = answer;
  if (report.cluster !== input.primary.cluster) return { reason: 'wrong-cluster', found: report.cluster, expected: input.primary.cluster };
  if (report.epoch > input.primary.epoch) return { reason: 'seen-epoch', epoch: report.epoch, expected: input.primary.epoch };
  const { live } = report;
  if (live === undefined) return { reason: 'no-database', words: report.trouble ?? 'it does not run' };
  if (live.systemId !== primary.systemId) return { reason: 'wrong-system' };
  if (!live.inRecovery) return { reason: 'not-in-recovery' };
  if (live.timeline !== primary.timeline) return { reason: 'other-timeline', timeline: live.timeline, expected: primary.timeline };
  if (report.detached) return { reason: 'detached' };
  if (live.replayPaused) return { reason: 'replay-paused' };
  if (live.receiver.state !== 'streaming' || !streamsFrom(input.primary, primary, member, live.receiver.from, input.spec)) {
    return { reason: 'not-streaming', from: live.receiver.state === 'none' ? undefined : live.receiver.from };
  }
  const limitBytes = input.spec.policy.switchoverMaxLagBytes;
  if (lag > limitBytes) return { reason: 'lagging', lagBytes: lag, limitBytes };
  const unreplayed = lagBytes(primary.flushedLsn, live.replayedLsn);
  return unreplayed > limitBytes ? { reason: 'replay-behind', lagBytes: unreplayed, limitBytes } : undefined;
}

/** The primary sees it streaming, or its receiver names the primary: either is enough, since addresses can be written in many ways. */
function streamsFrom(primary: MemberReport, live: LiveState, member: MemberSpec, from: string, spec: GroupSpec): boolean {
  if (live.followers.some((follower) => follower.name === member.name && follower.state === 'streaming')) return true;
  const of = spec.members.find((one) => one.name === primary.member);
  return from === primary.member || (of !== undefined && from === `${of.host}:${of.port}`);
}

/** Why a standby cannot take over now, after its name. */
export function explainNotReady(why: NotReady): string {
  switch (why.reason) {
    case 'silent':
      return `gave no answer in time: ${why.words}`;
    case 'excluded':
      return 'is excluded by an operator';
    case 'not-electable':
      return 'is not among those whom the primary has acknowledged as electable';
    case 'priority-zero':
      return 'has priority 0 and takes over only when asked for by name';
    case 'wrong-cluster':
      return `belongs to ${why.found}, not to ${why.expected}`;
    case 'seen-epoch':
      return `has acted on epoch ${why.epoch}, which is later than the primary's ${why.expected}`;
    case 'no-database':
      return `has no running database: ${why.words}`;
    case 'wrong-system':
      return 'holds another database system than the primary';
    case 'not-in-recovery':
      return 'is not a standby: it is out of recovery';
    case 'other-timeline':
      return `is on timeline ${why.timeline}, the primary on ${why.expected}`;
    case 'detached':
      return 'has its receiver detached';
    case 'replay-paused':
      return 'has its replay paused';
    case 'not-streaming':
      return why.from === undefined ? 'does not stream from the primary' : `does not stream from the primary, but from ${why.from}`;
    case 'lagging':
      return `is ${inBytes(why.lagBytes)} behind, above the limit of ${inBytes(why.limitBytes)}`;
    case 'replay-behind':
      return `has ${inBytes(why.lagBytes)} to replay before it could open, above the limit of ${inBytes(why.limitBytes)}`;
    default:
      return assertNever(why);
  }
}
