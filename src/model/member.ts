import type { Lsn } from './lsn.ts';

/** What lies in a member's data directory, read without its server's help. */
export type Footprint =
  | { readonly state: 'empty' }
  /** Something is there that is no database of this kind: it is never overwritten. */
  | { readonly state: 'foreign'; readonly found: string }
  /** A clone or a rewind was begun and not finished: only a new clone makes it whole. */
  | { readonly state: 'torn'; readonly by: 'clone' | 'rewind' }
  | {
      readonly state: 'data';
      /** The same for every member of a group. */
      readonly systemId: string;
      readonly version: string;
      readonly timeline: number;
      /** The last checkpoint's place. */
      readonly checkpointLsn: Lsn;
      /** Whether it was shut down in order, so that `checkpointLsn` is the end of its log. */
      readonly cleanShutdown: boolean;
      /** Whether its next start would be as a standby. */
      readonly standby: boolean;
    };

/** What a running database says of itself. */
export interface LiveState {
  readonly inRecovery: boolean;
  readonly systemId: string;
  readonly timeline: number;
  /** The furthest place that is safe on this member: written and flushed on a primary, received and flushed on a standby. */
  readonly flushedLsn: Lsn;
  /** A standby's replayed place; the same as `flushedLsn` on a primary. */
  readonly replayedLsn: Lsn;
  readonly replayPaused: boolean;
  readonly receiver: ReceiverState;
  /** A primary's view of those who stream from it. */
  readonly followers: readonly Follower[];
  readonly slots: readonly Slot[];
  /** A primary's; left out where it archives nothing. */
  readonly archiver?: ArchiverState;
  /** On a primary: the members for whom no log is kept any more, since they were away for more of it than is kept. */
  readonly letGo?: readonly string[];
}

export interface ArchiverState {
  /** Segments that are to be archived and are not yet; a stop in order archives them first. */
  readonly waiting: number;
  readonly oldestWaitsMs: number;
  /** Whether the last try failed. */
  readonly failing: boolean;
}

/**
 * A standby's receiver. `stamp` changes whenever anything arrives, and is compared only with itself: it is no clock. PostgreSQL calls one streaming as soon as it
 * is connected, also where its upstream will refuse it in a moment, for want of the log that it asks for; `heard` tells whether anything has come.
 */
export type ReceiverState =
  | { readonly state: 'none' }
  | { readonly state: 'streaming' | 'starting'; readonly from: string; readonly stamp: string; readonly heard?: boolean };

export interface Follower {
  /** The member's name, as its connection says. */
  readonly name: string;
  readonly state: string;
  readonly flushedLsn: Lsn;
  readonly replayedLsn: Lsn;
  /** Whether a commit waits for it now. */
  readonly confirms: boolean;
  /**
   * Whether it streams through the slot of the member whose name it bears, which one connection at a time can. Any client may call itself by a member's
   * name; only the word of one that holds the member's slot counts for that member (protocol 3.3).
   */
  readonly holdsSlot: boolean;
}

export interface Slot {
  readonly name: string;
  readonly active: boolean;
  readonly retainedBytes: number;
  /** Its log was let go: nobody can stream through it any more. */
  readonly lost?: boolean;
  readonly logical?: boolean;
  /** A logical one that its user wishes to have on the standbys too (PostgreSQL 17 and later). */
  readonly failover?: boolean;
}

/** Where a standby receives from. */
export interface Upstream {
  readonly member: string;
  readonly host: string;
  readonly port: number;
}

/** How the kernel, or only a process, ends a primary whose lease has run out (protocol 1.4). */
export type FenceKind = 'kernel' | 'process';

/** A time in which Temporal did not answer an agent, on the agent's own clock. */
export interface Away {
  readonly lastedMs: number;
  readonly endedAgoMs: number;
}

/** The agent's answer to an incident's question. A member that gives none in time is silent, which is a fact about the path to it (I3). */
export interface MemberReport {
  readonly member: string;
  /** The highest epoch that this member has acted on. */
  readonly epoch: number;
  /** The last epoch at which a promotion may have opened it for writes, 0 where none did; left out by agents of before that could not say so. */
  readonly opened?: number;
  readonly role: 'primary' | 'standby' | 'none';
  readonly footprint: Footprint;
  /** Left out where the database does not run or does not answer; `trouble` then says why. */
  readonly live?: LiveState;
  readonly trouble?: string;
  /** Milliseconds, on the member's own clock, since anything was received from the primary; left out where it never was. */
  readonly fedAgoMs?: number;
  /** Whether its place is frozen: its receiver has been detached (protocol 3.2), or is gone and was asked about where the primary itself says that it has stopped. */
  readonly detached: boolean;
  readonly fence: FenceKind;
  /** Milliseconds left of the lease that this member's guard holds; left out where it holds none. */
  readonly leaseLeftMs?: number;
  /** The Temporal namespace and cluster that this agent belongs to. */
  readonly cluster: string;
  /** The last time in which Temporal did not answer this agent; left out where there was none since it began. */
  readonly away?: Away;
}
