import { ActivityFailure, ApplicationFailure, CancellationScope, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import type { RoleEnd } from '../src/decide/loss.ts';
import type { GroupSpec } from '../src/model/group.ts';
import type { Heartbeat, PrimaryRole, StandbyEnd, StandbyRole } from '../src/model/role.ts';
import { role } from './acts.ts';

/** A standby beats less often than a primary: its silence stops nothing. */
const STANDBY_SILENT_AFTER_LEASES = 4;
const STANDBY_SILENT_AT_LEAST_MS = 5000;

export type Ended = PrimaryEnded | StandbyEnded;

interface PrimaryEnded {
  readonly kind: 'primary';
  readonly member: string;
  readonly end: RoleEnd | { readonly end: 'taken-back' };
  readonly seenEpoch?: number;
}

interface StandbyEnded {
  readonly kind: 'standby';
  readonly member: string;
  readonly end: StandbyEnd | { readonly end: 'silent' | 'refused'; readonly words: string };
  /** The epoch for which the member refused this one. */
  readonly seenEpoch?: number;
}

interface OpenRole {
  readonly kind: 'primary' | 'standby';
  readonly scope: CancellationScope;
}

/** Which role each member holds open in this run. A newer order for a member makes the one before it no longer ours to hear. */
export class RoleBook {
  readonly #open = new Map<string, OpenRole>();
  /** Orders that a newer one of the same kind has replaced, and that nobody may have taken up yet. */
  readonly #replaced = new Map<string, Set<OpenRole>>();
  readonly #ended: (ended: Ended) => void;

  constructor(ended: (ended: Ended) => void) {
    this.#ended = ended;
  }

  holds(member: string): 'primary' | 'standby' | undefined {
    return this.#open.get(member)?.kind;
  }

  primary(spec: GroupSpec, order: PrimaryRole, takeUpWithinMs: number | undefined): void {
    const act = role(spec.name, order.member, {
      id: `primary/${order.member}/${order.epoch}/${order.turn}`,
      summary: `be primary, epoch ${order.epoch}`,
      heartbeatMs: order.leaseMs,
      takeUpWithinMs,
    });
    this.#hold(order.member, 'primary', async () => ({ kind: 'primary', member: order.member, ...(await roleEnd(act.primary(order))) }));
  }

  standby(spec: GroupSpec, order: StandbyRole): void {
    const act = role(spec.name, order.member, {
      id: `standby/${order.member}/${order.epoch}/${order.turn}`,
      summary: `be standby of ${order.upstream.member}, epoch ${order.epoch}`,
      heartbeatMs: Math.max(STANDBY_SILENT_AT_LEAST_MS, STANDBY_SILENT_AFTER_LEASES * order.leaseMs),
      // A member that is away finds its role waiting when it comes back.
      takeUpWithinMs: undefined,
    });
    this.#hold(order.member, 'standby', async () => ({ kind: 'standby', member: order.member, ...(await standbyEnd(act.standby(order))) }));
  }

  /** Asks for a role back: its agent lets go (a primary is fenced first), and the end is heard like any other. */
  takeBack(member: string): void {
    this.#open.get(member)?.scope.cancel();
  }

  /** Whatever becomes of this member's role is no longer ours to hear; and no order for it is left in its queue, to be taken up too late. */
  forget(member: string): void {
    const open = this.#open.get(member);
    this.#open.delete(member);
    open?.scope.cancel();
    for (const { scope } of this.#replaced.get(member) ?? []) scope.cancel();
  }

  #hold(member: string, kind: OpenRole['kind'], run: () => Promise<Ended>): void {
    // A primary that is offered its role anew goes on under the new order: a cancellation would fence it.
    const before = this.#open.get(member);
    if (kind === 'primary' && before?.kind === 'primary') this.#replaced.set(member, new Set([...(this.#replaced.get(member) ?? []), before]));
    else this.forget(member);
    const entry = { kind, scope: new CancellationScope() };
    this.#open.set(member, entry);
    void entry.scope.run(async () => {
      const ended = await run();
      this.#replaced.get(member)?.delete(entry);
      if (this.#open.get(member) !== entry) return;
      this.#open.delete(member);
      this.#ended(ended);
    });
  }
}

async function roleEnd(running: Promise<RoleEnd>): Promise<Pick<PrimaryEnded, 'end' | 'seenEpoch'>> {
  try {
    return { end: await running };
  } catch (error) {
    if (isCancellation(error)) return { end: { end: 'taken-back' } };
    if (!(error instanceof ActivityFailure)) throw error;
    const { cause } = error;
    if (cause instanceof TimeoutFailure) {
      if (cause.timeoutType === 'SCHEDULE_TO_START') return { end: { end: 'timed-out', kind: 'not-taken-up' } };
      const last = cause.lastHeartbeatDetails as Heartbeat | undefined;
      return { end: { end: 'timed-out', kind: 'heartbeat', ...(last === undefined ? {} : { last }) } };
    }
    if (cause instanceof ApplicationFailure) return { end: { end: 'failed', code: cause.type ?? 'Unexpected', words: cause.message }, ...seenBy(cause) };
    return { end: { end: 'failed', code: 'Unexpected', words: error.message } };
  }
}

async function standbyEnd(running: Promise<StandbyEnd>): Promise<Pick<StandbyEnded, 'end' | 'seenEpoch'>> {
  try {
    return { end: await running };
  } catch (error) {
    if (isCancellation(error)) return { end: { end: 'superseded', words: 'taken back before it was taken up' } };
    if (!(error instanceof ActivityFailure)) throw error;
    const { cause } = error;
    if (cause instanceof TimeoutFailure) return { end: { end: 'silent', words: 'no heartbeat: its node, its network or its agent is gone' } };
    return { end: { end: 'refused', words: cause?.message ?? error.message }, ...(cause instanceof ApplicationFailure ? seenBy(cause) : {}) };
  }
}

function seenBy({ type, details }: ApplicationFailure): { seenEpoch?: number } {
  const [evidence] = details ?? [];
  const highest: unknown = typeof evidence === 'object' && evidence !== null && 'highest' in evidence ? evidence.highest : undefined;
  return type === 'EpochStale' && typeof highest === 'number' ? { seenEpoch: highest } : {};
}
