import { decideChange, differenceOf, normaliseName, normaliseRecord } from '../decide/change.ts';
import type { FoundRecord, OwnedRecord, RecordType } from '../model/record.ts';
import type { Applied, Read, RecordProvider, Trouble, Verified } from './provider.ts';

/** A provider in memory, for tests: the same rules, and trouble on order. */
export class FakeProvider implements RecordProvider {
  readonly kind = 'fake';
  readonly compareAndSet = 'atomic';
  /** Answered instead of an answer to everything, while it is set. */
  trouble: Trouble | undefined;
  /** Each change that was really made, oldest first. */
  readonly written: OwnedRecord[] = [];
  readonly #sets = new Map<string, FoundRecord>();

  async read(name: string, type: RecordType, signal: AbortSignal): Promise<Read> {
    signal.throwIfAborted();
    return this.trouble ?? { outcome: 'found', found: this.#found(name, type) };
  }

  async apply(raw: OwnedRecord, signal: AbortSignal): Promise<Applied> {
    signal.throwIfAborted();
    if (this.trouble !== undefined) return this.trouble;
    const record = normaliseRecord(raw);
    const found = this.#found(record.name, record.type);
    const change = decideChange(found, record);
    switch (change.change) {
      case 'already':
        return { outcome: 'already', record };
      case 'lost-race':
      case 'foreign-owner':
        return { outcome: change.change, found, words: `${record.name} ${record.type}: ${change.words}` };
      case 'create':
      case 'replace':
        this.put(record.name, record.type, { state: 'owned', record });
        this.written.push(record);
        return { outcome: 'applied', record };
    }
  }

  async verify(raw: OwnedRecord, signal: AbortSignal): Promise<Verified> {
    signal.throwIfAborted();
    if (this.trouble !== undefined) return this.trouble;
    const wanted = normaliseRecord(raw);
    const found = this.#found(wanted.name, wanted.type);
    const difference = found.state === 'owned' ? differenceOf(found.record, wanted) : `the record is ${found.state}`;
    return difference === undefined ? { outcome: 'verified', servers: ['fake'] } : { outcome: 'not-yet', words: difference };
  }

  /** Puts something there behind everybody's back. */
  put(name: string, type: RecordType, found: FoundRecord): void {
    this.#sets.set(`${normaliseName(name)} ${type}`, found);
  }

  #found(name: string, type: RecordType): FoundRecord {
    return this.#sets.get(`${normaliseName(name)} ${type}`) ?? { state: 'absent' };
  }
}
