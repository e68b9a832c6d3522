import type { LiveDatabase, Pulse, Settings } from '../database/driver.ts';
import type { Restarted } from '../model/act.ts';
import { NO_RULE } from '../model/group.ts';
import type { Standing } from '../decide/rejoin.ts';
import { UnderstudyError } from '../model/error.ts';
import type { Lsn } from '../model/lsn.ts';
import type { Heartbeat, RolePhase, StandbyEnd, StandbyRole } from '../model/role.ts';
import { BOOT_RESOLUTION_MS, bootTimeMs } from '../runtime/clock.ts';
import { PlainBeats, type RoleContext, type RoleHolder } from './holder.ts';
import { pause, type Member } from './member.ts';
import { cannotFollow, rejoin } from './rejoin.ts';
import type { Beat } from './task.ts';

/** The receiver is looked at this often within a lease: what a quarantine costs beyond Q is one look (protocol 3.2). */
const LOOKS_PER_LEASE = 8;
/** A receiver that does not come back in this time may have nowhere to come back to. */
const STANDING_CHECK_MS = 5_000;
const RESTART_PAUSE_MS = 500;
const RESTARTS = 3;
const BROKEN_IS_NEWS_MS = 1000;
/** Until a standby answers it may have much to replay. */
const START_LIMIT_MS = 15 * 60_000;
/** A copy that is made because the database would not start costs its upstream some work: no second one sooner than this. */
const COPY_AGAIN_MS = 3_600_000;
/** When one was made last for this member, whatever role it had. */
const copiedFor = new WeakMap<Member, number>();

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
  /** A restart that was asked for, and is no end of the database's own. */
  #restarting: Promise<Restarted> | undefined;
  #stillSinceMs: number | undefined;
  #brokenSinceMs: number | undefined;
  /** Whether the last start ended with the database's end. */
  #endedAtStart = false;
  /** Where it stood when it was last asked whether it can follow. */
  #standsAt: Lsn | undefined;

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

  /**
   * Restarts the database under the role. It comes back whatever is ordered meanwhile: whoever is to answer an incident must run.
   *
   * @throws UnderstudyError where it does not run, is held still by an incident, or does not come back
   */
  async restart(why: string, limitMs: number): Promise<Restarted> {
    const restarting = this.#member.exclusively(() => this.#restartNow(why, AbortSignal.timeout(limitMs)));
    this.#restarting = restarting;
    try {
      return await restarting;
    } finally {
      if (this.#restarting === restarting) this.#restarting = undefined;
    }
  }

  async #restartNow(why: string, signal: AbortSignal): Promise<Restarted> {
    const { name } = this.#member.spec;
    if (this.#finishing || !this.#member.running || this.#member.detached)
      throw new UnderstudyError('NotInRecovery', `${name} does not follow now, or stands still for an incident: its database is not restarted`);
    const startedMs = performance.now();
    const from = await (await this.#member.connect(signal)).version();
    this.#enter('stopping', why);
    await this.#member.stop('fast', this.#order.stopWithinMs, why);
    this.#enter('starting', why);
    const live = await this.#start(signal);
    return { from, to: await live.version(), tookMs: performance.now() - startedMs };
  }

  async #run(): Promise<void> {
    try {
      let live = await this.#followAtLast();
      let aloneSinceMs = bootTimeMs();
      while (!this.#finishing) {
        const look = await this.#look(live);
        if (this.#finishing) return;
        if (look === 'strayed') {
          await this.#member.stop('immediate', 0, 'left recovery without an order');
          this.#end({ end: 'strayed', words: `${this.#member.spec.name} left recovery without an order and was stopped: somebody promoted it by hand` });
          return;
        }
        if (this.#standsStillTooLong()) {
          this.#end({ end: 'failed', words: 'it stands still for an incident that has not told what follows: the role is to be given anew' });
          return;
        }
        if (look === 'lost') live = await this.#comeBack();
        else if (look === 'streaming') {
          aloneSinceMs = bootTimeMs();
          this.#restarts = 0;
          this.#standsAt = undefined;
        } else if (bootTimeMs() - aloneSinceMs > Math.max(STANDING_CHECK_MS, 2 * this.#order.leaseMs)) {
          const standing = await this.#cannotFollow();
          if (standing !== undefined) live = await this.#followAtLast(standing);
          aloneSinceMs = bootTimeMs();
        }
        await pause(this.#order.leaseMs / LOOKS_PER_LEASE, this.#stop.signal);
      }
    } catch (error) {
      if (this.#finishing) return;
      if (!(error instanceof UnderstudyError)) throw error;
      this.#end({ end: 'failed', words: error.message });
    }
  }

  /**
   * An incident's question that came late has frozen this member under a role that was given at the incident's end: nobody but the group can say whether it
   * may receive again, so that it is asked for another role. The place stays frozen until then.
   */
  #standsStillTooLong(): boolean {
    if (!this.#member.detached) this.#stillSinceMs = undefined;
    else this.#stillSinceMs ??= bootTimeMs();
    return this.#stillSinceMs !== undefined && bootTimeMs() - this.#stillSinceMs > Math.max(STANDING_CHECK_MS, 5 * this.#order.leaseMs);
  }

  /**
   * A database that ends as it is started, again and again, holds something that it cannot be started from: a copy is made of its upstream, once. Where
   * that does not start either, it is not the data's fault.
   */
  async #followAtLast(standing?: Standing): Promise<LiveDatabase> {
    let again = standing;
    for (;;) {
      this.#endedAtStart = false;
      try {
        return await this.#follow(again);
      } catch (error) {
        if (!(error instanceof UnderstudyError) || !this.#endedAtStart || this.#stop.signal.aborted) throw error;
        again = this.#countEnd();
      }
      await pause(RESTART_PAUSE_MS, this.#stop.signal);
    }
  }

  /** @returns what to do about a database that has ended too often */
  #countEnd(): Standing {
    this.#restarts += 1;
    const words = describeExit(this.#member);
    this.#enter('starting', `the database ended: ${words}`);
    if (this.#restarts <= RESTARTS) return undefined;
    const often = `the database of ${this.#member.spec.name} ended ${this.#restarts} times`;
    const copiedAtMs = copiedFor.get(this.#member);
    if (copiedAtMs !== undefined && bootTimeMs() - copiedAtMs < COPY_AGAIN_MS)
      throw new UnderstudyError('DatabaseFailed', `${often}, also from a fresh copy: ${words}`);
    copiedFor.set(this.#member, bootTimeMs());
    this.#restarts = 0;
    return { how: 'clone', why: `${often}: ${words}` };
  }

  /** @param again why the member cannot follow as it is: it is stopped and made to follow anew */
  #follow(again?: Standing): Promise<LiveDatabase> {
    const { driver, spec } = this.#member;
    const signal = this.#stop.signal;
    return this.#member.exclusively(async () => {
      const moved = this.#member.running ? await driver.movedFrom() : undefined;
      if (moved !== undefined) {
        this.#enter('stopping', moved);
        await this.#member.stop('fast', this.#order.stopWithinMs, moved);
      }
      if (this.#member.running) {
        const live = await this.#member.connect(AbortSignal.any([signal, AbortSignal.timeout(60_000)]));
        const state = await live.look();
        if (state.inRecovery && again === undefined) {
          await this.#member.settle(live, this.#settings());
          await live.releaseSlots();
          await live.slots(this.#order.others);
          return live;
        }
        const why = again?.why ?? `it is a standby of ${this.#order.upstream.member} from epoch ${this.epoch} on`;
        this.#enter('stopping', why);
        await this.#member.stop('fast', this.#order.stopWithinMs, why);
      }
      await rejoin({
        driver,
        member: spec.name,
        upstream: this.#order.upstream,
        signal,
        enter: (phase, words) => this.#enter(phase, words),
        ...(again?.how === 'clone' ? { stuck: again.why } : {}),
      });
      this.#enter('starting', 'starting as a standby');
      const live = await this.#start(AbortSignal.any([signal, AbortSignal.timeout(START_LIMIT_MS)]));
      await live.releaseSlots();
      await live.slots(this.#order.others);
      return live;
    });
  }

  async #start(signal: AbortSignal): Promise<LiveDatabase> {
    try {
      return await this.#member.start({ as: 'standby' }, this.#settings(), signal);
    } catch (error) {
      this.#endedAtStart = !this.#member.running;
      throw error;
    }
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
    if (receives(this.#pulse)) {
      this.#brokenSinceMs = undefined;
      this.#enter('following', '');
      return 'streaming';
    }
    const words = `not receiving from ${this.#order.upstream.member}`;
    this.#brokenSinceMs ??= bootTimeMs();
    if (!this.#member.detached) await this.#member.keepSettled(live);
    // What breaks every standby's connection at once is mostly the end of the primary, and an incident that asks each of them is under way.
    if (this.#phase !== 'following' || bootTimeMs() - this.#brokenSinceMs > BROKEN_IS_NEWS_MS) this.#enter('starting', words, true);
    else this.#words = words;
    return 'alone';
  }

  /** The control connection or the database is gone: connects again, or starts it again, a bounded number of times. */
  async #comeBack(): Promise<LiveDatabase> {
    // Whether it came back is seen below.
    await this.#restarting?.catch(() => undefined);
    if (this.#member.running) return this.#member.connect(AbortSignal.any([this.#stop.signal, AbortSignal.timeout(60_000)]));
    const standing = this.#countEnd();
    await pause(RESTART_PAUSE_MS, this.#stop.signal);
    return this.#followAtLast(standing);
  }

  async #cannotFollow(): Promise<Standing> {
    if (this.#pulse === undefined) return undefined;
    const { timeline, flushedLsn } = this.#pulse;
    const before = this.#standsAt;
    this.#standsAt = flushedLsn;
    const { driver } = this.#member;
    return cannotFollow({ driver, upstream: this.#order.upstream, timeline, lsn: flushedLsn, before, signal: this.#stop.signal });
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
      ...(pulse === undefined ? {} : { timeline: pulse.timeline, lsn: pulse.flushedLsn, replayedLsn: pulse.replayedLsn, streaming: receives(pulse) }),
    };
  }
}

/** One that is refused again and again is connected for a moment each time, and would look like one that follows. */
function receives({ receiver }: Pulse): boolean {
  return receiver.state === 'streaming' && receiver.heard !== false;
}

function describeExit(member: Member): string {
  const { database } = member.guard.status;
  return database.state === 'stopped' ? (database.lastExit?.words ?? 'never started') : database.state;
}
