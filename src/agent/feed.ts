import type { Lsn } from '../model/lsn.ts';
import type { ReceiverState } from '../model/member.ts';

/**
 * When this standby last received anything, on its own boot clock: what the quarantine counts from (protocol 3.2).
 *
 * Only changes of the receiver's stamp count, never the clock readings inside it: a clock that was set cannot shorten a quarantine.
 * Every error is on the late side: what was received between two looks counts as received at the second.
 */
export class Feed {
  #lastFedMs: number;
  #stamp: string | undefined;
  #place: Lsn | undefined;
  #present = false;
  #everFed = false;

  /** @param nowMs the boot clock as the agent starts: nothing is known of the time before */
  constructor(nowMs: number) {
    this.#lastFedMs = nowMs;
  }

  /**
   * @param atMs the boot clock just after the look was answered
   * @param place how far the log is flushed here. A receiver that is gone and has left the place where the last look found it received no log in
   *   between: a connection that only broke is no sign of life, which matters where a frozen primary is killed late
   */
  see(receiver: ReceiverState, atMs: number, place?: Lsn): void {
    // A receiver that only tries to connect, again and again, has received nothing.
    if (receiver.state !== 'streaming') {
      if (this.#present && (place === undefined || place !== this.#place)) this.#lastFedMs = atMs;
      this.#present = false;
      return;
    }
    this.#place = place;
    if (!this.#present || receiver.stamp !== this.#stamp) {
      this.#lastFedMs = atMs;
      this.#everFed = true;
    }
    this.#present = true;
    this.#stamp = receiver.stamp;
  }

  get everFed(): boolean {
    return this.#everFed;
  }

  fedAgoMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#lastFedMs);
  }
}
