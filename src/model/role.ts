import type { CommitRule } from './group.ts';
import type { Lsn } from './lsn.ts';
import type { FenceKind, Upstream } from './member.ts';

/** The order that a member's long activity carries. Types of activities are the keys of `ROLE_ACTIVITIES`. */
export interface PrimaryRole {
  readonly group: string;
  readonly member: string;
  readonly epoch: number;
  /** Rises with every order that a group gives: of two for one member, the later one holds. */
  readonly turn: number;
  readonly leaseMs: number;
  /** In force while this role is held, unless `govern` has changed it since (protocol 5). */
  readonly rule: CommitRule;
  /** Whom the workflow may promote by itself at this epoch: E of protocol 3.1. */
  readonly electable: readonly string[];
  /** The other members' names: each gets a slot. */
  readonly others: readonly string[];
  /**
   * An incident promotes this member at this epoch, and the role comes beside that: it holds the lease from now on, waits until the promotion is through, and
   * opens nothing by itself.
   */
  readonly afterPromotion?: true;
  /** Make a new database where the directory is empty. Only the first primary of a group is told so. */
  readonly found: boolean;
  /** The group's database system, where it is known: a directory that holds another is refused. */
  readonly systemId?: string;
  readonly hungAfterMs: number;
  readonly stopWithinMs: number;
}

export interface StandbyRole {
  readonly group: string;
  readonly member: string;
  readonly epoch: number;
  readonly turn: number;
  readonly leaseMs: number;
  readonly upstream: Upstream;
  /**
   * What would be in force if this member were opened next, with everybody but its upstream following: put there long before, so that a promotion need
   * not wait for a reload. It binds nothing while the member follows.
   */
  readonly rule?: CommitRule;
  readonly systemId?: string;
  readonly others: readonly string[];
  readonly stopWithinMs: number;
}

/**
 * How a primary's role ended, told by its own agent. In each case but `paused` and `superseded` the database is stopped: proof (a). `unpromoted`: its data
 * directory still is a standby's, so that no promotion has ever opened it for writes.
 */
export type PrimaryEnd =
  | { readonly end: 'fenced'; readonly cause: FenceCause; readonly lsn?: Lsn; readonly timeline?: number; readonly words: string; readonly unpromoted?: true }
  /** Somebody paused the activity, which stops its lease's clock: the agent hands the role back at once (protocol 1.2). */
  | { readonly end: 'paused'; readonly words: string }
  /** A newer role for this member has arrived, or the workflow asked for the role back and the lease goes on. */
  | { readonly end: 'superseded'; readonly words: string };

export type FenceCause =
  /** The database process has ended by itself. */
  | 'crashed'
  /** It does not finish a local write. */
  | 'hung'
  | 'disk-full'
  | 'read-only'
  /** It is out of our hands: in recovery where it should write, another timeline, another system. */
  | 'not-ours'
  /** A switchover, or the workflow, asked for it. */
  | 'asked'
  /** The lease was about to run out, renewals not being acknowledged. */
  | 'lease'
  /** It could not be started, or started and did not open. */
  | 'not-started';

export type StandbyEnd =
  | { readonly end: 'paused' | 'superseded'; readonly words: string }
  /** The database ended or cannot be made to follow; the workflow offers the role again after a pause. */
  | { readonly end: 'failed'; readonly words: string }
  /** It has left recovery without an order: it was stopped at once. */
  | { readonly end: 'strayed'; readonly words: string };

/** What every heartbeat of a role carries: the last known truth about a member that then falls silent. */
export interface Heartbeat {
  readonly epoch: number;
  readonly role: 'primary' | 'standby';
  readonly phase: RolePhase;
  readonly fence: FenceKind;
  readonly timeline?: number;
  readonly lsn?: Lsn;
  readonly replayedLsn?: Lsn;
  /** A standby: whether its receiver streams. */
  readonly streaming?: boolean;
  readonly followers?: readonly { name: string; state: string; flushedLsn: Lsn; confirms: boolean }[];
  readonly words?: string;
}

export type RolePhase = 'starting' | 'cloning' | 'rewinding' | 'stuck' | 'following' | 'promoting' | 'open' | 'stopping';
