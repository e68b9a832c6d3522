import type { PassedTimeline } from '../model/act.ts';
import type { CommitRule } from '../model/group.ts';
import type { Lsn } from '../model/lsn.ts';
import type { Footprint, LiveState, Upstream } from '../model/member.ts';
import type { LaunchSpec } from '../guard/messages.ts';

/**
 * One member's database, of whatever kind. Every act may be asked twice, by another process, after any crash: it reads
 * the state of the world first, and what is so already counts as done (I5).
 *
 * The driver never starts or stops the database process: the guard does, by the `LaunchSpec` that `launch` makes.
 * An expected answer is returned; only the lack of one throws an `UnderstudyError`.
 */
export interface DatabaseDriver {
  /** `postgres` */
  readonly kind: string;

  /** Reads the data directory, without the server's help. */
  footprint(signal: AbortSignal): Promise<Footprint>;

  /** Makes a new database in an empty directory (or completes one that was begun). Never touches one that holds data. */
  found(signal: AbortSignal): Promise<void>;

  /** Puts our included settings in place in a directory that holds data, the user's own left as they are. */
  adopt(settings: Settings): Promise<void>;

  /**
   * Makes this member a standby's copy of `upstream`, in a new directory beside the old one, swapped when complete.
   * The database must be stopped. `progress` hears words for the heartbeat.
   */
  clone(upstream: Upstream, signal: AbortSignal, progress: (words: string) => void): Promise<void>;

  /**
   * Winds a former primary back to where `upstream`'s history begins. The database must be stopped, `upstream` writable and its
   * checkpoint done. `impossible` says why only a clone can help. A rewind that dies half way leaves a `torn` footprint.
   */
  rewind(upstream: Upstream, signal: AbortSignal, progress: (words: string) => void): Promise<{ outcome: 'rewound' } | { outcome: 'impossible'; why: string }>;

  /** Asks `upstream`, which need not be ours, what a rejoin needs to know: its system, timeline, and where each timeline forked. */
  history(upstream: Upstream, signal: AbortSignal): Promise<UpstreamHistory>;

  /**
   * This member's slot at `upstream` is there and of use: made where it was missing, and made anew where its log was let go. The password that it was
   * reached with is the one that the database receives by, too, from then on.
   */
  claimSlot(upstream: Upstream, signal: AbortSignal): Promise<'kept' | 'made'>;

  /** Where the running database listens elsewhere than it would if it were started now: in words, since only a restart moves it. */
  movedFrom(): Promise<string | undefined>;

  /** The end of this stopped member's log, exactly. Undefined where it cannot be known. */
  endOfLog(signal: AbortSignal): Promise<{ timeline: number; lsn: Lsn } | undefined>;

  /**
   * Prepares a stopped directory so that its next start is in `role`, and says how to start it. A standby's marker is written before
   * it may start, so that nothing that dies here can leave a second primary behind (protocol 7).
   */
  launch(role: 'primary' | 'standby', settings: Settings): Promise<LaunchSpec>;

  /** Opens the control connection to the running database. It never reconnects by itself: a lost connection is a fact to be seen. */
  connect(signal: AbortSignal): Promise<LiveDatabase>;
}

/** What the included file must say. All of it is derived from the role, so that it can be written again at any time. */
export interface Settings {
  /** Where a standby receives from; undefined detaches it: nothing is received any more. */
  readonly upstream: Upstream | undefined;
  /** The commit rule in force; `count` 0 is asynchronous. */
  readonly rule: CommitRule;
  readonly leaseMs: number;
}

export interface UpstreamHistory {
  readonly systemId: string;
  readonly writable: boolean;
  readonly timeline: number;
  /** Whether the control file knows the timeline already, which a rewind needs (its checkpoint after promotion is done). */
  readonly checkpointed: boolean;
  /** Where each earlier timeline ended, oldest first. */
  readonly forks: readonly { timeline: number; endLsn: Lsn }[];
  /** Where the oldest log that it still has begins: whoever stands before that can follow it no more. */
  readonly keepsFrom?: Lsn;
}

/** The control connection of the agent to its running database. Every call has a limit of its own and throws `DatabaseUnreachable` past it. */
export interface LiveDatabase {
  look(): Promise<LiveState>;
  /** One small read for the heartbeat: cheaper than `look`. */
  pulse(): Promise<Pulse>;
  /** One small local write, waiting for no standby: whether this database can still write. Never fooled by taken connections or a checkpoint. */
  probeWrite(limitMs: number): Promise<WriteProbe>;
  /**
   * Writes the settings and has them in force on return (read back). False where only the rule is not known to hold yet, which is no trouble on a
   * standby, where it binds nothing.
   */
  settle(settings: Settings): Promise<boolean>;
  /** Which of these settings are not in force, though they were settled: something outranks them since, such as ALTER SYSTEM. Empty where all are. */
  outranked(settings: Settings): Promise<readonly string[]>;
  /** Stops receiving and returns once the receiver is gone: the place is frozen. */
  detach(settings: Settings): Promise<void>;
  /**
   * Leaves recovery; returns once it writes on a new timeline. `already` where it had.
   *
   * @param passed a timeline that another has begun and this member has not followed onto: the new one is a later one, since two that bear one number could
   *   not be told apart
   */
  promote(limitMs: number, passed?: PassedTimeline): Promise<{ outcome: 'promoted' | 'already'; timeline: number; lsn: Lsn }>;
  /** Waits until what was received is replayed, up to the limit. */
  drained(limitMs: number): Promise<boolean>;
  checkpoint(): Promise<void>;
  /** As the running server says it: `15.18`. */
  version(): Promise<string>;
  /**
   * Writes one small mark into a primary's log and returns its end once it is flushed here; it waits for no standby. Whoever has flushed that far
   * has received what was sent after this call began (protocol 3.3).
   * @throws UnderstudyError `DatabaseUnreachable` past the limit
   */
  mark(limitMs: number): Promise<Lsn>;
  /**
   * One small commit that waits for whatever the commit rule waits for, on a connection of its own: acknowledged, the group takes writes.
   * Returns its place. @throws UnderstudyError `DatabaseUnreachable` past the limit
   */
  commitOnce(limitMs: number): Promise<Lsn>;
  /** On a primary: the replication account and the superuser's password are there. Waits for no standby, since none may follow yet. */
  ensureAccounts(): Promise<void>;
  /** Each named member has a slot; slots that we made for others are dropped; those of the user are left alone. */
  slots(members: readonly string[]): Promise<void>;
  /** Before it follows: slots that we made keep no log here any more, and logical ones of its time as primary make room for those that come with the log. */
  releaseSlots(): Promise<void>;
  /** Sessions other than ours are ended, so that a planned stop is quick. */
  endSessions(): Promise<number>;
  /** Undefined while all is well; else why this connection is of no use any more. */
  readonly lost: Promise<string>;
  close(): Promise<void>;
}

export interface Pulse {
  readonly inRecovery: boolean;
  readonly timeline: number;
  readonly flushedLsn: Lsn;
  readonly replayedLsn: Lsn;
  readonly receiver: LiveState['receiver'];
  readonly followers: LiveState['followers'];
  /** On a primary: the members for whom no log is kept any more, since they were away for more of it than is kept. */
  readonly letGo?: readonly string[];
}

export type WriteProbe =
  | { readonly outcome: 'written' }
  /** It could not be asked: connections taken, a limit of ours. It says nothing about the database (I3). */
  | { readonly outcome: 'unknown'; readonly words: string }
  | { readonly outcome: 'slow'; readonly words: string }
  | { readonly outcome: 'disk-full' | 'read-only' | 'in-recovery' | 'broken'; readonly words: string };
