import { setTimeout as sleep } from 'node:timers/promises';
import { StageError } from './stage-error.ts';

export interface WaitOptions {
  readonly limitMs: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits until nothing is missing any more.
 *
 * @param missing in words, what does not hold yet; empty where all does
 * @throws StageError with what was still missing at the limit; the signal's reason where it was aborted
 */
export async function waitUntil(
  what: string,
  missing: () => Promise<readonly string[]> | readonly string[],
  { limitMs, everyMs = 100, signal }: WaitOptions,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    signal?.throwIfAborted();
    const open = await missing();
    if (open.length === 0) return;
    if (performance.now() > endMs) throw new StageError(`${what} was not so within ${Math.round(limitMs / 100) / 10} s: ${open.join('; ')}`);
    await sleep(everyMs, undefined, signal === undefined ? {} : { signal });
  }
}
