import type { Published, PublishAsk } from '../../src/model/act.ts';
import { decideChange } from '../../src/decide/change.ts';
import type { FoundRecord, OwnedRecord } from '../../src/model/record.ts';
import type { Engine } from './engine.ts';

const RACES = 5;

/** An authoritative name server with one record set, and the worker that writes it: read, compare, set, by the real decision. */
export class Records {
  readonly #engine: Engine;
  found: FoundRecord = { state: 'absent' };
  #version = 0;
  downUntilMs = 0;
  /** A worker may be held up anywhere between its questions and its writes. */
  slowMs = 0;
  onWrite: (before: FoundRecord, after: OwnedRecord) => void = () => {};

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Somebody else writes there, whoever that is. */
  overwrite(found: FoundRecord): void {
    this.#version += 1;
    this.found = found;
  }

  get primary(): string | undefined {
    return this.found.state === 'owned' ? this.found.record.values[0] : undefined;
  }

  #stepMs(): number {
    const { random } = this.#engine;
    return random.between(1, 5) + (this.slowMs > 0 && random.chance(0.5) ? random.between(0, this.slowMs) : 0);
  }

  publish({ record }: PublishAsk, done: (published: Published) => void, raced = false, tries = 0): void {
    this.#engine.at(this.#stepMs(), undefined, () => {
      if (this.#engine.nowMs < this.downUntilMs) {
        done({ outcome: 'unreachable', words: 'the name server does not answer' });
        return;
      }
      const before = this.found;
      const version = this.#version;
      const change = decideChange(before, record, raced);
      if (change.change === 'lost-race' || change.change === 'foreign-owner') {
        done({ outcome: change.change, words: change.words });
        return;
      }
      if (change.change === 'already') {
        done({ outcome: 'already', words: change.words, publishedAtMs: Date.now(), verifiedAtMs: Date.now() });
        return;
      }
      this.#engine.at(this.#stepMs(), undefined, () => {
        if (this.#engine.nowMs < this.downUntilMs) done({ outcome: 'unreachable', words: 'the name server does not answer' });
        else if (this.mayWrite(version)) {
          this.#version += 1;
          this.onWrite(this.found, record);
          this.found = { state: 'owned', record };
          done({ outcome: 'applied', words: change.words, publishedAtMs: Date.now(), verifiedAtMs: Date.now() });
        } else if (tries >= RACES) done({ outcome: 'lost-race', words: 'others are always quicker' });
        else this.publish({ provider: '', record }, done, true, tries + 1);
      });
    });
  }

  /** The prerequisite of the update: what was read is still there. */
  mayWrite(version: number): boolean {
    return version === this.#version;
  }
}
