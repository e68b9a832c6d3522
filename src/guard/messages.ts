import type { ErrorCode } from '../model/error.ts';
import type { FenceKind } from '../model/member.ts';

/** How to start a database process, and how its kind wants to be stopped. Plain data: it crosses the guard's socket. */
export interface LaunchSpec {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Left out: as the guard itself. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Standard output and error are appended here. */
  readonly logFile: string;
  /** Planned (existing sessions are ended, the log is closed in order) and at once. */
  readonly stopSignals: { readonly fast: 'SIGINT' | 'SIGTERM'; readonly immediate: 'SIGQUIT' | 'SIGKILL' };
}

/** One request a line, JSON, each answered by one line with the same `id`. */
export type GuardRequest =
  /**
   * Comes first. With `own` this process becomes the one agent that may command the guard; refused while another connection owns it,
   * with that one's pid in the words. The ownership ends with the connection.
   */
  | { readonly ask: 'hello'; readonly own: boolean; readonly pid: number }
  | { readonly ask: 'status' }
  /**
   * Starts the database unless it runs already. A primary's start names the epoch of its lease and is refused where no such lease lies
   * ahead; a standby's leaves it out.
   */
  | { readonly ask: 'start'; readonly launch: LaunchSpec; readonly epoch?: number }
  /**
   * Pushes the deadline forward; within an epoch it never moves back (protocol 1.2). Answers `ok: false` where the deadline has passed
   * already or a fence is under way: that lease is over.
   */
  | { readonly ask: 'extend'; readonly epoch: number; readonly deadlineMs: number; readonly fenceBeforeMs: number }
  /** Stops the database: `fast` with a limit after which it is made immediate, or `immediate`. Ends the lease. */
  | { readonly ask: 'fence'; readonly mode: 'fast' | 'immediate'; readonly limitMs: number; readonly why: string };

export type GuardAnswer =
  | { readonly ok: true; readonly status: GuardStatus }
  | { readonly ok: false; readonly code: ErrorCode; readonly why: string; readonly status: GuardStatus };

/** What goes up the socket, one a line, and what comes down: an answer, or news that nobody asked for. */
export type RequestLine = GuardRequest & { readonly id: number };
export type GuardLine = (GuardAnswer & { readonly id: number }) | { readonly news: GuardStatus };

/** Sent in answer to each request, and by itself whenever `database` or `lease` changes. */
export interface GuardStatus {
  readonly guardPid: number;
  readonly fence: FenceKind;
  /** Why the kernel does not hold the lease here. */
  readonly fenceWords?: string;
  readonly realtime: boolean;
  /** CLOCK_BOOTTIME as the guard reads it, when this was said: whoever reads another clock must not set deadlines by it. */
  readonly nowMs: number;
  readonly database:
    | { readonly state: 'stopped'; readonly lastExit?: DatabaseExit }
    /** `pid` as seen from outside the namespace; undefined while the start is under way. */
    | { readonly state: 'running'; readonly pid: number | undefined; readonly startedAtMs: number }
    | { readonly state: 'stopping'; readonly pid: number | undefined; readonly why: string };
  /** `deadlineMs` is an instant of CLOCK_BOOTTIME in milliseconds. */
  readonly lease: { readonly epoch: number; readonly deadlineMs: number } | null;
}

export interface DatabaseExit {
  /** Why it ended: a fence that we made, or by itself. */
  readonly by: 'fence' | 'lease' | 'itself';
  readonly code: number | null;
  readonly signal: string | null;
  readonly words: string;
  /** How long the stop took, in milliseconds, for a fence. */
  readonly tookMs?: number;
}
