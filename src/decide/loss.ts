import type { CommitRule, GroupSpec } from '../model/group.ts';
import type { Cause } from '../model/incident.ts';
import { ERRORS } from '../model/error.ts';
import { assertNever } from '../model/assert-never.ts';
import { lagBytes } from '../model/lsn.ts';
import type { Lsn } from '../model/lsn.ts';
import type { Heartbeat, PrimaryEnd } from '../model/role.ts';
import type { Election } from './election.ts';
import { inBytes } from './election-words.ts';

export interface LossOfRoleInput {
  readonly end: RoleEnd;
  readonly spec: GroupSpec;
  /** The recorded commit rule. */
  readonly rule: CommitRule;
  /** The other members as they were last known. */
  readonly standbys: readonly StandbyNews[];
  /** How often the role has been offered to the same member at this epoch since it was last open. */
  readonly restartsTried: number;
  readonly nowMs: number;
}

export type RoleEnd =
  | PrimaryEnd
  | { readonly end: 'timed-out'; readonly kind: 'heartbeat' | 'not-taken-up'; readonly last?: Heartbeat }
  | { readonly end: 'failed'; readonly code: string; readonly words: string };

export interface StandbyNews {
  readonly member: string;
  /** Whether it streamed when it was last heard; undefined where it was not. Kept for the evidence: a primary's death ends every stream. */
  readonly streaming: boolean | undefined;
  readonly flushedLsn?: Lsn;
  readonly electable: boolean;
}

/** What follows when a primary's role has ended. */
export type AfterLoss =
  | { readonly follow: 'failover'; readonly cause: Cause; readonly fencedBy: 'agent' | 'lease' }
  /** The role is offered to the same member at the same epoch: its database starts in place. */
  | { readonly follow: 'restart'; readonly words: string }
  /** The same, after a pause that grows: nothing is known to be wrong with the database, or nobody else could take over. */
  | { readonly follow: 'offer-again'; readonly words: string; readonly alarm: boolean }
  /** Nothing can be done without a person. */
  | { readonly follow: 'stop'; readonly words: string };

/** So many starts in place are tried quickly; after them the offers are spaced out, with an alarm. */
export const RESTARTS_AT_ONCE = 3;

/**
 * Least loss first, then speed (protocol 4.3). Where nobody else could be promoted, the member keeps its role and is started again, whatever
 * ended it: a failover could only fail.
 */
export function decideLoss(input: LossOfRoleInput): AfterLoss {
  const { end } = input;
  switch (end.end) {
    case 'superseded':
      return { follow: 'offer-again', words: end.words, alarm: false };
    case 'paused':
      return {
        follow: 'offer-again',
        words: `somebody paused the role's activity, which stops the lease's clock; the role is offered again: ${end.words}`,
        alarm: true,
      };
    case 'failed':
      return afterFailure(end.code, end.words, input.restartsTried);
    case 'timed-out':
      return afterTimeout(end.kind, input);
    case 'fenced':
      return afterFence(end, input);
    default:
      return assertNever(end);
  }
}

/** An activity that failed is no proof of a fence (protocol 2): the role is offered to the same member, or a person is needed. */
function afterFailure(code: string, words: string, tried: number): AfterLoss {
  if (code === 'EpochStale')
    return {
      follow: 'stop',
      words: `the member has seen a later epoch than this group's: another run has promoted since, or this one was restored from an old backup. ${words}`,
    };
  if (code === 'WrongCluster' || code === 'ForeignDatabase' || code === 'NotInRecovery') return { follow: 'stop', words: `${code}: ${words}` };
  const known: Readonly<Record<string, { retry: boolean } | undefined>> = ERRORS;
  const passes = known[code]?.retry ?? true;
  if (!passes && code !== 'LeaseLost' && tried >= RESTARTS_AT_ONCE)
    return { follow: 'stop', words: `the role failed ${tried + 1} times in the same way. ${code}: ${words}` };
  return { follow: 'offer-again', words: `the role's activity failed (${code}): ${words}`, alarm: true };
}

function afterTimeout(kind: 'heartbeat' | 'not-taken-up', input: LossOfRoleInput): AfterLoss {
  const words =
    kind === 'heartbeat'
      ? `no heartbeat of the primary within its lease of ${input.spec.leaseMs} ms: its node, its network or its agent is gone`
      : "nobody took the primary's role up in time: its node, its network or its agent is gone";
  if (!anyElectable(input)) return keep(input, `${words}; nobody else could be promoted, so its role waits for it`);
  return { follow: 'failover', cause: { kind: kind === 'heartbeat' ? 'lease-expired' : 'not-taken-up', words, knownAtMs: input.nowMs }, fencedBy: 'lease' };
}

type Fenced = Extract<PrimaryEnd, { end: 'fenced' }>;

function afterFence(end: Fenced, input: LossOfRoleInput): AfterLoss {
  const alone = !anyElectable(input);
  const failover = (kind: Exclude<Fenced['cause'], 'asked'>): AfterLoss => ({
    follow: 'failover',
    cause: { kind, words: end.words, knownAtMs: input.nowMs },
    fencedBy: 'agent',
  });
  switch (end.cause) {
    case 'asked':
      return { follow: 'restart', words: `it was stopped because that was asked for, and its role is offered to it again: ${end.words}` };
    case 'not-ours':
      return alone
        ? { follow: 'stop', words: `the primary's database is out of our hands, and nobody else could be promoted: ${end.words}` }
        : failover('not-ours');
    case 'lease':
      // It is in reach again and whole: starting it loses nothing (protocol 3.5).
      if (alone || input.restartsTried === 0) return keep(input, `the primary fenced itself because its lease ran out, and is back: ${end.words}`);
      return failover('lease');
    case 'crashed': {
      if (alone) return keep(input, `the database ended, and nobody else could be promoted: ${end.words}`);
      const lag = input.restartsTried === 0 ? lossByPromotion(end, input) : undefined;
      return lag === undefined ? failover('crashed') : { follow: 'restart', words: `the database ended (${end.words}); ${lag}, so it is started in place` };
    }
    case 'hung':
      return alone ? keep(input, `the database hung, and nobody else could be promoted: ${end.words}`) : failover('hung');
    case 'disk-full':
    case 'read-only':
    case 'not-started':
      // Starting it at once would end the same way: somebody has to make room, or look.
      if (alone) return { follow: 'offer-again', words: `${end.words}; nobody else could be promoted, so it is tried again`, alarm: true };
      return failover(end.cause);
    default:
      return assertNever(end.cause);
  }
}

function keep(input: LossOfRoleInput, words: string): AfterLoss {
  return input.restartsTried < RESTARTS_AT_ONCE
    ? { follow: 'restart', words }
    : { follow: 'offer-again', words: `${words} (tried ${input.restartsTried} times)`, alarm: true };
}

function anyElectable({ standbys }: LossOfRoleInput): boolean {
  return standbys.some((standby) => standby.electable);
}

/**
 * Why a promotion is sure to lose what a start in place keeps; undefined where it is not sure. What is known here is some heartbeats old, so only
 * a lag that the policy forbids counts: the election decides by exact places, and `restartInstead` after it.
 */
function lossByPromotion(end: Fenced, input: LossOfRoleInput): string | undefined {
  const electable = input.standbys.filter((standby) => standby.electable);
  if (input.spec.durability.mode === 'sync') {
    // How many still answer is asked by the incident: a standby stops streaming the moment that the primary dies, so its news tell nothing here.
    return input.rule.count <= 0 ? 'no standby confirmed its commits' : undefined;
  }
  const { lsn } = end;
  if (lsn === undefined) return undefined;
  const lags = electable.map((standby) => (standby.flushedLsn === undefined ? undefined : lagBytes(lsn, standby.flushedLsn)));
  if (lags.includes(undefined)) return undefined;
  const least = Math.min(...lags.map((lag) => lag ?? 0));
  return least > input.spec.policy.maxLagBytes ? `the nearest standby is ${inBytes(least)} behind, above maxLag` : undefined;
}

export interface RestartInsteadInput {
  readonly cause: Cause['kind'];
  readonly fencedBy: 'agent' | 'lease' | 'person';
  readonly election: Election;
  readonly restartsTried: number;
}

/**
 * Asked after the election, when exact places are known: whether the crashed primary is started in place after all, because that is sure to
 * lose less than the promotion (protocol 4.3). Only its own agent can start it, and only a crash leaves a database that is likely to come back.
 */
export function restartInstead({ cause, fencedBy, election, restartsTried }: RestartInsteadInput): { restart: false } | { restart: true; words: string } {
  const mayComeBack = (cause === 'crashed' || cause === 'lease') && fencedBy === 'agent' && restartsTried === 0;
  if (!mayComeBack) return { restart: false };
  if (election.outcome === 'nobody') return { restart: true, words: `${election.words}; the old primary is started in place, which loses nothing` };
  if (election.loss.kind === 'at-most' && election.loss.bytes > 0)
    return {
      restart: true,
      words: `promoting ${election.member} would lose up to ${inBytes(election.loss.bytes)}; starting the old primary in place loses nothing`,
    };
  return { restart: false };
}
