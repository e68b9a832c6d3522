/** A kill takes this long on a small host, whatever the lease (protocol 1.4: up to 133 ms were measured). */
const LEAST_MARGIN_MS = 150;
/** A fence that the guard makes by itself needs no more time than this before the deadline. */
const MOST_FENCE_BEFORE_MS = 1000;

export interface LeaseInput {
  /** When the acknowledged heartbeat was sent, noted before the send, on the sender's own CLOCK_BOOTTIME. */
  readonly sentBootMs: number;
  readonly leaseMs: number;
  readonly marginMs: number;
}

/**
 * The instant of CLOCK_BOOTTIME by which this member must have stopped taking writes.
 *
 * It counts from just before the last acknowledged heartbeat was sent: the server cannot have begun its own count earlier, so this
 * member is fenced before anyone may promote another (I1).
 *
 * @throws RangeError where the lease is too short: the guard would have to fence before the next renewal could arrive
 * @see protocol 1.2
 */
export function leaseDeadlineMs({ sentBootMs, leaseMs, marginMs: margin }: LeaseInput): number {
  if (!Number.isFinite(sentBootMs) || sentBootMs < 0) throw new RangeError(`no instant of CLOCK_BOOTTIME: ${sentBootMs}`);
  if (!leaseFits(leaseMs, margin)) {
    const needed = margin + fenceBeforeMs(leaseMs) + renewEveryMs(leaseMs);
    throw new RangeError(`a lease of ${leaseMs} ms is too short: margin, fence and one renewal take ${needed} ms of it`);
  }
  return sentBootMs + leaseMs - margin;
}

/** Whether margin, fence and the wait for one renewal fit into the lease. */
export function leaseFits(leaseMs: number, margin: number): boolean {
  return leaseMs >= margin + fenceBeforeMs(leaseMs) + renewEveryMs(leaseMs);
}

/**
 * How much earlier than the server's lease the member's own ends: clock drift, and the time a kill takes.
 *
 * @param measuredStopMs the longest that an immediate stop took on this host; 0 where none was measured
 * @throws RangeError for a lease or a stop that is no duration
 */
export function marginMs(leaseMs: number, measuredStopMs: number): number {
  requireDuration('a measured stop', measuredStopMs);
  return Math.max(requireLease(leaseMs) / 10, LEAST_MARGIN_MS, measuredStopMs);
}

/** How long before the deadline the guard stops the database by itself, so that the kernel need not (protocol 1.5). */
export function fenceBeforeMs(leaseMs: number): number {
  return Math.min(requireLease(leaseMs) / 5, MOST_FENCE_BEFORE_MS);
}

/** Three renewals may be lost before the lease is. */
export function renewEveryMs(leaseMs: number): number {
  return requireLease(leaseMs) / 4;
}

/** Q: how long a candidate must have heard nothing from the primary before it is promoted without another proof (protocol 3.2). */
export function quarantineMs(leaseMs: number): number {
  return requireLease(leaseMs);
}

function requireLease(leaseMs: number): number {
  if (leaseMs === 0) throw new RangeError('a lease of 0 ms is none');
  return requireDuration('a lease', leaseMs);
}

function requireDuration(what: string, ms: number): number {
  if (!Number.isFinite(ms) || ms < 0) throw new RangeError(`${what} of ${ms} ms is no duration`);
  return ms;
}
