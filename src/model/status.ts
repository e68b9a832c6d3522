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
  /** The first primary is being made, and was never open. */
  readonly founding?: true;
  /** The recorded commit rule (protocol 5.1). */
  readonly rule: CommitRule;
  /** Whom the workflow may promote by itself at this epoch (E of protocol 3.1). */
  readonly electable: readonly string[];
  readonly paused?: Pause;
  readonly held?: { readonly rule: string; readonly words: string; readonly untilMs?: number; readonly override: string };
  /** The rolling restart that is under way, or the last one. */
  readonly roll?: Roll;
  readonly members: readonly MemberStatus[];
  /** The last twenty, the newest last. */
  readonly incidents: readonly IncidentLine[];
  /** What a person should know: why it has stopped, what it waits for, which word it could not obey. */
  readonly words?: string;
  /** Decides and says what it would do, but does nothing. */
  readonly observeOnly: boolean;
  readonly specHash: string;
}

/** Every member's database restarted in turn, the primary's last and by a switchover. */
export interface Roll {
  /** `roll/<group>/<when>` */
  readonly id: string;
  readonly by: string;
  readonly reason: string;
  readonly startedAtMs: number;
  /** Still to be restarted, in this order. */
  readonly left: readonly string[];
  readonly now?: RollAct;
  /** The switchovers that it has begun. */
  readonly incidents: readonly string[];
  readonly done: readonly { readonly member: string; readonly words: string; readonly atMs: number }[];
  readonly ended?: { readonly outcome: 'done' | 'stopped'; readonly words: string; readonly atMs: number };
}

export interface RollAct {
  /** `restart`: its agent is at it. `follow`: it runs, and is waited for until it follows. `switchover`: its role is handed to `to`. */
  readonly act: 'restart' | 'follow' | 'switchover';
  readonly member: string;
  readonly sinceMs: number;
  readonly to?: string;
  readonly incident?: string;
  readonly words?: string;
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
