import { CancellationScope, isCancellation, setHandler, sleep } from '@temporalio/workflow';
import type { Signed } from '../src/model/operator.ts';
import type { IncidentLog } from './incident-log.ts';
import { isSigned } from './input.ts';
import * as messages from './messages.ts';

/** A person's word that acknowledged writes may be lost: with the order for the failover, or while it finds nobody to promote without that. */
export class Acceptance {
  #given: Signed | undefined;
  #news = false;
  #wake: () => void = () => {};

  constructor(given: Signed | undefined, log: IncidentLog) {
    this.#given = given;
    setHandler(
      messages.acceptLoss,
      (word) => {
        // Whatever a signal may carry.
        if (!isSigned(word) || this.#given !== undefined) return;
        this.#given = { by: word.by, reason: word.reason };
        log.saw(word.by, `acknowledged writes may be lost: ${word.reason}`);
        this.#news = true;
        this.#wake();
      },
      { description: 'Promote whoever lost least, though acknowledged writes may be lost: { by, reason }' },
    );
  }

  get given(): Signed | undefined {
    return this.#given;
  }

  /** Waits so long, or until the word comes: what was decided without it is decided anew at once. */
  async pause(ms: number, summary: string): Promise<void> {
    const waiting = new CancellationScope();
    this.#wake = () => waiting.cancel();
    try {
      if (!this.#news) await waiting.run(() => sleep(ms, { summary }));
    } catch (error) {
      if (!isCancellation(error) || !this.#news) throw error;
    } finally {
      this.#news = false;
      this.#wake = () => {};
    }
  }
}
