import type { ErrorCode } from '../model/error.ts';

/** A lease as the guard holds it; both instants are of CLOCK_BOOTTIME, in milliseconds. */
export interface HeldLease {
  readonly epoch: number;
  readonly deadlineMs: number;
  /** From here on the guard fences by itself (protocol 1.5). */
  readonly fenceAtMs: number;
}

export interface Extension {
  readonly epoch: number;
  readonly deadlineMs: number;
  readonly fenceBeforeMs: number;
}

export interface Held {
  readonly lease: HeldLease | null;
  /** The highest epoch that this guard has held a lease of. */
  readonly highestEpoch: number;
  readonly fencing: boolean;
  readonly nowMs: number;
}

export type Extended = { readonly ok: true; readonly lease: HeldLease } | { readonly ok: false; readonly code: ErrorCode; readonly why: string };

/** No lease is that long: such a deadline was made by another clock. */
const FURTHEST_AHEAD_MS = 24 * 3_600_000;

/**
 * What an extension does to the lease. Within an epoch the deadline never moves back (protocol 1.2), so that an answer that overtook
 * another does no harm. A higher epoch's deadline replaces the old one as it is: the server has ended the old epoch's role.
 */
export function extendLease({ lease, highestEpoch, fencing, nowMs }: Held, { epoch, deadlineMs, fenceBeforeMs }: Extension): Extended {
  if (fencing) return refuse('LeaseLost', `epoch ${epoch} was not extended: a fence is under way`);
  if (epoch < highestEpoch) return refuse('EpochStale', `epoch ${epoch} is over: this guard has held a lease of epoch ${highestEpoch}`);
  if (deadlineMs <= nowMs)
    return refuse('LeaseLost', `epoch ${epoch} was not extended: the deadline it asked for passed ${Math.round(nowMs - deadlineMs)} ms ago`);
  if (deadlineMs > nowMs + FURTHEST_AHEAD_MS) {
    return refuse(
      'BadInput',
      `epoch ${epoch} was not extended: a deadline ${Math.round((deadlineMs - nowMs) / 3_600_000)} hours ahead is no instant of this host's CLOCK_BOOTTIME`,
    );
  }
  if (lease !== null && lease.deadlineMs <= nowMs && lease.epoch === epoch) {
    return refuse('LeaseLost', `epoch ${epoch} was not extended: its deadline passed ${Math.round(nowMs - lease.deadlineMs)} ms ago`);
  }
  if (lease !== null && lease.epoch === epoch && lease.deadlineMs >= deadlineMs) return { ok: true, lease };
  return { ok: true, lease: { epoch, deadlineMs, fenceAtMs: deadlineMs - fenceBeforeMs } };
}

/** Whether a database may be started now: as a standby without a lease, as a primary under the lease of its epoch. */
export function refuseStart({ lease, fencing, nowMs }: Held, epoch: number | undefined): { code: ErrorCode; why: string } | undefined {
  if (fencing) return { code: 'LeaseLost', why: 'the database was not started: a fence is under way' };
  if (epoch !== undefined && lease?.epoch !== epoch) {
    return {
      code: 'LeaseLost',
      why: `the primary of epoch ${epoch} was not started: ${lease === null ? 'no lease is held' : `the lease held is that of epoch ${lease.epoch}`}`,
    };
  }
  if (lease !== null && nowMs >= lease.fenceAtMs) {
    return { code: 'LeaseLost', why: `the database was not started: the lease of epoch ${lease.epoch} ends now` };
  }
  return undefined;
}

function refuse(code: ErrorCode, why: string): Extended {
  return { ok: false, code, why };
}
