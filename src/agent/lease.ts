import { fenceBeforeMs, leaseDeadlineMs, renewEveryMs } from '../decide/deadline.ts';
import type { GuardClient } from '../guard/client.ts';
import { UnderstudyError } from '../model/error.ts';
import type { Heartbeat } from '../model/role.ts';
import { bootTimeMs } from '../runtime/clock.ts';
import type { Beat, TaskQueue } from './task.ts';

export interface LeaseTerms {
  readonly token: Uint8Array;
  readonly epoch: number;
  readonly leaseMs: number;
  /** Covers clock drift and the time a kill takes (protocol 1.2). */
  readonly marginMs: number;
}

/** Who a renewal is told to. */
export interface LeaseEars {
  readonly heard: (beat: Beat) => void;
  /** A renewal was not acknowledged in time, or the server does not know the role any more: told again at each renewal for as long as that is so. */
  readonly doubt?: () => void;
}

/** More than this many sends in flight say nothing that the first did not. */
const MAX_IN_FLIGHT = 3;
/** An answer that takes longer than this part of the lease is not waited for before the standbys are asked: what is left of it may be short. */
const LATE_AFTER = 1 / 8;
const LATE_AFTER_AT_MOST_MS = 250;

/**
 * Renews one epoch's lease: every quarter of it one heartbeat, sent as an acknowledged call, and the guard's deadline pushed to what
 * that acknowledgement buys. The deadline counts from just before the send, since the server cannot have begun its own count earlier.
 */
export class LeaseKeeper {
  readonly #queue: TaskQueue;
  readonly #guard: GuardClient;
  readonly #terms: LeaseTerms;
  readonly #details: () => Heartbeat;
  readonly #ears: LeaseEars;
  /** The server does not know the token: nothing is sent any more, and the deadline stands unless the standbys' word moves it (protocol 1.6, 3). */
  #unknown = false;
  #timer: NodeJS.Timeout | undefined;
  #inFlight = 0;
  #stopped = false;
  #armed: () => void = () => {};
  #refused: (why: string) => void = () => {};
  /** Resolves once the first renewal is acknowledged and the guard holds its deadline; only then may the member open (protocol 1.3). */
  readonly first: Promise<{ armed: true } | { armed: false; why: string }>;

  constructor(queue: TaskQueue, guard: GuardClient, terms: LeaseTerms, details: () => Heartbeat, ears: LeaseEars) {
    this.#queue = queue;
    this.#guard = guard;
    this.#terms = terms;
    this.#details = details;
    this.#ears = ears;
    this.first = new Promise((resolve) => {
      this.#armed = () => resolve({ armed: true });
      this.#refused = (why) => resolve({ armed: false, why });
    });
  }

  start(): void {
    void this.#renew();
    this.#timer = setInterval(() => void this.#renew(), renewEveryMs(this.#terms.leaseMs));
  }

  /** One renewal out of turn. Where it is not acknowledged the deadline before it stands. */
  async renewNow(): Promise<void> {
    if (!this.#stopped) await this.#renew();
  }

  /** No further renewal; the deadline that was bought stands. */
  stop(why: string): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#refused(why);
  }

  /** The lease goes on by another word than the server's. */
  vouched(): void {
    this.#armed();
  }

  async #renew(): Promise<void> {
    if (this.#unknown) {
      this.#ears.doubt?.();
      return;
    }
    if (this.#inFlight >= MAX_IN_FLIGHT) return;
    this.#inFlight += 1;
    const { token, epoch, leaseMs, marginMs } = this.#terms;
    const sentBootMs = bootTimeMs();
    const late = setTimeout(() => this.#stopped || this.#ears.doubt?.(), Math.min(leaseMs * LATE_AFTER, LATE_AFTER_AT_MOST_MS));
    try {
      const beat = await this.#queue.beat(token, this.#details(), leaseMs);
      clearTimeout(late);
      if (this.#stopped) return;
      if (beat === 'gone') {
        this.#unknown = true;
        if (this.#ears.doubt === undefined) this.stop('the server does not know the role any more');
        else this.#ears.doubt();
      } else if (beat === 'unanswered') {
        this.#ears.doubt?.();
      } else {
        const deadlineMs = leaseDeadlineMs({ sentBootMs, leaseMs, marginMs });
        if (await this.#guard.extend(epoch, deadlineMs, fenceBeforeMs(leaseMs))) this.#armed();
        else this.#refused('the guard did not take the deadline: the lease is over or a fence is under way');
      }
      this.#ears.heard(beat);
    } catch (error) {
      // A guard that cannot be asked holds the deadline that it has: nothing is renewed by this round.
      if (!(error instanceof UnderstudyError)) throw error;
      this.#refused(error.message);
    } finally {
      clearTimeout(late);
      this.#inFlight -= 1;
    }
  }
}
