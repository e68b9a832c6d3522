import type { Away } from '../model/member.ts';

/** Whether Temporal answered this agent, and until when it did not: an incident after an outage must know that the silence was the orchestrator's (protocol 3.5). */
export class Reach {
  #answeredMs: number;
  #awaySinceMs: number | undefined;
  #last: { readonly lastedMs: number; readonly endedMs: number } | undefined;

  /** @param nowMs CLOCK_BOOTTIME, as everywhere here */
  constructor(nowMs: number) {
    this.#answeredMs = nowMs;
  }

  answered(nowMs: number): void {
    if (this.#awaySinceMs !== undefined) this.#last = { lastedMs: nowMs - this.#awaySinceMs, endedMs: nowMs };
    this.#awaySinceMs = undefined;
    this.#answeredMs = nowMs;
  }

  /** Counted from the last answer: what came before the first failure may have been lost, too. */
  failed(): void {
    this.#awaySinceMs ??= this.#answeredMs;
  }

  /** The last outage that has ended; undefined where there was none. */
  lastAway(nowMs: number): Away | undefined {
    return this.#last === undefined ? undefined : { lastedMs: Math.round(this.#last.lastedMs), endedAgoMs: Math.round(nowMs - this.#last.endedMs) };
  }
}
