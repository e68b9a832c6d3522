import { NO_RULE } from '../model/group.ts';
import type { CommitRule, Durability, MemberSpec } from '../model/group.ts';
import { compareLsn, type Lsn } from '../model/lsn.ts';

export interface WantedRuleInput {
  readonly durability: Durability;
  readonly primary: string;
  /** Standbys that stream and may be promoted. */
  readonly following: readonly string[];
  /** The rule that is recorded now: kept where nobody follows. NO_RULE for a group that has just begun. */
  readonly previous: CommitRule;
  /** The policy's `relaxAfterMs` has passed with nobody following. */
  readonly relaxed: boolean;
}

export interface RuleStepInput {
  readonly recorded: CommitRule;
  /** What the primary was last read to have; undefined where an order was given and its end is not known. */
  readonly inForce: CommitRule | undefined;
  readonly wanted: CommitRule;
}

/**
 * The next single step from what is to what is wanted (protocol 5.3).
 *
 * `record`: keep the rule in the workflow's state. `apply`: put it in force on the primary. `confirm-then-record`: read it back there, and
 * wait until a marker written now is flushed as it says, so that older commits obey it too; then keep it.
 */
export type RuleStep =
  | { readonly step: 'record'; readonly rule: CommitRule }
  | { readonly step: 'apply'; readonly rule: CommitRule }
  | { readonly step: 'confirm-then-record'; readonly rule: CommitRule }
  | { readonly step: 'none' };

/**
 * Whether every commit that satisfies `stricter` satisfies `weaker` too.
 *
 * The worst commit of the first is flushed on all names that the second does not count, and on as few of the others as it may.
 */
export function implies(stricter: CommitRule, weaker: CommitRule): boolean {
  if (weaker.count <= 0) return true;
  if (stricter.count <= 0) return false;
  const outside = unique(stricter.names).filter((name) => !weaker.names.includes(name)).length;
  return stricter.count - outside >= weaker.count;
}

/** The strictest simple rule that both imply. */
export function weakest(a: CommitRule, b: CommitRule): CommitRule {
  if (a.count <= 0 || b.count <= 0) return NO_RULE;
  return { names: unique([...a.names, ...b.names]), count: Math.min(a.count, b.count) };
}

/** How many of the rule's names must answer, frozen, before the furthest of them is sure to have every acknowledged commit (protocol 5.2). */
export function answersNeeded(rule: CommitRule): number {
  return rule.count <= 0 ? 0 : Math.max(0, unique(rule.names).length - rule.count + 1);
}

/** Whether two rules say the same, in whatever order. */
export function sameRule(a: CommitRule, b: CommitRule): boolean {
  if (a.count <= 0 || b.count <= 0) return a.count <= 0 && b.count <= 0;
  const [namesA, namesB] = [unique(a.names), unique(b.names)];
  return a.count === b.count && namesA.length === namesB.length && namesA.every((name, i) => name === namesB[i]);
}

/**
 * The rule that should be in force.
 *
 * `sync` with nobody following keeps the previous rule, so that writes block, unless the policy has relaxed it. A group that begins, by
 * making a database or by adopting one, has NO_RULE before it: it is open until its first standby follows, since blocking an
 * adopted database for the length of a clone would be an outage of our making. Nothing is promised untruly: under NO_RULE a `sync` group
 * promotes nobody by itself (election.ts). Where fewer follow than `confirm` asks for, each of them confirms, and at least one.
 */
export function wantedRule({ durability, primary, following, previous, relaxed }: WantedRuleInput): CommitRule {
  if (durability.mode === 'async') return NO_RULE;
  const names = unique(following).filter((name) => name !== primary);
  if (names.length > 0) return { names, count: Math.min(Math.max(1, durability.confirm), names.length) };
  return relaxed ? NO_RULE : previous;
}

/**
 * Which of the followers should confirm commits: those that an election may pick by itself. A commit that only a member of priority 0 has would
 * stop every automatic failover. Where none but such members follow, they confirm all the same: better that a person must decide than
 * that nothing is kept twice.
 */
export function mayConfirm(input: {
  readonly members: readonly MemberSpec[];
  readonly following: readonly string[];
  readonly excluded: readonly string[];
}): string[] {
  const here = input.members.filter((member) => input.following.includes(member.name) && !input.excluded.includes(member.name));
  const electable = here.filter((member) => member.priority > 0);
  return (electable.length > 0 ? electable : here).map((member) => member.name).sort();
}

/**
 * The rule that a newly promoted primary opens with: those who may follow it confirm, before any of them does, so that its first
 * acknowledged write is on a second member already.
 *
 * `reachable`: the other members that answered the election and may be promoted later. With none, every other member is named: writes block
 * until one of them follows, or the policy relaxes.
 */
export function ruleAfterPromotion(input: {
  readonly durability: Durability;
  readonly elected: string;
  readonly reachable: readonly string[];
  readonly members: readonly string[];
}): CommitRule {
  if (input.durability.mode === 'async') return NO_RULE;
  const others = (of: readonly string[]): string[] => unique(of).filter((name) => name !== input.elected);
  const names = others(input.reachable).length > 0 ? others(input.reachable) : others(input.members);
  return names.length === 0 ? NO_RULE : { names, count: Math.min(Math.max(1, input.durability.confirm), names.length) };
}

/** A place in the log of one timeline. */
export interface Place {
  readonly timeline: number;
  readonly lsn: Lsn;
}

export interface TakingInput {
  /** The rule recorded for the epoch that ended. */
  readonly previous: CommitRule;
  /** The rule of the epoch that begins: in force on its primary since before its first write. */
  readonly opened: CommitRule;
  readonly elected: string;
  /** Where the elected member left the old timeline; undefined where it is not known, as after a promotion that was told twice. */
  readonly start: Place | undefined;
  /** The members that answered while in recovery with their receivers detached, and how far each had flushed. */
  readonly frozen: readonly ({ readonly member: string } & Place)[];
}

/**
 * The rule to record as a new primary takes over. Its own commits satisfy the rule that it opened with; the older ones may not, so that in general only
 * what both rules imply holds for all. The new rule holds at once
 *
 * - where the old one implies it, or
 * - where as many of its names as it counts stood at or beyond the place from which the new primary goes on, on the same timeline: every older commit
 *   that there still is lies before that place, and is flushed on each of them. A frozen place does not go back: whoever rewinds or copies later has
 *   at the end what its upstream has, and answers nobody until then.
 */
export function ruleOnTaking({ previous, opened, elected, start, frozen }: TakingInput): CommitRule {
  const names = unique(opened.names).filter((name) => name !== elected);
  const covering = names.filter((name) =>
    frozen.some(({ member, timeline, lsn }) => start !== undefined && member === name && timeline === start.timeline && compareLsn(lsn, start.lsn) >= 0),
  );
  return implies(previous, opened) || covering.length >= opened.count ? tidy(opened) : weakest(previous, opened);
}

/**
 * The next step such that what is recorded is at every moment implied by what is in force, also where the process dies between any two
 * steps. It ends: at most record, apply, confirm.
 */
export function nextRuleStep({ recorded, inForce, wanted }: RuleStepInput): RuleStep {
  if (inForce !== undefined && sameRule(inForce, wanted)) {
    return sameRule(recorded, wanted) ? { step: 'none' } : { step: 'confirm-then-record', rule: tidy(wanted) };
  }
  return implies(wanted, recorded) ? { step: 'apply', rule: tidy(wanted) } : { step: 'record', rule: weakest(recorded, wanted) };
}

/** The rule as a person reads it. */
export function explainRule(rule: CommitRule): string {
  return rule.count <= 0 ? 'no standby confirms commits' : `each commit is confirmed by ${rule.count} of ${unique(rule.names).join(', ')}`;
}

function tidy(rule: CommitRule): CommitRule {
  return rule.count <= 0 ? NO_RULE : { names: unique(rule.names), count: rule.count };
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}
