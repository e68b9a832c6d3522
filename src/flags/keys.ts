import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { SecretRef } from '../model/config.ts';
import { startStopwatch } from '../runtime/clock.ts';
import { resolveSecret } from '../runtime/secret.ts';

/** Who may ask for which services' flags. */
export interface FlagKey {
  /** For logs and the streams' addresses: no secret. */
  readonly name: string;
  readonly secret: SecretRef;
  readonly services: readonly string[] | 'all';
}

export interface RateLimit {
  /** Evaluations a second that a key may ask for in the long run; a bulk evaluation counts as one. */
  readonly perSecond: number;
  /** And at once. */
  readonly burst: number;
}

export interface Caller {
  readonly name: string;
  readonly services: readonly string[] | 'all';
  readonly bucket: Bucket;
}

interface Entry extends Caller {
  readonly digest: Buffer;
  readonly ticketKey: Buffer;
}

/** The keys' digests: the secrets themselves are read once, at the start, and kept nowhere (I9). */
export class KeyRing {
  readonly #entries: readonly Entry[];

  /** @throws UnderstudyError `SecretMissing` */
  constructor(keys: readonly FlagKey[], rate: RateLimit, resolve: (ref: SecretRef) => string = resolveSecret) {
    this.#entries = keys.map(({ name, secret, services }) => {
      const text = resolve(secret);
      return {
        name,
        services,
        bucket: new Bucket(rate),
        digest: digestOf(text),
        ticketKey: createHmac('sha256', text).update('understudy event streams').digest(),
      };
    });
  }

  /** Whose key these headers hold; undefined where they hold none that is known. It takes as long for a nearly right key as for any other. */
  callerOf(headers: IncomingHttpHeaders): Caller | undefined {
    const { authorization } = headers;
    const text = authorization === undefined ? headers['x-api-key'] : /^bearer +(.+)$/i.exec(authorization)?.[1];
    if (typeof text !== 'string') return undefined;
    const digest = digestOf(text);
    let found: Entry | undefined;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, digest)) found = entry;
    return found;
  }

  /**
   * Opens one service's stream of events, and nothing else: a browser's EventSource sends no headers, so its address must say who asks, and addresses are
   * written into logs. It lives as long as the key.
   */
  ticketFor(caller: Caller, service: string): string {
    const entry = this.#entries.find(({ name }) => name === caller.name);
    if (entry === undefined) throw new Error(`no key is called ${caller.name}`);
    return ticketOf(entry, service);
  }

  callerOfTicket(name: string, service: string, ticket: string): Caller | undefined {
    const entry = this.#entries.find((one) => one.name === name);
    if (entry === undefined) return undefined;
    return timingSafeEqual(digestOf(ticketOf(entry, service)), digestOf(ticket)) ? entry : undefined;
  }
}

export function maySee({ services }: Caller, service: string): boolean {
  return services === 'all' || services.includes(service);
}

/** A token bucket: it fills steadily up to its size, and each evaluation takes one out. */
export class Bucket {
  readonly #perSecond: number;
  readonly #size: number;
  readonly #clock: () => number;
  #tokens: number;
  #atMs = 0;

  constructor({ perSecond, burst }: RateLimit, clock: () => number = startStopwatch()) {
    this.#perSecond = perSecond;
    this.#size = burst;
    this.#tokens = burst;
    this.#clock = clock;
  }

  /** @returns 0 where one was taken; else the whole seconds until there is one again */
  take(): number {
    const nowMs = this.#clock();
    this.#tokens = Math.min(this.#size, this.#tokens + ((nowMs - this.#atMs) * this.#perSecond) / 1000);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return Math.max(1, Math.ceil((1 - this.#tokens) / this.#perSecond));
    this.#tokens -= 1;
    return 0;
  }
}

function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

function ticketOf({ ticketKey }: Entry, service: string): string {
  return createHmac('sha256', ticketKey).update(service).digest('base64url');
}
