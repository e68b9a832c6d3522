import { readFile } from 'node:fs/promises';
import type { FileConfig } from '../../model/config.ts';
import type { OwnedRecord, RecordType } from '../../model/record.ts';
import { nameInZone, recordInZone } from '../in-zone.ts';
import type { Applied, Read, RecordProvider, Trouble, Verified } from '../provider.ts';
import { foundIn, judge, setsOf, stepTowards } from '../record-sets.ts';
import { ContentError } from './format.ts';
import type { Content, Format } from './format.ts';
import { jsonFormat } from './json.ts';
import { underLock } from './lock.ts';
import { replaceFile, unlessAbsent } from './replace.ts';
import { zoneFormat } from './zone.ts';

const FORMATS: Record<FileConfig['format'], Format> = { json: jsonFormat, zone: zoneFormat };

/**
 * Records in a file of this host, for whatever reads it: a DNS server, a template, a script. Reading, comparing and writing are one act
 * under a lock, for all who take it; a person with an editor does not.
 */
export class FileProvider implements RecordProvider {
  readonly kind = 'file';
  readonly compareAndSet = 'atomic';
  readonly #config: FileConfig;
  readonly #format: Format;

  constructor(config: FileConfig) {
    this.#config = config;
    this.#format = FORMATS[config.format];
  }

  async read(raw: string, type: RecordType, signal: AbortSignal): Promise<Read> {
    const name = nameInZone(raw, this.#config.zone);
    return this.#named(async () => ({ outcome: 'found', found: foundIn((await this.#content(signal)).sets, name, type) }));
  }

  async apply(raw: OwnedRecord, signal: AbortSignal): Promise<Applied> {
    const wanted = recordInZone(raw, this.#config.zone);
    const fresh = setsOf(wanted);
    const { path, timeoutMs } = this.#config;
    return this.#named(async () => {
      const done = await underLock(`${path}.lock`, timeoutMs, signal, async (): Promise<Applied> => {
        const content = await this.#content(signal);
        const step = stepTowards(content.sets, wanted);
        if (!step.write) return step.applied;
        const isFresh = (name: string, type: string): boolean => fresh.some((set) => set.name === name && set.type === type);
        const sets = [...content.sets.filter(({ name, type }) => !isFresh(name, type)), ...fresh];
        await replaceFile(path, this.#format.print({ ...content, sets }));
        return { outcome: 'applied', record: wanted };
      });
      if (!('held' in done)) return done;
      return done.held === ''
        ? { outcome: 'slow', words: `${path}.lock was held by somebody else for ${timeoutMs} ms` }
        : { outcome: 'unreachable', words: `${path}.lock cannot be had: ${done.held}` };
    });
  }

  async verify(raw: OwnedRecord, signal: AbortSignal): Promise<Verified> {
    const wanted = recordInZone(raw, this.#config.zone);
    const read = await this.read(wanted.name, wanted.type, signal);
    return read.outcome === 'found' ? judge(read.found, wanted, this.#config.path) : read;
  }

  /** A file that is not there holds nothing. */
  async #content(signal: AbortSignal): Promise<Content> {
    const text = await unlessAbsent(() => readFile(this.#config.path, { encoding: 'utf8', signal }));
    return text === undefined || text.trim() === '' ? { head: [], sets: [] } : this.#format.parse(text);
  }

  /** What the disk or the file's form forbids is an outcome. */
  async #named<T>(act: () => Promise<T>): Promise<T | Trouble> {
    const { path, format } = this.#config;
    try {
      return await act();
    } catch (error) {
      if (error instanceof ContentError)
        return { outcome: 'refused', words: `${path} is left as it is, since it is not the ${format} that Understudy writes: ${error.message}` };
      const { code, syscall, message } = error as NodeJS.ErrnoException;
      if (syscall === undefined || code === undefined) throw error;
      const refused = code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'EISDIR';
      return { outcome: refused ? 'refused' : 'unreachable', words: `${path}: ${message}` };
    }
  }
}
