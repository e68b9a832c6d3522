import type { Trouble } from './provider.ts';

/** `drain` takes no new sessions and lets those that are there finish; `maint` is checked by nobody and takes nothing. */
export type ServerState = 'ready' | 'drain' | 'maint';

export interface FoundServer {
  readonly name: string;
  readonly state: ServerState;
  readonly weight: number;
  /** Open now: a drain is over when it is 0. */
  readonly sessions: number;
  /** By the balancer's own checks; a server that it does not check is up, and nothing is known of one in `maint`. */
  readonly health: 'up' | 'down' | 'starting' | 'stopping' | 'unknown';
}

export interface WantedServer {
  readonly state: ServerState;
  /** Left out: it stays as it is. */
  readonly weight?: number;
}

/** The balancer has no pool, or no server, of that name. */
export type Unknown = { readonly outcome: 'unknown-pool' | 'unknown-server'; readonly words: string };

export type PoolRead = { readonly outcome: 'found'; readonly servers: readonly FoundServer[] } | Unknown | Trouble;
export type PoolApplied = { readonly outcome: 'applied' | 'already'; readonly server: FoundServer } | Unknown | Trouble;

/** What one balancer of several answered. */
export interface FromInstance<T> {
  /** As the configuration names it: a path, or host and port. */
  readonly instance: string;
  readonly answer: T;
}

/**
 * Balancers that spread a pool's requests. Several serve the same pool, each with a state of its own, so that each one's answer is given
 * and none waits for another. They forget what they were told when they restart: whoever drives them reads, and applies again.
 */
export interface PoolDriver {
  readonly kind: string;
  read(pool: string, signal: AbortSignal): Promise<readonly FromInstance<PoolRead>[]>;
  /** Brings a server into a state, and reads it back. Asked twice it changes nothing the second time (I5). */
  apply(pool: string, server: string, wanted: WantedServer, signal: AbortSignal): Promise<readonly FromInstance<PoolApplied>[]>;
}
