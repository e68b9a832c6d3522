import type { CommitRule, GroupSpec } from '../model/group.ts';
import type { ElectionRecord, LastKnown, Loss, Verdict } from '../model/incident.ts';
import { compareLsn, lagBytes } from '../model/lsn.ts';
import type { Lsn } from '../model/lsn.ts';
import type { LiveState, MemberReport } from '../model/member.ts';
import { NO_RULE } from '../model/group.ts';
import { answersNeeded } from './durability.ts';
import { lossOf, safeAt } from './election-loss.ts';
import { explainNobody, verdictsOf, whyElected } from './election-words.ts';

/** A member's report, or why there is none: a fact about the path to it, not about it (I3). */
export type Answer = { readonly member: string; readonly report: MemberReport } | { readonly member: string; readonly silent: string };

export interface ElectionInput {
  /** The new epoch, which the elected member would begin. */
  readonly epoch: number;
  readonly spec: GroupSpec;
  /** The recorded commit rule of the epoch that ended. */
  readonly rule: CommitRule;
  readonly oldPrimary: {
    readonly member: string;
    readonly last?: LastKnown;
    readonly fencedBy: 'agent' | 'lease' | 'person';
    /** Where its timeline began: its parent's number and the place. A standby that had not yet followed onto it is then known to be behind, not astray. */
    readonly fork?: { readonly timeline: number; readonly lsn: Lsn };
  };
  readonly answers: readonly Answer[];
  /** By an operator's word. */
  readonly excluded: readonly string[];
  /** Whoever has refused its promotion in this incident, and is not tried again; left out where nobody has. */
  readonly refused?: readonly string[];
  /** E of protocol 3.1, as the old primary acknowledged it. */
  readonly electable: readonly string[];
  /** An operator's wish: this member or nobody. */
  readonly target?: string;
  readonly acceptLoss?: { readonly by: string; readonly reason: string };
  /** The group's database system, where known; left out, the old primary's answer says it, else what most electable members have. */
  readonly systemId?: string;
  /** The Temporal namespace and cluster that the group belongs to; left out, it is not compared. */
  readonly cluster?: string;
}

export type Refusal =
  | { readonly reason: 'silent'; readonly words: string }
  | { readonly reason: 'not-a-member' }
  | { readonly reason: 'old-primary' }
  | { readonly reason: 'excluded' }
  | { readonly reason: 'refused-promotion' }
  | { readonly reason: 'not-electable' }
  | { readonly reason: 'priority-zero' }
  | { readonly reason: 'seen-epoch'; readonly epoch: number }
  | { readonly reason: 'wrong-cluster'; readonly found: string; readonly expected: string }
  | { readonly reason: 'no-database'; readonly words: string }
  | { readonly reason: 'wrong-system'; readonly found: string; readonly expected: string }
  | { readonly reason: 'not-in-recovery' }
  | { readonly reason: 'other-timeline'; readonly timeline: number; readonly expected: number }
  | { readonly reason: 'attached'; readonly from: string | undefined }
  | { readonly reason: 'replay-paused' }
  | { readonly reason: 'too-far-behind'; readonly lagBytes: number; readonly limitBytes: number };

/** Why nobody is promoted. */
export type Nobody =
  | { readonly reason: 'newer-epoch'; readonly member: string; readonly epoch: number }
  | { readonly reason: 'another-writable'; readonly members: readonly string[] }
  | { readonly reason: 'primary-alive'; readonly seenBy: readonly string[] }
  | { readonly reason: 'target-unfit'; readonly target: string; readonly refusal: Refusal }
  | { readonly reason: 'target-behind'; readonly target: string; readonly lagBytes: number; readonly ahead: string }
  | { readonly reason: 'none-fit' }
  /** `sync`: too few of the rule's names answered, frozen and on this history. */
  | { readonly reason: 'not-enough-answers'; readonly needed: number; readonly have: number; readonly missing: readonly string[] }
  /** `sync`: enough answered, but one that cannot be promoted may have acknowledged commits that the best candidate has not. */
  | { readonly reason: 'furthest-unfit'; readonly best: string; readonly ahead: readonly string[]; readonly missing: readonly string[] }
  /** `sync`, but no standby confirmed commits under this epoch's rule, so nothing can be known to be complete. */
  | { readonly reason: 'nothing-promised' }
  /** `async`: the old primary's last place is not known, so the loss has no bound. */
  | { readonly reason: 'loss-unknown' };

export type Election =
  | {
      readonly outcome: 'elected';
      readonly member: string;
      readonly lsn: Lsn;
      readonly loss: Loss;
      readonly words: string;
      readonly verdicts: readonly Verdict[];
    }
  | {
      readonly outcome: 'nobody';
      readonly why: Nobody;
      readonly words: string;
      /** Whether asking again may help. */
      readonly canWait: boolean;
      readonly verdicts: readonly Verdict[];
    };

export interface Fit {
  readonly member: string;
  readonly lsn: Lsn;
  readonly priority: number;
}

/** What the whole group's answers say, against which each member's is held. */
interface Expected {
  readonly systemId: string | undefined;
  readonly timeline: number | undefined;
  /** The furthest place of this history that anybody is known to have reached. */
  readonly furthest: Lsn | undefined;
}

/**
 * Whom to promote, and why not the others (protocol 4.1, 5.2). Equal input elects the same member everywhere, in whatever order the answers came.
 *
 * The most advanced of the fit wins, then priority, then name (I4). With `sync`, only where every commit that can have been acknowledged is
 * on the winner (I2): that many of the rule's names are known to hold nothing beyond the winner's place that no commit beyond it can have been
 * confirmed often enough. `acceptLoss` lifts that, the lag limit, and an unknown loss; nothing else.
 */
export function elect(input: ElectionInput): Election {
  const expected = expect(input);
  const fits: Fit[] = [];
  const refusals = new Map<string, Refusal>();
  for (const answer of inOrder(input)) {
    const refusal = refusalOf(answer, input, expected);
    if (refusal !== undefined) refusals.set(answer.member, refusal);
    else if ('report' in answer && answer.report.live !== undefined)
      fits.push({ member: answer.member, lsn: answer.report.live.flushedLsn, priority: priorityOf(input.spec, answer.member) });
  }
  fits.sort((a, b) => compareLsn(b.lsn, a.lsn) || b.priority - a.priority || (a.member < b.member ? -1 : 1));
  const verdicts = (winner?: string): Verdict[] => verdictsOf(input, fits, refusals, winner);
  const nobody = (why: Nobody, canWait: boolean): Election => ({ outcome: 'nobody', why, words: explainNobody(why), canWait, verdicts: verdicts() });

  const danger = dangerIn(input, expected);
  if (danger !== undefined) return nobody(danger, danger.reason === 'primary-alive');

  const best = fits[0];
  const chosen = input.target === undefined ? best : fits.find((fit) => fit.member === input.target);
  if (input.target !== undefined && chosen === undefined) {
    const refusal = refusals.get(input.target) ?? { reason: 'not-a-member' };
    return nobody({ reason: 'target-unfit', target: input.target, refusal }, passes(refusal));
  }
  if (chosen === undefined || best === undefined) return nobody({ reason: 'none-fit' }, [...refusals.values()].some(passes));
  if (compareLsn(chosen.lsn, best.lsn) < 0 && input.acceptLoss === undefined) {
    return nobody({ reason: 'target-behind', target: chosen.member, lagBytes: lagBytes(best.lsn, chosen.lsn), ahead: best.member }, false);
  }
  const doubt = input.acceptLoss === undefined ? doubtOf(chosen, input, expected) : undefined;
  if (doubt !== undefined) return nobody(doubt, doubt.reason === 'not-enough-answers' || (doubt.reason === 'furthest-unfit' && doubt.missing.length > 0));
  const complete = safeAt(chosen.lsn, input.rule, frozenPlaces(input, expected));
  const loss = lossOf({ ...input, lsn: chosen.lsn, complete, last: input.oldPrimary.last, furthest: expected.furthest });
  return { outcome: 'elected', member: chosen.member, lsn: chosen.lsn, loss, words: whyElected(chosen, fits, input), verdicts: verdicts(chosen.member) };
}

/** An election as the incident keeps it. */
export function recordElection(input: ElectionInput, election: Election, atMs: number): ElectionRecord {
  return {
    atMs,
    epoch: input.epoch,
    elected: election.outcome === 'elected' ? election.member : null,
    words: election.words,
    verdicts: election.verdicts,
    input,
  };
}

/** Why this member is not promoted; undefined where it is fit. The first reason that holds is told. */
function refusalOf(answer: Answer, input: ElectionInput, expected: Expected): Refusal | undefined {
  const { member } = answer;
  if (member === input.oldPrimary.member) return { reason: 'old-primary' };
  if (!input.spec.members.some((one) => one.name === member)) return { reason: 'not-a-member' };
  if (input.excluded.includes(member)) return { reason: 'excluded' };
  if (input.refused?.includes(member) === true) return { reason: 'refused-promotion' };
  // E is about automatic promotions: a person who vouches for the fence has looked where the second lease cannot (protocol 3.1).
  if (!input.electable.includes(member) && input.oldPrimary.fencedBy !== 'person') return { reason: 'not-electable' };
  if (priorityOf(input.spec, member) === 0 && input.target !== member) return { reason: 'priority-zero' };
  if ('silent' in answer) return { reason: 'silent', words: answer.silent };
  const { report } = answer;
  if (report.epoch >= input.epoch) return { reason: 'seen-epoch', epoch: report.epoch };
  if (input.cluster !== undefined && report.cluster !== input.cluster) return { reason: 'wrong-cluster', found: report.cluster, expected: input.cluster };
  if (report.live === undefined) return { reason: 'no-database', words: report.trouble ?? 'it does not run' };
  const { live } = report;
  if (live.systemId !== expected.systemId) return { reason: 'wrong-system', found: live.systemId, expected: expected.systemId ?? 'one that all agree on' };
  if (!live.inRecovery) return { reason: 'not-in-recovery' };
  if (!onHistory(live, input, expected)) return { reason: 'other-timeline', timeline: live.timeline, expected: expected.timeline ?? 0 };
  if (!isFrozen(report)) return { reason: 'attached', from: live.receiver.state === 'none' ? undefined : live.receiver.from };
  if (live.replayPaused) return { reason: 'replay-paused' };
  if (input.spec.durability.mode === 'async' && expected.furthest !== undefined && input.acceptLoss === undefined) {
    const lag = lagBytes(expected.furthest, live.flushedLsn);
    if (lag > input.spec.policy.maxLagBytes) return { reason: 'too-far-behind', lagBytes: lag, limitBytes: input.spec.policy.maxLagBytes };
  }
  return undefined;
}

/** What forbids every promotion, whoever is fit: the role is somebody's already, or the old primary lives. */
function dangerIn(input: ElectionInput, expected: Expected): Nobody | undefined {
  const reports = reportsOf(input);
  const newer = reports.filter((report) => report.epoch > input.epoch).sort((a, b) => b.epoch - a.epoch || (a.member < b.member ? -1 : 1))[0];
  if (newer !== undefined) return { reason: 'newer-epoch', member: newer.member, epoch: newer.epoch };
  const isWritable = (report: MemberReport): boolean => report.live !== undefined && !report.live.inRecovery && report.live.systemId === expected.systemId;
  if (reports.some((report) => report.member === input.oldPrimary.member && isWritable(report)))
    return { reason: 'primary-alive', seenBy: [input.oldPrimary.member] };
  const writable = reports.filter(isWritable).map((report) => report.member);
  if (writable.length > 0) return { reason: 'another-writable', members: writable.sort() };
  // An agent that stopped its database knows better than a receiver that has not noticed yet; a timeout and a person do not (protocol 3.5).
  if (input.oldPrimary.fencedBy === 'agent') return undefined;
  const seenBy = reports.filter((report) => isFed(report, input)).map((report) => report.member);
  return seenBy.length > 0 ? { reason: 'primary-alive', seenBy: seenBy.sort() } : undefined;
}

/** Still receiving, and fed within Q. What a cascade or a foreign server feeds says nothing of the primary, but is not told apart: then asking again helps. */
function isFed(report: MemberReport, input: ElectionInput): boolean {
  return (
    report.member !== input.oldPrimary.member &&
    !report.detached &&
    report.live?.receiver.state === 'streaming' &&
    report.fedAgoMs !== undefined &&
    report.fedAgoMs < input.spec.leaseMs
  );
}

/** Whether the choice may lose more than may be lost without a person's word (I2). */
function doubtOf(chosen: Fit, input: ElectionInput, expected: Expected): Nobody | undefined {
  const { last } = input.oldPrimary;
  const atTheEnd = last?.exact === true && last.lsn !== undefined && compareLsn(chosen.lsn, last.lsn) >= 0;
  if (input.spec.durability.mode === 'async') return last?.lsn === undefined ? { reason: 'loss-unknown' } : undefined;
  if (atTheEnd) return undefined;
  if (input.rule.count <= NO_RULE.count) return { reason: 'nothing-promised' };
  const frozen = frozenPlaces(input, expected);
  if (safeAt(chosen.lsn, input.rule, frozen)) return undefined;
  const missing = input.rule.names.filter((name) => !frozen.has(name)).sort();
  const needed = answersNeeded(input.rule);
  const have = input.rule.names.length - missing.length;
  if (have < needed) return { reason: 'not-enough-answers', needed, have, missing };
  const ahead = [...frozen].filter(([name, lsn]) => input.rule.names.includes(name) && compareLsn(lsn, chosen.lsn) > 0).map(([name]) => name);
  return { reason: 'furthest-unfit', best: chosen.member, ahead: ahead.sort(), missing };
}

/** The places that can no longer move: of every member of this history that answered, fit or not. */
function frozenPlaces(input: ElectionInput, expected: Expected): Map<string, Lsn> {
  const places = new Map<string, Lsn>();
  for (const report of reportsOf(input)) {
    const { live, member } = report;
    if (live === undefined || live.systemId !== expected.systemId) continue;
    if (live.inRecovery && isFrozen(report) && onHistory(live, input, expected)) places.set(member, live.flushedLsn);
  }
  return places;
}

function isFrozen(report: MemberReport): boolean {
  return report.detached && report.live?.receiver.state === 'none';
}

/** On the old primary's timeline, or on its parent, no further than where it forked. */
function onHistory(live: LiveState, input: ElectionInput, { timeline }: Expected): boolean {
  if (live.timeline === timeline) return true;
  const { fork } = input.oldPrimary;
  return fork !== undefined && live.timeline === fork.timeline && compareLsn(live.flushedLsn, fork.lsn) <= 0;
}

/**
 * The old primary's own word decides; its silence leaves its last heartbeat, and then the members that it acknowledged as its followers:
 * the highest timeline among them.
 */
function expect(input: ElectionInput): Expected {
  const reports = reportsOf(input);
  const old = reports.find((report) => report.member === input.oldPrimary.member && report.epoch < input.epoch);
  const oldData = old?.live ?? (old?.footprint.state === 'data' ? old.footprint : undefined);
  const trusted = reports.filter(
    (report) => report.member !== input.oldPrimary.member && report.live?.inRecovery === true && input.electable.includes(report.member),
  );
  const asked = trusted.length > 0 ? trusted : reports.filter((report) => report.member !== input.oldPrimary.member && report.live?.inRecovery === true);
  const systemId = input.systemId ?? oldData?.systemId ?? mostCommon(asked.map((report) => report.live?.systemId ?? ''));
  const timelines = asked.filter((report) => report.live?.systemId === systemId).map((report) => report.live?.timeline ?? 0);
  const timeline = input.oldPrimary.last?.timeline ?? oldData?.timeline ?? (timelines.length > 0 ? Math.max(...timelines) : undefined);
  const partial: Expected = { systemId, timeline, furthest: undefined };
  const places = [...frozenPlaces(input, partial).values()];
  if (input.oldPrimary.last?.lsn !== undefined) places.push(input.oldPrimary.last.lsn);
  return { ...partial, furthest: places.sort(compareLsn).at(-1) };
}

/** The value that most have; undefined where two are equally common, since then nobody can say which is ours. */
function mostCommon(values: readonly string[]): string | undefined {
  const counts = [...new Set(values)].map((value) => ({ value, count: values.filter((one) => one === value).length })).sort((a, b) => b.count - a.count);
  return counts[0] !== undefined && counts[0].count !== counts[1]?.count ? counts[0].value : undefined;
}

/** Every member of the group once, by name; one that is not among the answers was not heard. */
function inOrder(input: ElectionInput): Answer[] {
  const names = [...new Set([...input.spec.members.map((one) => one.name), ...input.answers.map((one) => one.member)])].sort();
  return names.map((member) => input.answers.find((one) => one.member === member) ?? { member, silent: 'it was not asked' });
}

function reportsOf(input: ElectionInput): MemberReport[] {
  return inOrder(input).flatMap((answer) => ('report' in answer ? [answer.report] : []));
}

function priorityOf(spec: GroupSpec, member: string): number {
  return spec.members.find((one) => one.name === member)?.priority ?? 0;
}

/** Whether the reason may pass by itself, so that asking again can help. */
function passes(refusal: Refusal): boolean {
  return refusal.reason === 'silent' || refusal.reason === 'attached' || refusal.reason === 'no-database' || refusal.reason === 'replay-paused';
}
