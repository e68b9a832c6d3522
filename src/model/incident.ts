import type { Lsn } from './lsn.ts';
import type { CommitRule } from './group.ts';
import type { ElectionInput } from '../decide/election.ts';

/** One failover or switchover from its cause to its end: what its workflow returns, and what every report is made from. */
export interface Incident {
  /** The workflow's id. */
  readonly id: string;
  readonly group: string;
  readonly kind: 'failover' | 'switchover';
  /** The epoch that it tried to begin. */
  readonly epoch: number;
  readonly cause: Cause;
  readonly actor: Actor;
  readonly before: {
    readonly primary: string;
    readonly epoch: number;
    readonly rule: CommitRule;
    readonly last?: LastKnown;
    /** When its role ended, where that was not when the cause was known. */ readonly endedAtMs?: number;
  };
  /** What was seen, by whom, in order. */
  readonly evidence: readonly Evidence[];
  /** Each candidate's verdict, of every election that was held, the last one last. */
  readonly elections: readonly ElectionRecord[];
  readonly steps: readonly Step[];
  readonly records: readonly RecordOutcome[];
  readonly loss: Loss;
  readonly outcome: IncidentOutcome;
}

export type IncidentOutcome =
  | { readonly outcome: 'running' }
  | { readonly outcome: 'done'; readonly primary: string; readonly epoch: number; readonly timeline: number }
  /** A switchover gave the role back. */
  | { readonly outcome: 'given-back'; readonly primary: string; readonly words: string }
  | { readonly outcome: 'nobody-fit'; readonly words: string }
  /** The standbys still receive from it: only the orchestrator's sight was lost. Its role is offered to it again (protocol 3.5). */
  | { readonly outcome: 'primary-lives'; readonly words: string }
  /** Starting the old primary in place loses less than any promotion would (protocol 4.3). */
  | { readonly outcome: 'restarted'; readonly words: string }
  | { readonly outcome: 'observed'; readonly wouldPromote: string | null; readonly words: string }
  | { readonly outcome: 'not-approved'; readonly words: string; readonly by?: Actor }
  | { readonly outcome: 'refused'; readonly words: string }
  /** `perhaps`: this member fell silent while it was being opened, and may have taken writes: it counts as the lost primary of that epoch. */
  | {
      readonly outcome: 'failed';
      readonly words: string;
      readonly perhaps?: { readonly member: string; readonly epoch: number; readonly rule: CommitRule; readonly electable: readonly string[] };
    };

export interface Cause {
  readonly kind:
    | 'crashed'
    | 'hung'
    | 'disk-full'
    | 'read-only'
    | 'not-ours'
    | 'lease'
    | 'not-started'
    /** The lease timed out on the server: node, network or agent is gone. */
    | 'lease-expired'
    /** Nobody took the role up in time. */
    | 'not-taken-up'
    | 'operator';
  readonly words: string;
  /** When it was first known to a workflow, milliseconds since 1970. */
  readonly knownAtMs: number;
}

export type Actor = { readonly kind: 'policy' } | { readonly kind: 'person'; readonly name: string; readonly reason: string };

/** The dead primary's last words. */
export interface LastKnown {
  readonly timeline?: number;
  readonly lsn?: Lsn;
  /** How old it was when the role ended, at most. */
  readonly ageMs?: number;
  /** `lsn` is the end of its log, read after it was stopped in order: nothing was written behind it. */
  readonly exact?: boolean;
}

export interface Evidence {
  readonly atMs: number;
  readonly by: string;
  readonly words: string;
}

export interface ElectionRecord {
  readonly atMs: number;
  readonly epoch: number;
  readonly elected: string | null;
  readonly words: string;
  readonly verdicts: readonly Verdict[];
  /** All that it was decided from, the members' answers as they were given: a past incident can be decided again. */
  readonly input: ElectionInput;
}

export interface Verdict {
  readonly member: string;
  readonly fit: boolean;
  readonly words: string;
}

export interface Step {
  readonly name: StepName;
  readonly member?: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly outcome: 'running' | 'done' | 'already' | 'failed' | 'skipped';
  readonly words?: string;
}

export type StepName = 'check' | 'inspect' | 'elect' | 'approval' | 'checkpoint' | 'step-down' | 'promote' | 'publish' | 'verify' | 'first-write' | 'give-back';

export interface RecordOutcome {
  readonly name: string;
  readonly type: string;
  readonly provider: string;
  readonly outcome: string;
  readonly words?: string;
  readonly publishedAtMs?: number;
  readonly verifiedAtMs?: number;
  readonly attempts: number;
}

/** What was or may have been lost. */
export type Loss =
  | { readonly kind: 'none'; readonly words: string }
  /** `unseenMs`: the bound holds for what the last heartbeat knew; what was written in this long after it is not counted. */
  | { readonly kind: 'at-most'; readonly bytes: number; readonly unseenMs?: number; readonly words: string }
  | { readonly kind: 'unknown'; readonly words: string };
