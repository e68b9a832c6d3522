import { lstatSync } from 'node:fs';
import { readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { UnderstudyError } from '../model/error.ts';
import { type ServiceFlags, ServiceFlagsSchema } from '../model/flag.ts';
import type { HealthStatus } from '../model/health.ts';
import { writeDurably } from '../runtime/durable-file.ts';
import { claimStateDir } from '../runtime/private-files.ts';

/**
 * How good a service's flags are: `fresh` while their source confirms them; `cached` once the source has gone away since; `stale` where
 * an earlier process, or another cache, left them and the source has not confirmed them yet.
 */
export type Freshness = 'fresh' | 'cached' | 'stale';

export interface Known {
  readonly flags: ServiceFlags;
  readonly freshness: Freshness;
}

/** `older`: a later revision is known, and stays. `confirmed`: this revision is known already; its source has told it again. */
export type PutOutcome = 'changed' | 'confirmed' | 'older';

export type SourceState = 'up' | 'down';

const FILE = 'flags.json';
/** Whatever the umask is. */
const MODE = 0o600;
const OTHERS_WRITE = 0o022;
const FileSchema = z.strictObject({ version: z.literal(1), services: z.array(ServiceFlagsSchema) });

/**
 * The last known flags of each service, in memory and on the disk, so that evaluation goes on while Temporal or the workers are away, and after a restart.
 *
 * The memory leads: a disk that refuses to write is logged and told by `diskError`, and stops no answer.
 */
export class FlagStore {
  readonly #file: string;
  readonly #log: Logger;
  readonly #known = new Map<string, Known>();
  readonly #health = new Map<string, HealthStatus>();
  readonly #listeners = new Set<(service: string) => void>();
  // Nothing has confirmed anything yet.
  #source: SourceState = 'down';
  #unsaved = false;
  #saving: Promise<void> | undefined;
  #diskError: string | undefined;

  private constructor(file: string, log: Logger) {
    this.#file = file;
    this.#log = log;
  }

  /**
   * Loads what an earlier process left there: all of it is stale until its source confirms it. A file that cannot be understood is set aside and logged.
   *
   * @throws UnderstudyError `UnsafeFiles` where others could have written the directory or the file
   */
  static async open(directory: string, log: Logger): Promise<FlagStore> {
    const file = path.join(claimStateDir(directory), FILE);
    demandOurs(file);
    const store = new FlagStore(file, log);
    for (const flags of await load(file, log)) store.#known.set(flags.service, { flags, freshness: 'stale' });
    return store;
  }

  get source(): SourceState {
    return this.#source;
  }

  /** Why the last writing failed; undefined where it did not. */
  get diskError(): string | undefined {
    return this.#diskError;
  }

  services(): string[] {
    return [...this.#known.keys()];
  }

  get(service: string): Known | undefined {
    return this.#known.get(service);
  }

  /** @param fresh whether the source itself told it just now, and no other cache */
  put(flags: ServiceFlags, fresh = true): PutOutcome {
    const { service } = flags;
    const before = this.#known.get(service);
    if (before !== undefined && flags.revision < before.flags.revision) return 'older';
    const isNew = before === undefined || flags.revision > before.flags.revision;
    const told: Freshness = !fresh ? 'stale' : this.#source === 'up' ? 'fresh' : 'cached';
    // What another cache says again makes nothing older than it was.
    const freshness = !fresh && !isNew ? before.freshness : told;
    if (!isNew && freshness === before.freshness) return 'confirmed';
    // One revision means one content: the first that came stays.
    this.#known.set(service, { flags: isNew ? flags : before.flags, freshness });
    this.#tell(service);
    if (!isNew) return 'confirmed';
    this.#save();
    return 'changed';
  }

  /** The service is gone from the configuration, or its revisions begin anew. */
  forget(service: string): void {
    this.#health.delete(service);
    if (!this.#known.delete(service)) return;
    this.#tell(service);
    this.#save();
  }

  /**
   * Down: what was fresh is cached from now on. Up: it stays so until the source confirms it, service by service.
   */
  markSource(state: SourceState): void {
    if (this.#source === state) return;
    this.#source = state;
    this.#log.info({ source: state }, 'the source of the flags has changed its state');
    if (state === 'up') return;
    for (const [service, { flags, freshness }] of this.#known) {
      if (freshness !== 'fresh') continue;
      this.#known.set(service, { flags, freshness: 'cached' });
      this.#tell(service);
    }
  }

  putHealth(status: HealthStatus): void {
    this.#health.set(status.service, status);
  }

  /**
   * Undefined where nobody has named the service. While the source is away, what was healthy may have died since and what was ill may have mended: unknown.
   */
  health(service: string): HealthStatus | undefined {
    const last = this.#health.get(service);
    if (last === undefined) return this.#known.has(service) ? { service, status: 'unknown', words: 'no health was told yet', checks: {} } : undefined;
    if (this.#source === 'up') return last;
    return { ...last, status: 'unknown', words: `nothing is heard of it now; last known: ${last.status}: ${last.words}` };
  }

  /** @param listener is told the service whose flags, or their freshness, have changed; it must not throw */
  subscribe(listener: (service: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Settles once everything put so far is on the disk, or could not be written. */
  async saved(): Promise<void> {
    await this.#saving;
  }

  #tell(service: string): void {
    for (const listener of this.#listeners) listener(service);
  }

  /** One writing at a time; what changes meanwhile goes with the next one, all together. */
  #save(): void {
    this.#unsaved = true;
    this.#saving ??= this.#write();
  }

  async #write(): Promise<void> {
    while (this.#unsaved) {
      this.#unsaved = false;
      const services = [...this.#known.values()].map(({ flags }) => flags);
      try {
        await writeDurably(this.#file, `${JSON.stringify({ version: 1, services })}\n`, MODE, (fresh) => fresh.chmod(MODE));
        this.#diskError = undefined;
      } catch (error) {
        this.#diskError = String(error);
        this.#log.error({ err: error, file: this.#file }, 'the flags are not kept on the disk: a restart would go back to those written before');
      }
    }
    // In the same turn as the last look at `unsaved`: a change after it starts a writing of its own.
    this.#saving = undefined;
  }
}

async function load(file: string, log: Logger): Promise<ServiceFlags[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  try {
    return FileSchema.parse(JSON.parse(text)).services;
  } catch (error) {
    const aside = `${file}.damaged`;
    await rename(file, aside);
    log.error({ err: error, aside }, 'the kept flags cannot be understood: they were set aside, and nothing is known until the source tells it');
    return [];
  }
}

/** Whoever could write this file would switch our users' features. */
function demandOurs(file: string): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return;
  const own = process.geteuid?.() ?? found.uid;
  const words = !found.isFile()
    ? 'is no plain file'
    : found.uid !== own && found.uid !== 0
      ? `belongs to the user ${found.uid}`
      : (found.mode & OTHERS_WRITE) !== 0
        ? 'may be written by others'
        : undefined;
  if (words !== undefined)
    throw new UnderstudyError('UnsafeFiles', `${file} ${words}: whoever can write there could switch features. Next: look who made it, then rm ${file}`, {
      file,
    });
}
