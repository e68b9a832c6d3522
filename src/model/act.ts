import type { CommitRule } from './group.ts';
import type { Lsn } from './lsn.ts';
import type { MemberReport, Upstream } from './member.ts';
import type { PrimaryEnd, PrimaryRole, RolePhase, StandbyEnd, StandbyRole } from './role.ts';
import type { OwnedRecord } from './record.ts';

/**
 * What a member's agent can be asked, on the queue of that member alone. Each act carries the epoch it belongs to, and is refused
 * (`EpochStale`) where the member has seen a higher one. Each may be asked twice.
 */
export interface MemberActs {
  /** Holds the primary's role and its lease; returns when it ends. */
  primary(role: PrimaryRole): Promise<PrimaryEnd>;
  /** Holds a standby's role: makes it follow by whatever it takes, and keeps it so. */
  standby(role: StandbyRole): Promise<StandbyEnd>;
  inspect(ask: InspectAsk): Promise<MemberReport>;
  /** Takes the new epoch's lease, waits out the quarantine where there is no proof of a fence, and opens this member for writes. */
  promote(ask: PromoteAsk): Promise<Promoted>;
  /** Fences this primary in order, by name. */
  stepDown(ask: StepDownAsk): Promise<SteppedDown>;
  /** Puts a commit rule and the set of electable members in force on this primary, and reads it back. */
  govern(ask: GovernAsk): Promise<Governed>;
  checkpoint(ask: CheckpointAsk): Promise<{ tookMs: number }>;
  /** Stops the database of this standby in order and starts it again, with the programs that are there by then. Its role stays. */
  restart(ask: RestartAsk): Promise<Restarted>;
  /** One write that waits for whatever the commit rule waits for: the group takes writes again. */
  firstWrite(ask: MemberAsk & { readonly limitMs: number }): Promise<{ lsn: Lsn; tookMs: number }>;
}

export interface MemberAsk {
  readonly group: string;
  readonly member: string;
  readonly epoch: number;
}

export interface InspectAsk extends MemberAsk {
  /**
   * Detach the receiver so that its place is frozen. `now`: a person says that the primary is fenced. `when-unfed`: its own agent says so: who
   * has no receiver left receives nothing more, and need not be reloaded for it. `when-quiet`: only after nothing was received for half of Q; where
   * something still arrives the primary lives, and nothing is detached (protocol 3.5).
   */
  readonly freeze: 'no' | 'now' | 'when-unfed' | 'when-quiet';
  readonly quarantineMs: number;
  /** What would be in force if this member were opened next: put there with the freeze, so that a promotion need not wait for it. */
  readonly rule?: CommitRule;
}

export interface CheckpointAsk extends MemberAsk {
  /** For a member that is about to be opened: what will be in force then is put there now, while nobody waits. */
  readonly rule?: CommitRule;
}

export interface RestartAsk extends MemberAsk {
  readonly limitMs: number;
  readonly why: string;
}

export interface Restarted {
  /** The database's version as it says it itself. */
  readonly from: string;
  readonly to: string;
  /** Until it answers again; it may still have log to catch up with. */
  readonly tookMs: number;
}

/** Proofs of protocol 2: the agent said so, the lease ran out (quarantine needed), a person vouches. */
export type FenceProof = 'agent' | 'lease' | 'person';

export interface PromoteAsk extends MemberAsk {
  readonly leaseMs: number;
  readonly proof: FenceProof;
  readonly rule: CommitRule;
  readonly electable: readonly string[];
  readonly others: readonly string[];
  /** The furthest place that the election counted on: it must be replayed before opening. */
  readonly fromLsn: Lsn;
  /** The last primary's timeline, where this member may not have followed onto it. */
  readonly passed?: PassedTimeline;
  readonly limitMs: number;
}

/** A timeline, and where it left the one before it. */
export interface PassedTimeline {
  readonly timeline: number;
  readonly from: { readonly timeline: number; readonly lsn: Lsn };
}

export interface Promoted {
  readonly outcome: 'promoted' | 'already';
  readonly timeline: number;
  readonly lsn: Lsn;
  /** The timeline it came from, and where it stood on it; left out where it had been promoted before. */
  readonly fork?: { readonly timeline: number; readonly lsn: Lsn };
  /** How long the quarantine was waited for, and how long the database took. */
  readonly quarantineMs: number;
  readonly promoteMs: number;
  readonly openedAtMs: number;
}

export interface StepDownAsk extends MemberAsk {
  /** The epoch that this makes room for: from the stop on, no primary's role of an earlier one is taken here. Left out by workflows of before. */
  readonly next?: number;
  readonly limitMs: number;
  readonly why: string;
}

export interface SteppedDown {
  readonly outcome: 'stopped' | 'already';
  /** Whoever has received this far has everything that was written; left out where it was not a clean stop. */
  readonly lsn?: Lsn;
  readonly timeline?: number;
  readonly clean: boolean;
  readonly tookMs: number;
  readonly closedAtMs: number;
}

export interface GovernAsk extends MemberAsk {
  /** Rises with every order of a group: one that was given up may still arrive, and must not undo a later one. */
  readonly turn: number;
  readonly rule: CommitRule;
  readonly electable: readonly string[];
  /** Return only when what is in the log now is flushed as the new rule says. */
  readonly confirm: boolean;
  readonly limitMs: number;
}

export interface Governed {
  readonly rule: CommitRule;
  readonly confirmed: boolean;
  readonly following: readonly string[];
}

/**
 * What an agent tells its group's workflow by signal, only when it changes: watching costs no history (design.md, idea 4). It is news,
 * not a command: the workflow decides what follows.
 */
export interface MemberNews extends MemberAsk {
  /** Of the order that the news is about: news of an older one is stale. */
  readonly turn: number;
  readonly role: 'primary' | 'standby';
  readonly phase: RolePhase;
  /** A primary's: who streams from it now, sorted. */
  readonly following?: readonly string[];
  readonly upstream?: Upstream;
  /** A standby's: it has received nothing for a while, though it runs. */
  readonly unfed?: true;
  readonly timeline?: number;
  /** A primary's, once it is open. */
  readonly systemId?: string;
  readonly words?: string;
  readonly atMs: number;
}

/** What needs no member: it runs on the workers' own queue. */
export interface ControlActs {
  publishRecord(ask: PublishAsk): Promise<Published>;
  readRecord(ask: {
    readonly provider: string;
    readonly name: string;
    readonly type: OwnedRecord['type'];
  }): Promise<{ words: string; epoch?: number; values?: readonly string[] }>;
  /** The group's incidents that may still promote somebody, whoever began them, and whether one has been over for a moment only. */
  formerIncidents(ask: { readonly group: string }): Promise<{ readonly deciding: readonly string[]; readonly lately: boolean }>;
}

export interface PublishAsk {
  readonly provider: string;
  readonly record: OwnedRecord;
}

/** An outcome of `applied` or `already` has been read back from every authoritative server where `verifiedAtMs` is there. */
export interface Published {
  readonly outcome: 'applied' | 'already' | 'lost-race' | 'foreign-owner' | 'key-refused' | 'refused' | 'unreachable' | 'slow';
  readonly words: string;
  readonly publishedAtMs?: number;
  readonly verifiedAtMs?: number;
}
