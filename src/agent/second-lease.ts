import { decideSecondLease } from '../decide/second-lease.ts';
import { fenceBeforeMs } from '../decide/deadline.ts';
import { UnderstudyError } from '../model/error.ts';
import { bootTimeMs } from '../runtime/clock.ts';
import { pause, type Member } from './member.ts';

export interface SecondLeaseTerms {
  readonly epoch: number;
  readonly leaseMs: number;
  readonly marginMs: number;
  /** E, as this member has acknowledged it last. */
  readonly electable: () => readonly string[];
}

const LOOK_PAUSE_MS = 10;

/**
 * Buys time for a primary whose heartbeats are not acknowledged, by the word of everybody who could be promoted in its place (protocol 3).
 *
 * It opens nothing: a database that does not run under this epoch's lease already has nobody who follows it.
 */
export class SecondLease {
  readonly #member: Member;
  readonly #terms: SecondLeaseTerms;
  #round: Promise<boolean> | undefined;
  #since: number | undefined;
  #renewals = 0;
  #told = '';

  constructor(member: Member, terms: SecondLeaseTerms) {
    this.#member = member;
    this.#terms = terms;
  }

  /** Since when it has been in doubt, on CLOCK_BOOTTIME; undefined while heartbeats are acknowledged. */
  get sinceMs(): number | undefined {
    return this.#since;
  }

  /** How often the standbys' word has moved the deadline since the doubt began. */
  get renewals(): number {
    return this.#renewals;
  }

  /** One round, unless one is under way: a marker, and whoever is in E confirming it. @returns whether the deadline was moved */
  renew(): Promise<boolean> {
    if (this.#since === undefined) {
      this.#since = bootTimeMs();
      this.#renewals = 0;
      this.#told = '';
    }
    this.#round ??= this.#once().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  /** The server has acknowledged a heartbeat: the doubt is over. */
  relieve(): void {
    if (this.#since === undefined) return;
    const lastedMs = Math.round(bootTimeMs() - this.#since);
    if (this.#renewals > 0) this.#member.log.info({ epoch: this.#terms.epoch, lastedMs, renewals: this.#renewals }, 'Temporal acknowledges heartbeats again');
    this.#since = undefined;
  }

  async #once(): Promise<boolean> {
    const { epoch, leaseMs, marginMs } = this.#terms;
    const { guard, live } = this.#member;
    // Only what runs under this epoch's lease is kept running: a lease that is over cannot be bought back.
    if (guard.status.lease?.epoch !== epoch || live === undefined || !this.#member.running) return false;
    const electable = this.#terms.electable();
    try {
      const notedBootMs = bootTimeMs();
      const lsn = await live.mark(leaseMs / 2);
      for (const untilMs = notedBootMs + leaseMs / 2; ;) {
        const { followers } = await live.pulse();
        const vouching = followers.filter(({ holdsSlot }) => holdsSlot);
        const lease = decideSecondLease({ marker: { lsn, notedBootMs }, electable, followers: vouching, leaseMs, marginMs });
        if (lease.outcome === 'renewed') {
          // E may have grown while the round ran; whoever came in has not been asked.
          if (!sameNames(electable, this.#terms.electable())) return false;
          const taken = await guard.extend(epoch, lease.deadlineMs, fenceBeforeMs(leaseMs));
          if (taken) this.#renewals += 1;
          this.#tell(taken ? 'goes on by their word' : 'the guard takes no deadline any more', {
            electable,
          });
          return taken;
        }
        if (electable.length === 0 || bootTimeMs() > untilMs) {
          this.#tell('the deadline stands', { why: lease.words });
          return false;
        }
        await pause(LOOK_PAUSE_MS);
      }
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      this.#tell('they could not be asked', { err: error });
      return false;
    }
  }

  /** Once for each turn that it takes: it is asked many times a second. */
  #tell(outcome: string, more: object): void {
    if (outcome === this.#told) return;
    this.#told = outcome;
    this.#member.log.warn({ epoch: this.#terms.epoch, outcome, ...more }, 'heartbeats are not acknowledged: the standbys were asked');
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}
