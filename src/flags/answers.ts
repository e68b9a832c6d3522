import { createHash } from 'node:crypto';
import { allFlags, variantOf } from '../model/flag.ts';
import { wallTimeMs } from '../runtime/clock.ts';
import { flagdFileOf } from './flagd.ts';
import type { FlagStore, Freshness, Known } from './store.ts';

/** A service's answers, made when its flags change and not when they are asked for. */
export interface Answers {
  /** By the flag's key: the whole body. */
  readonly one: ReadonlyMap<string, Buffer>;
  /** The body of the bulk answer but for its event streams, which differ by key. */
  readonly bulk: string;
  /** In its quotes, as a header holds it. */
  readonly etag: string;
  /** Seconds since 1970 by this host's clock. */
  readonly lastModified: number;
  readonly flagd: Buffer;
}

/**
 * The reason that comes with each value. No flag of a level depends on who asks, so a fresh one is STATIC.
 *
 * OFREP lists no reason for a value out of a cache, and lets a server give others; OpenFeature has these two.
 *
 * @see https://openfeature.dev/specification/types, "Resolution reason"
 */
const REASON: Record<Freshness, string> = { fresh: 'STATIC', cached: 'CACHED', stale: 'STALE' };

export class AnswerBook {
  readonly #answers = new Map<string, Answers>();
  readonly #store: FlagStore;
  readonly #salt: string;
  readonly #leave: () => void;

  /**
   * @param salt what else the bulk answer depends on: another one makes other ETags
   * @param changed is told a service whose answers are new
   */
  constructor(store: FlagStore, salt: string, changed: (service: string, answers: Answers) => void) {
    this.#store = store;
    this.#salt = salt;
    for (const service of store.services()) this.#write(service);
    this.#leave = store.subscribe((service) => {
      this.#write(service);
      changed(service, this.get(service));
    });
  }

  /** Of a service of which nothing is known yet: no flags, so that a client takes its code's defaults, and hears of the first ones. */
  get(service: string): Answers {
    return this.#answers.get(service) ?? finish(new Map(), { service }, Buffer.from('{"flags":{}}\n'), this.#salt);
  }

  close(): void {
    this.#leave();
  }

  #write(service: string): void {
    const known = this.#store.get(service);
    if (known === undefined) this.#answers.delete(service);
    else this.#answers.set(service, answersOf(known, this.#salt));
  }
}

function answersOf({ flags, freshness }: Known, salt: string): Answers {
  const { service, level, score, revision, sinceMs, pinned } = flags;
  const metadata = {
    service,
    level,
    revision,
    since: new Date(sinceMs).toISOString(),
    ...(score === undefined ? {} : { score }),
    ...(pinned === undefined ? {} : { pinnedBy: pinned.by, pinnedFor: pinned.reason, pinnedUntil: new Date(pinned.untilMs).toISOString() }),
  };
  const texts = new Map(
    [...allFlags(flags)].map(([key, value]) => [key, JSON.stringify({ key, value, reason: REASON[freshness], variant: variantOf(value, level), metadata })]),
  );
  return finish(texts, metadata, Buffer.from(`${JSON.stringify(flagdFileOf(flags), undefined, 2)}\n`), salt);
}

function finish(texts: ReadonlyMap<string, string>, metadata: object, flagd: Buffer, salt: string): Answers {
  const bulk = `"flags":[${[...texts.values()].join(',')}],"metadata":${JSON.stringify(metadata)}`;
  return {
    one: new Map([...texts].map(([key, text]) => [key, Buffer.from(text)])),
    bulk,
    etag: `"${createHash('sha256').update(salt).update(bulk).digest('base64url').slice(0, 22)}"`,
    lastModified: Math.floor(wallTimeMs() / 1000),
    flagd,
  };
}
