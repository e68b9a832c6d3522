import { readFileSync } from 'node:fs';

/**
 * How far `bootTimeMs` may lie behind CLOCK_BOOTTIME: the kernel prints hundredths of a second and cuts off the rest.
 */
export const BOOT_RESOLUTION_MS = 10;

/**
 * CLOCK_BOOTTIME in milliseconds: it counts on while the host sleeps, which CLOCK_MONOTONIC and so Node's own timers do not, and nobody
 * can set it. Comparable between the processes of one host, never between hosts.
 *
 * It errs downwards only, by less than `BOOT_RESOLUTION_MS`. Taken *before* a renewal is sent, that is the safe side: the lease ends a
 * little earlier. Whoever waits until an instant has surely passed, or notes when something was seen last, adds the resolution.
 *
 * @throws Error where /proc is not mounted or its uptime is no number: then no lease can be timed here
 * @see proc(5), /proc/uptime; clock_gettime(2), CLOCK_BOOTTIME
 */
export function bootTimeMs(): number {
  const text = readFileSync('/proc/uptime', 'latin1');
  const seconds = Number.parseFloat(text);
  if (!Number.isFinite(seconds)) throw new Error(`/proc/uptime does not begin with a number: ${JSON.stringify(text)}`);
  return Math.round(seconds * 1000);
}

/** Milliseconds since 1970 by this host's wall clock: for people and reports, never for a rule. */
export function wallTimeMs(): number {
  return Date.now();
}

/** Starts a stopwatch; each call of what it returns gives the milliseconds since, on the monotonic clock (time asleep not counted). */
export function startStopwatch(): () => number {
  const startedMs = performance.now();
  return () => performance.now() - startedMs;
}
