import { startStopwatch } from '../runtime/clock.ts';
import type { Look } from './probe.ts';
import { meaningOf } from './trouble.ts';

/** A look without its latency, which `bounded` measures. */
export type Found =
  | { readonly outcome: 'up'; readonly value?: number; readonly words?: string }
  | { readonly outcome: 'down' | 'unknown'; readonly words: string };

/** What a look that is under way may say. Only the first word counts. */
export interface Ending {
  settle(found: Found): void;
  /** Ends the look by what the error means; `who` begins the sentence: `10.0.0.1:80`. */
  fail(who: string, error: unknown): void;
  /** How far it has come, for the words of a timeout; with `ours`, a timeout at this point is our own trouble. */
  at(stage: string, whose?: 'ours' | 'theirs'): void;
}

/**
 * A timer this much late means that this process was held up: it cannot say of anybody that no answer came in time. A busy host's timers
 * are late by some ten milliseconds.
 */
const HELD_UP_MS = 250;

/**
 * One look from its start to its end: by what it finds, by its timeout, or by the caller's signal, whichever is first. Then `start`'s
 * return value is called, which lets go of everything that is open.
 *
 * @param start begins the look, and returns what ends it; what it throws is a defect
 */
export function bounded(timeoutMs: number, signal: AbortSignal, start: (ending: Ending) => () => void): Promise<Look> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve(STOPPED);
    const elapsedMs = startStopwatch();
    let settled = false;
    let stop: (() => void) | undefined;
    let stage = 'beginning';
    let whose: 'ours' | 'theirs' = 'theirs';
    const end = (look: Look): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      stop?.();
      resolve(look);
    };
    const settle = (found: Found): void => end(found.outcome === 'unknown' ? { ...found, outcome: 'unknown' } : withLatency(found, elapsedMs()));
    const onAbort = (): void => end(STOPPED);
    const onTimeout = (): void => {
      const lateMs = elapsedMs() - timeoutMs;
      // What came while this process was busy with something else is read before the timeout is judged: timers come first in Node's loop.
      setImmediate(() => {
        if (lateMs > HELD_UP_MS) return settle({ outcome: 'unknown', words: `this process was held up for ${Math.round(lateMs)} ms` });
        settle({ outcome: whose === 'ours' ? 'unknown' : 'down', words: `no answer in ${timeoutMs} ms (${stage})` });
      });
    };
    const timer = setTimeout(onTimeout, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      stop = start({
        settle,
        fail: (who, error) => {
          const { outcome, words } = meaningOf(error);
          settle({ outcome, words: `${who}: ${words}` });
        },
        at: (next, ofWhom = 'theirs') => {
          stage = next;
          whose = ofWhom;
        },
      });
    } catch (defect) {
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      return reject(defect as Error);
    }
    if (settled) stop();
  });
}

const STOPPED: Look = { outcome: 'unknown', words: 'the look was stopped before it found anything' };

function withLatency(found: Exclude<Found, { outcome: 'unknown' }> | { outcome: 'down' | 'unknown'; words: string }, latencyMs: number): Look {
  if (found.outcome === 'up') return { ...found, latencyMs };
  return { outcome: 'down', latencyMs, words: found.words };
}

export const sayHost = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
