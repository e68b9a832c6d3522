import { me, theEngine } from '../globals.ts';

/** Stands in for src/runtime/clock.ts: the same promises, by the clock of whichever machine the caller runs on. */
export const BOOT_RESOLUTION_MS = 10;

export function bootTimeMs(): number {
  return Math.floor(me().machine.bootMs(theEngine().nowMs) / BOOT_RESOLUTION_MS) * BOOT_RESOLUTION_MS;
}

export function wallTimeMs(): number {
  return Date.now();
}

export function startStopwatch(): () => number {
  const startedMs = performance.now();
  return () => performance.now() - startedMs;
}
