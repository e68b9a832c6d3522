import type { Incident } from './incident.ts';
import type { CommitRule } from './group.ts';
import type { RolePhase } from './role.ts';

/** What a group's workflow answers to "how are you": the status command, the UI's current details and the operator's validators read it. */
export interface GroupStatus {
  readonly group: string;
  readonly epoch: number;
  readonly phase: GroupPhase;
  /** Who holds the primary's role, or held it last; null before the group began. */
  readonly primary: string | null;
  /** The recorded commit rule (protocol 5.1). */
  readonly rule: CommitRule;
  /** Whom the workflow may promote by itself at this epoch (E of protocol 3.1). */
  readonly electable: readonly string[];
  readonly paused?: Pause;
  readonly held?: { readonly rule: string; readonly words: string; readonly untilMs?: number; readonly override: string };
  readonly members: readonly MemberStatus[];
  /** The last twenty, the newest last. */
  readonly incidents: readonly IncidentLine[];
  /** What a person should know: why it has stopped, what it waits for, which word it could not obey. */
  readonly words?: string;
  /** Decides and says what it would do, but does nothing. */
  readonly observeOnly: boolean;
  readonly specHash: string;
}

export type GroupPhase = 'starting' | 'steady' | 'incident' | 'paused' | 'held' | 'stopped';

/** No automatic action until then; without `untilMs`, until somebody resumes. */
export interface Pause {
  readonly untilMs?: number;
  readonly reason: string;
  readonly by: string;
}

export interface MemberStatus {
  readonly name: string;
  readonly role: 'primary' | 'standby' | 'none';
  readonly epoch: number;
  readonly phase: RolePhase | 'waiting' | 'silent';
  /** How its role ended the last time. */
  readonly lastEnd?: string;
  readonly excluded?: { readonly by: string; readonly reason: string };
  readonly words?: string;
}

export interface IncidentLine {
  readonly id: string;
  readonly kind: Incident['kind'];
  readonly epoch: number;
  readonly cause: string;
  readonly outcome: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
}
