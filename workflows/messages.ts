import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { MemberNews } from '../src/model/act.ts';
import type { CommitRule, GroupSpec } from '../src/model/group.ts';
import type { Lsn } from '../src/model/lsn.ts';
import type { Incident } from '../src/model/incident.ts';
import type { BeginAsk, FailoverAsk, MemberOrder, PauseAsk, SwitchoverAsk } from '../src/decide/operator.ts';
import type { RollAsk } from '../src/decide/roll.ts';
import type { ChangeWord, Signed, Started } from '../src/model/operator.ts';
import type { GroupStatus } from '../src/model/status.ts';

/**
 * The operators' control panel. Each word is an Update, whose validator refuses with a reason and leaves no trace; and the same word works as
 * a Signal, so that the Temporal UI and CLI are enough in an emergency: what the validator would refuse is then ignored, and shown.
 */
export const WORDS = {
  failover: defineUpdate<Started, [FailoverAsk]>('failover'),
  switchover: defineUpdate<Started, [SwitchoverAsk]>('switchover'),
  pause: defineUpdate<string, [PauseAsk]>('pause'),
  resume: defineUpdate<string, [Signed]>('resume'),
  exclude: defineUpdate<string, [MemberOrder]>('exclude'),
  include: defineUpdate<string, [MemberOrder]>('include'),
  change: defineUpdate<string, [ChangeWord]>('change'),
  override: defineUpdate<string, [Signed]>('override'),
  begin: defineUpdate<string, [BeginAsk]>('begin'),
  roll: defineUpdate<string, [RollAsk]>('roll'),
} as const;

export const SIGNALS = {
  failover: defineSignal<[FailoverAsk]>('failover'),
  switchover: defineSignal<[SwitchoverAsk]>('switchover'),
  pause: defineSignal<[PauseAsk]>('pause'),
  resume: defineSignal<[Signed]>('resume'),
  exclude: defineSignal<[MemberOrder]>('exclude'),
  include: defineSignal<[MemberOrder]>('include'),
  change: defineSignal<[ChangeWord]>('change'),
  override: defineSignal<[Signed]>('override'),
  begin: defineSignal<[BeginAsk]>('begin'),
  roll: defineSignal<[RollAsk]>('roll'),
} as const;

export const status = defineQuery<GroupStatus>('status');
/** The configuration that the group goes by. */
export const spec = defineQuery<GroupSpec>('spec');

/** From a member's agent: what has changed there. */
export const news = defineSignal<[MemberNews]>('news');

/** From an incident to its group. */
/** From an incident that can promote nobody yet: why, so that the group's status says it. */
export const waiting = defineSignal<[{ incident: string; words: string }]>('waiting');
export const elected = defineSignal<[ElectedWord]>('elected');
/** Its agent has refused to promote it, and stopped what it had begun: it is a standby again, so that it can answer. */
export const refused = defineSignal<[{ incident: string; member: string; epoch: number }]>('refused');
export const promoted = defineSignal<[PromotedWord]>('promoted');

/** Whom an incident is about to open, and with what in force from the first write on. */
export interface ElectedWord {
  readonly incident: string;
  readonly member: string;
  readonly epoch: number;
  readonly inForce: CommitRule;
  readonly electable: readonly string[];
}

export interface PromotedWord {
  readonly incident: string;
  readonly member: string;
  readonly epoch: number;
  readonly timeline: number;
  /** The timeline it came from, and where it left it. */
  readonly fork?: { readonly timeline: number; readonly lsn: Lsn };
  /** In force on the new primary from its first write on. */
  readonly inForce: CommitRule;
  /** What may be recorded at once, by the places that the election saw; left out, only what the rules before and after it both imply (protocol 5.3). */
  readonly recorded?: CommitRule;
  readonly electable: readonly string[];
}

/** To an incident. */
export const approve = defineUpdate<string, [Signed]>('approve');
export const decline = defineUpdate<string, [Signed]>('decline');
export const approveSignal = defineSignal<[Signed]>('approve');
export const declineSignal = defineSignal<[Signed]>('decline');
/** From its group, which hears it as a `failover` that accepts the loss; or from a person. */
export const acceptLoss = defineSignal<[Signed]>('acceptLoss');
export const incident = defineQuery<Incident>('incident');
