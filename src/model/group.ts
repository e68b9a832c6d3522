import type { RecordSpec } from './record.ts';

/** A database group as its workflow knows it: what the operator wrote, in plain numbers, without secrets (I9). */
export interface GroupSpec {
  readonly name: string;
  /** The driver, by name: `postgres`. */
  readonly database: string;
  /** L of the protocol: the heartbeat timeout of the primary's role, in milliseconds. */
  readonly leaseMs: number;
  readonly members: readonly MemberSpec[];
  readonly durability: Durability;
  readonly policy: Policy;
  readonly records: readonly RecordSpec[];
}

export interface MemberSpec {
  readonly name: string;
  /** Where clients and the other members reach its database. */
  readonly host: string;
  readonly port: number;
  /** Absolute name, with its final dot, that SRV and CNAME records point to; needed by those only. */
  readonly dnsName?: string;
  /** Breaks a tie between equally advanced members, higher first; 0: never promoted by itself. */
  readonly priority: number;
}

/** `sync`: no acknowledged write is lost by an automatic action. `async`: a promotion may lose up to `policy.maxLagBytes`. */
export type Durability =
  | {
      readonly mode: 'sync';
      /** How many standbys confirm each commit. */
      readonly confirm: number;
      /** With no standby left, writes block for this long before the rule is relaxed; left out: for ever. */
      readonly relaxAfterMs?: number;
    }
  | { readonly mode: 'async' };

export interface Policy {
  /** `observe`: decide and say what would have been done, but do nothing. */
  readonly mode: 'automatic' | 'observe';
  /** `required`: a person approves each automatic failover. */
  readonly approval: 'none' | 'required';
  readonly approvalWithinMs: number;
  /** No second automatic failover sooner than this after the last one (I7). */
  readonly minIntervalMs: number;
  readonly maxPerDay: number;
  /** `async`: more may not be lost by an automatic promotion. */
  readonly maxLagBytes: number;
  /** A member that has not answered an incident's question in this time is silent. */
  readonly answerWithinMs: number;
  /** A crashed primary is given this long to be back where restarting loses less than promoting. */
  readonly restartWithinMs: number;
  /** A planned stop is given this long before it is made immediate. */
  readonly stopWithinMs: number;
  /** A switchover does not start while its target lags more than this. */
  readonly switchoverMaxLagBytes: number;
  /** A database that does not finish a local write in this time is hung. */
  readonly hungAfterMs: number;
}

/** Every commit acknowledged under the epoch is flushed on at least `count` of `names` (besides the primary). Protocol 5. */
export interface CommitRule {
  readonly names: readonly string[];
  readonly count: number;
}

/** What `async` records: nothing is promised of any standby. */
export const NO_RULE: CommitRule = { names: [], count: 0 };
