import type { LeaseKeeper } from './lease.ts';
import type { Member } from './member.ts';
import type { PrimaryHolder } from './primary.ts';
import type { StandbyHolder } from './standby.ts';

/** What a short act finds in its hands: the member, and whoever holds a role on it now. */
export interface Hands {
  readonly member: Member;
  /** The holder of the primary's role on this member, if it has it. */
  readonly primary: PrimaryHolder | undefined;
  /** The holder of a standby's. */
  readonly standby: StandbyHolder | undefined;
  /** Nobody holds a role on this member. */
  readonly idle: boolean;
  /**
   * Whether an incident of this epoch may still freeze this member. A role of that epoch was given when the incident had decided: a question that comes
   * after it is late, and so is one that was overtaken by a role while it waited.
   */
  mayFreeze(epoch: number): boolean;
  /** L of the role last given. */
  readonly leaseMs: number;
  /** Whoever holds a role of an earlier epoch lets go of it, without touching the database. */
  letGo(epoch: number, why: string): Promise<void>;
  /** Renews a lease by the act's own heartbeats. */
  keepLease(epoch: number, leaseMs: number, phase: 'promoting'): LeaseKeeper;
}
