import type { WriteProbe } from '../database/driver.ts';
import type { FenceCause } from '../model/role.ts';
import { bootTimeMs } from '../runtime/clock.ts';

/** A refusal that repeats is a fact; one alone may be a moment's. */
const REFUSALS_THAT_COUNT = 2;

/**
 * Judges the write probes of a primary over time. Only what speaks of the database itself counts against it: a probe that could not be
 * asked (connections taken, say) is neither good nor bad, and silence counts from the last good write (I3).
 */
export class WriteWatch {
  readonly #hungAfterMs: number;
  #lastGoodMs = bootTimeMs();
  #refusals = 0;
  #lastWords = '';

  constructor(hungAfterMs: number) {
    this.#hungAfterMs = hungAfterMs;
  }

  judge(probe: WriteProbe): { cause: FenceCause; words: string } | undefined {
    switch (probe.outcome) {
      case 'written':
        this.#lastGoodMs = bootTimeMs();
        this.#refusals = 0;
        return undefined;
      case 'unknown':
        this.#lastGoodMs = bootTimeMs();
        return undefined;
      case 'disk-full':
      case 'read-only':
      case 'in-recovery':
        this.#refusals += 1;
        if (this.#refusals < REFUSALS_THAT_COUNT) return undefined;
        return { cause: probe.outcome === 'in-recovery' ? 'not-ours' : probe.outcome, words: probe.words };
      case 'slow':
      case 'broken': {
        this.unanswered(probe.words);
        const words = this.overdue();
        return words === undefined ? undefined : { cause: 'hung', words };
      }
    }
  }

  unanswered(words: string): void {
    this.#lastWords = words;
  }

  /** Words where no local write has succeeded for longer than the policy allows. */
  overdue(): string | undefined {
    const sinceMs = bootTimeMs() - this.#lastGoodMs;
    return sinceMs < this.#hungAfterMs ? undefined : `no local write has finished for ${Math.round(sinceMs)} ms: ${this.#lastWords}`;
  }
}
