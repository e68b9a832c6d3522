import type { LiveDatabase, Pulse, Settings } from '../database/driver.ts';
import { NO_RULE } from '../model/group.ts';
import { UnderstudyError } from '../model/error.ts';
import type { Heartbeat, RolePhase, StandbyEnd, StandbyRole } from '../model/role.ts';
import { BOOT_RESOLUTION_MS, bootTimeMs } from '../runtime/clock.ts';
import { PlainBeats, type RoleContext, type RoleHolder } from './holder.ts';
import { pause, type Member } from './member.ts';
import { hasDiverged, rejoin } from './rejoin.ts';
import type { Beat } from './task.ts';

/** The receiver is looked at this often within a lease: what a quarantine costs beyond Q is one look (protocol 3.2). */
const LOOKS_PER_LEASE = 8;
/** A receiver that does not come back in this time may have nowhere to come back to. */
const DIVERGENCE_CHECK_MS = 5_000;
const RESTART_PAUSE_MS = 500;
const RESTARTS = 3;
const BROKEN_IS_NEWS_MS = 1000;

/** Holds a standby's role: makes the member follow by whatever it takes, keeps it so, and tells what changes. */
export class StandbyHolder implements RoleHolder {
  readonly kind = 'standby';
  readonly ended: Promise<StandbyEnd | undefined>;
  readonly #member: Member;
  readonly #order: StandbyRole;
  readonly #context: RoleContext;
  readonly #beats: PlainBeats;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #phase: RolePhase = 'starting';
  #words = '';
  #pulse: Pulse | undefined;
  #told = '';
  #finish: (end: StandbyEnd | undefined) => void = () => {};
  #finishing = false;
  #restarts = 0;
  #brokenSinceMs: number | undefined;

  constructor(member: Member, order: StandbyRole, context: RoleContext) {
    this.#member = member;
    this.#order = order;
    this.#context = context;
    this.ended = new Promise((resolve) => {
      this.#finish = resolve;
    });
    const everyMs = Math.max(500, order.leaseMs / 2);
    this.#beats = new PlainBeats(
      context.queue,
      context.task.token,
      everyMs,
      () => this.#details(),
      (beat) => this.#hear(beat),
    );
    this.#running = this.#run();
  }

  get epoch(): number {
    return this.#order.epoch;
  }

  async supersede(why: string): Promise<void> {
    this.#end({ end: 'superseded', words: why });
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      let live = await this.#follow();
      let aloneSinceMs = bootTimeMs();
      while (!this.#finishing) {
        const look = await this.#look(live);
        if (this.#finishing) return;
        if (look === 'strayed') {
          await this.#member.stop('immediate', 0, 'left recovery without an order');
          this.#end({ end: 'strayed', words: `${this.#member.spec.name} left recovery without an order and was stopped: somebody promoted it by hand` });
          return;
        }
        if (look === 'lost') live = await this.#comeBack();
        else if (look === 'streaming') {
          aloneSinceMs = bootTimeMs();
          this.#restarts = 0;
        } else if (bootTimeMs() - aloneSinceMs > Math.max(DIVERGENCE_CHECK_MS, 2 * this.#order.leaseMs)) {
          aloneSinceMs = bootTimeMs();
          if (await this.#diverged()) live = await this.#follow(true);
        }
        await pause(this.#order.leaseMs / LOOKS_PER_LEASE, this.#stop.signal);
      }
    } catch (error) {
      if (this.#finishing) return;
      if (!(error instanceof UnderstudyError)) throw error;
      this.#end({ end: 'failed', words: error.message });
    }
  }

  /** @param again the member is known to have diverged: it is stopped and made to follow anew */
  #follow(again = false): Promise<LiveDatabase> {
    const { driver, spec } = this.#member;
    const signal = this.#stop.signal;
    return this.#member.exclusively(async () => {
      if (this.#member.running) {
        const live = await this.#member.connect(AbortSignal.any([signal, AbortSignal.timeout(60_000)]));
        const state = await live.look();
        if (state.inRecovery && !again) {
          await this.#member.settle(live, this.#settings());
          await live.releaseSlots();
          await live.slots(this.#order.others);
          return live;
        }
        const why = state.inRecovery ? "its log has left the primary's" : `it is a standby of ${this.#order.upstream.member} from epoch ${this.epoch} on`;
        this.#enter('stopping', why);
        await this.#member.stop('fast', this.#order.stopWithinMs, why);
      }
      await rejoin({ driver, member: spec.name, upstream: this.#order.upstream, signal, enter: (phase, words) => this.#enter(phase, words) });
      this.#enter('starting', 'starting as a standby');
      const live = await this.#member.start({ as: 'standby' }, this.#settings(), AbortSignal.any([signal, AbortSignal.timeout(15 * 60_000)]));
      await live.releaseSlots();
      await live.slots(this.#order.others);
      return live;
    });
  }

  #settings(): Settings {
    return { upstream: this.#order.upstream, rule: this.#order.rule ?? NO_RULE, leaseMs: this.#order.leaseMs };
  }

  async #look(live: LiveDatabase): Promise<'streaming' | 'alone' | 'strayed' | 'lost'> {
    if (!this.#member.running || this.#member.live !== live) return 'lost';
    try {
      this.#pulse = await live.pulse();
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      this.#words = error.message;
      return 'lost';
    }
    this.#member.metrics.saw(this.#pulse);
    this.#member.feed.see(this.#pulse.receiver, bootTimeMs() + BOOT_RESOLUTION_MS, this.#pulse.flushedLsn);
    if (!this.#pulse.inRecovery) return 'strayed';
    if (this.#pulse.receiver.state === 'streaming') {
      this.#brokenSinceMs = undefined;
      this.#enter('following', '');
      return 'streaming';
    }
    const words = `not receiving from ${this.#order.upstream.member}`;
    this.#brokenSinceMs ??= bootTimeMs();
    // What breaks every standby's connection at once is mostly the end of the primary, and an incident that asks each of them is under way.
    if (this.#phase !== 'following' || bootTimeMs() - this.#brokenSinceMs > BROKEN_IS_NEWS_MS) this.#enter('starting', words, true);
    else this.#words = words;
    return 'alone';
  }

  /** The control connection or the database is gone: connects again, or starts it again, a bounded number of times. */
  async #comeBack(): Promise<LiveDatabase> {
    if (!this.#member.running) {
      this.#restarts += 1;
      if (this.#restarts > RESTARTS) {
        throw new UnderstudyError('DatabaseFailed', `the database of ${this.#member.spec.name} ended ${this.#restarts} times: ${describeExit(this.#member)}`);
      }
      this.#enter('starting', `the database ended: ${describeExit(this.#member)}`);
      await pause(RESTART_PAUSE_MS, this.#stop.signal);
      return this.#follow();
    }
    return this.#member.connect(AbortSignal.any([this.#stop.signal, AbortSignal.timeout(60_000)]));
  }

  async #diverged(): Promise<boolean> {
    if (this.#pulse === undefined) return false;
    const { driver } = this.#member;
    return hasDiverged({ driver, upstream: this.#order.upstream, timeline: this.#pulse.timeline, lsn: this.#pulse.flushedLsn, signal: this.#stop.signal });
  }

  #hear(beat: Beat): void {
    if (beat === 'paused') this.#end({ end: 'paused', words: 'somebody paused the role activity' });
    if (beat === 'cancel-requested') this.#end({ end: 'superseded', words: 'the workflow took the role back' });
  }

  #end(end: StandbyEnd): void {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#beats.stop();
    this.#stop.abort();
    this.#finish(end);
  }

  #enter(phase: RolePhase, words: string, unfed = false): void {
    this.#phase = phase;
    this.#words = words;
    if (this.#finishing || phase === this.#told) return;
    this.#told = phase;
    const { group, member, epoch, turn, upstream } = this.#order;
    this.#context.tell(this.#context.task.workflowId, {
      group,
      member,
      epoch,
      turn,
      role: 'standby',
      phase,
      upstream,
      words,
      ...(unfed ? { unfed } : {}),
      atMs: Date.now(),
      ...(this.#pulse === undefined ? {} : { timeline: this.#pulse.timeline }),
    });
  }

  #details(): Heartbeat {
    const pulse = this.#pulse;
    return {
      epoch: this.epoch,
      role: 'standby',
      phase: this.#phase,
      fence: this.#member.guard.status.fence,
      words: this.#words,
      ...(pulse === undefined
        ? {}
        : { timeline: pulse.timeline, lsn: pulse.flushedLsn, replayedLsn: pulse.replayedLsn, streaming: pulse.receiver.state === 'streaming' }),
    };
  }
}

function describeExit(member: Member): string {
  const { database } = member.guard.status;
  return database.state === 'stopped' ? (database.lastExit?.words ?? 'never started') : database.state;
}
