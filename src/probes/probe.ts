import type { SecretRef } from '../model/config.ts';

/** Looks at one thing from one place. It judges a single look; how many of them make a verdict is not its question. */
export interface Probe {
  readonly kind: string;
  /**
   * One look. Resolves within the timeout whatever the other side does, and soon after `signal` is aborted (then `unknown`); rejects only
   * for a defect.
   */
  look(signal: AbortSignal): Promise<Look>;
  /** Lets go of connections that are kept between looks. */
  close(): Promise<void>;
}

/** `latencyMs` is from the first thing done to the last thing heard: names, connection and TLS included. */
export type Look =
  /** `value` is a reading, where the probe gives one. */
  | { readonly outcome: 'up'; readonly latencyMs: number; readonly value?: number; readonly words?: string }
  | { readonly outcome: 'down'; readonly latencyMs: number; readonly words: string }
  /** Our own trouble: no route, a broken resolver, too many open files. It says nothing of the other side, so it is never `down` (I3). */
  | { readonly outcome: 'unknown'; readonly words: string };

/** Reads a secret where it is used (I9). @throws UnderstudyError `SecretMissing` */
export type ResolveSecret = (ref: SecretRef) => string;
