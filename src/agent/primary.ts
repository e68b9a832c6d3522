import type { LiveDatabase, Pulse, Settings } from '../database/driver.ts';
import { renewEveryMs } from '../decide/deadline.ts';
import type { DatabaseExit, GuardStatus } from '../guard/messages.ts';
import { UnderstudyError } from '../model/error.ts';
import type { CommitRule } from '../model/group.ts';
import type { FenceCause, Heartbeat, PrimaryEnd, PrimaryRole, RolePhase } from '../model/role.ts';
import type { RoleContext, RoleHolder } from './holder.ts';
import { LeaseKeeper } from './lease.ts';
import { bootTimeMs } from '../runtime/clock.ts';
import { pause, type Member } from './member.ts';
import { SecondLease } from './second-lease.ts';
import type { Beat } from './task.ts';
import { WriteWatch } from './write-watch.ts';

/** The start of a database that must first recover may take long; its lease is renewed meanwhile. */
const START_LIMIT_MS = 15 * 60_000;
const SLOTS_EVERY_MS = 10_000;

/**
 * Holds the primary's role: lease first, then the database open for writes, then watch it until something ends the role.
 *
 * In every end but `paused` and `superseded` the database is stopped before the end is told: that makes it proof (a) of protocol 2.
 */
export class PrimaryHolder implements RoleHolder {
  readonly kind = 'primary';
  readonly ended: Promise<PrimaryEnd | undefined>;
  readonly #member: Member;
  readonly #order: PrimaryRole;
  readonly #context: RoleContext;
  readonly #keeper: LeaseKeeper;
  readonly #second: SecondLease;
  readonly #stop = new AbortController();
  #phase: RolePhase = 'starting';
  #pulse: Pulse | undefined;
  #rule: CommitRule;
  #systemId: string | undefined;
  #told = '';
  #finish: (end: PrimaryEnd | undefined) => void = () => {};
  #fail: (error: UnderstudyError) => void = () => {};
  #finishing = false;
  /** Seen with our own eyes: what this member holds is still a standby's. */
  #unpromoted = false;
  #running: Promise<void>;
  /** The start of the database, while it is under way. */
  #opening: Promise<LiveDatabase> | undefined;
  readonly #giveUpOpening = new AbortController();
  /** A stop that is made by us, or was told to be expected: the exit that follows is no crash, and this is why. */
  #stopping: { readonly cause: FenceCause; readonly words: string } | undefined;

  constructor(member: Member, order: PrimaryRole, context: RoleContext) {
    this.#member = member;
    this.#order = order;
    this.#context = context;
    const { state } = member.state;
    // What this member itself has put in force at this epoch outranks an order that was written earlier.
    this.#rule = state.highestEpoch === order.epoch && state.rule !== undefined ? state.rule : order.rule;
    this.ended = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    const terms = { epoch: order.epoch, leaseMs: order.leaseMs, marginMs: member.marginMs(order.leaseMs) };
    this.#second = new SecondLease(member, { ...terms, electable: () => member.state.state.electable ?? order.electable });
    this.#keeper = new LeaseKeeper(context.queue, member.guard, { token: context.task.token, ...terms }, () => this.#details(), {
      heard: (beat) => this.#hear(beat),
      doubt: () => void this.#askStandbys(),
    });
    this.#running = this.#run();
  }

  get epoch(): number {
    return this.#order.epoch;
  }

  /** The workflow has put another rule in force: a restart of the database must not bring the old one back. */
  ruleChanged(rule: CommitRule): void {
    this.#rule = rule;
  }

  async supersede(why: string): Promise<void> {
    await this.#end({ end: 'superseded', words: why });
    await this.#running;
  }

  /** A planned stop is under way: its exit is no crash. */
  expectStop(why: string): void {
    this.#stopping = { cause: 'asked', words: why };
  }

  /**
   * Renewals stop and nothing is told: that the database is gone too cannot be shown from here, so the lease runs out at the server
   * and a promotion waits for the quarantine.
   */
  guardLost(): void {
    this.#finishing = true;
    this.#keeper.stop('the guard is gone');
    this.#stop.abort();
    void this.#lookWhetherPaused();
  }

  /** A paused lease never runs out at the server: where somebody has paused it just now, the role is handed back after all. */
  async #lookWhetherPaused(): Promise<void> {
    const { leaseMs } = this.#order;
    for (let beat: Beat = 'unanswered'; beat !== 'gone';) {
      // What was not paused has run out by then.
      await pause(2 * leaseMs);
      beat = await this.#context.queue.beat(this.#context.task.token, this.#details(), leaseMs);
      if (beat !== 'paused') continue;
      this.#finish({ end: 'paused', words: 'somebody paused the role activity while its guard was lost' });
      return;
    }
  }

  async #run(): Promise<void> {
    // Until the role has ended, and not only until this loop has: a stop that a switchover makes may still be under way.
    this.#stop.signal.addEventListener(
      'abort',
      this.#member.guard.onStatus((status) => this.#heed(status)),
      { once: true },
    );
    try {
      this.#keeper.start();
      const first = await this.#keeper.first;
      if (this.#finishing) return;
      if (!first.armed) {
        await this.#fence('lease', `no renewal of epoch ${this.epoch} was acknowledged: ${first.why}`);
        return;
      }
      if (this.#stopping !== undefined) return;
      this.#tell();
      this.#opening = this.#open();
      const live = await this.#opening.finally(() => (this.#opening = undefined));
      if (this.#finishing || this.#stopping !== undefined) return;
      await this.#watch(live);
    } catch (error) {
      if (this.#finishing) return;
      if (!(error instanceof UnderstudyError)) throw error;
      if (error.code === 'ForeignDatabase') this.#refuse(error);
      else await this.#fence('not-started', error.message);
    }
  }

  async #open(): Promise<LiveDatabase> {
    const { driver, spec } = this.#member;
    const signal = AbortSignal.any([this.#stop.signal, this.#giveUpOpening.signal, AbortSignal.timeout(START_LIMIT_MS)]);
    return this.#member.exclusively(async () => {
      if (!this.#member.running) {
        if (this.#order.afterPromotion === true)
          throw new UnderstudyError('NotInRecovery', `the promotion of ${spec.name} to epoch ${this.epoch}, for which its role waited, has left it stopped`);
        const footprint = await driver.footprint(signal);
        if (footprint.state === 'empty' && this.#order.found) await driver.found(signal);
        else if (footprint.state !== 'data') {
          throw new UnderstudyError('DatabaseFailed', `${spec.name} holds no database that could be opened: its data directory is ${footprint.state}`, {
            footprint,
          });
        } else if (footprint.standby) {
          this.#unpromoted = true;
          throw new UnderstudyError('NotInRecovery', `${spec.name} is a standby's copy and was not promoted: it is not opened as primary`, { footprint });
        }
        this.#refuseForeign(footprint.state === 'data' ? footprint.systemId : undefined);
        await driver.adopt(this.#settings());
      }
      const live = await this.#member.start({ as: 'primary', epoch: this.epoch }, this.#settings(), signal);
      const state = await live.look();
      if (state.inRecovery) {
        this.#unpromoted = true;
        throw new UnderstudyError('NotInRecovery', `${spec.name} is in recovery: a primary's role came without a promotion`, { timeline: state.timeline });
      }
      this.#refuseForeign(state.systemId);
      this.#systemId = state.systemId;
      await this.#member.settle(live, this.#settings());
      await live.ensureAccounts();
      await live.slots(this.#order.others);
      this.#phase = 'open';
      return live;
    });
  }

  /** Another system under this member's name is another agent, or another directory: nothing of it is opened. */
  #refuseForeign(systemId: string | undefined): void {
    const expected = this.#order.systemId;
    if (expected === undefined || systemId === undefined || systemId === expected) return;
    throw new UnderstudyError(
      'ForeignDatabase',
      `${this.#member.spec.name} holds the database system ${systemId}, and the group's is ${expected}. Look whether two agents run under this name, or whether the data directory is the right one`,
      { found: systemId, expected },
    );
  }

  #settings(): Settings {
    return { upstream: undefined, rule: this.#rule, leaseMs: this.#order.leaseMs };
  }

  /** Looks at the database as often as the lease is renewed, and tries a write at every second look. */
  async #watch(first: LiveDatabase): Promise<void> {
    const everyMs = renewEveryMs(this.#order.leaseMs);
    const writes = new WriteWatch(this.#order.hungAfterMs);
    let live: LiveDatabase | undefined = first;
    let slotsAtMs = bootTimeMs() + SLOTS_EVERY_MS;
    for (let round = 0; !this.#finishing; round += 1) {
      live = this.#member.live ?? (await this.#reconnect(writes));
      if (this.#finishing) return;
      if (live !== undefined) {
        const verdict = await this.#look(live, round % 2 === 0, writes);
        if (this.#finishing) return;
        if (verdict !== undefined) {
          await this.#fence(verdict.cause, verdict.words);
          return;
        }
        if (bootTimeMs() >= slotsAtMs) {
          slotsAtMs = bootTimeMs() + SLOTS_EVERY_MS;
          await this.#keepSlots(live);
        }
      } else if (writes.overdue() !== undefined) {
        await this.#fence('hung', writes.overdue() ?? '');
        return;
      }
      await pause(everyMs, this.#stop.signal);
    }
  }

  async #look(live: LiveDatabase, alsoWrite: boolean, writes: WriteWatch): Promise<{ cause: FenceCause; words: string } | undefined> {
    try {
      this.#pulse = await live.pulse();
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      writes.unanswered(error.message);
      const words = writes.overdue();
      return words === undefined ? undefined : { cause: 'hung', words };
    }
    if (this.#pulse.inRecovery) return { cause: 'not-ours', words: 'the database is in recovery: somebody restarted it as a standby' };
    this.#member.metrics.saw(this.#pulse);
    this.#tell();
    if (alsoWrite) await this.#member.keepSettled(live);
    return alsoWrite ? writes.judge(await this.#member.metrics.timeProbe(() => live.probeWrite(Math.min(this.#order.hungAfterMs, 2000)))) : undefined;
  }

  /** A member that has left may stream for a while longer, and its slot can be dropped only after that: log would be kept for nobody. */
  async #keepSlots(live: LiveDatabase): Promise<void> {
    try {
      await live.slots(this.#order.others);
    } catch (error) {
      // Whether the database answers is judged by the looks; the slots are looked at again.
      if (!(error instanceof UnderstudyError)) throw error;
      this.#member.log.warn({ err: error }, 'the slots could not be looked at');
    }
  }

  async #reconnect(writes: WriteWatch): Promise<LiveDatabase | undefined> {
    if (!this.#member.running) return undefined;
    try {
      return await this.#member.connect(AbortSignal.any([this.#stop.signal, AbortSignal.timeout(1000)]));
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      writes.unanswered(error.message);
      return undefined;
    }
  }

  /** The guard has news: the database ended, by itself or by a fence. */
  #heed(status: GuardStatus): void {
    if (this.#finishing || status.database.state !== 'stopped' || this.#phase === 'starting') return;
    const exit = status.database.lastExit;
    if (exit === undefined) return;
    const { cause, words } = this.#causeOf(exit);
    void this.#end(this.#fenced(cause, words));
  }

  #causeOf(exit: DatabaseExit): { cause: FenceCause; words: string } {
    if (this.#stopping !== undefined) return this.#stopping;
    if (exit.by === 'lease') return { cause: 'lease', words: `the lease was not renewed in time: ${exit.words}` };
    return { cause: 'crashed', words: exit.words };
  }

  #hear(beat: Beat): void {
    this.#member.metrics.renewed(beat);
    if (this.#finishing) return;
    switch (beat) {
      case 'paused':
        void this.#end({ end: 'paused', words: 'somebody paused the role activity: a paused lease would never time out' });
        return;
      case 'cancel-requested':
        void this.#fence('asked', 'the workflow took the role away');
        return;
      case 'ok':
      case 'reset':
        this.#second.relieve();
        return;
      // The deadline stands, unless the standbys move it; the same epoch's role may arrive anew (protocol 1.6).
      case 'gone':
      case 'unanswered':
    }
  }

  /** Temporal does not answer, or has forgotten the role: whoever could be promoted is asked whether it still follows (protocol 3). */
  async #askStandbys(): Promise<void> {
    if (this.#finishing) return;
    // A restarted agent finds its database running, and has no connection yet.
    if (this.#member.live === undefined && this.#member.running) await this.#reconnectToAsk();
    if (this.#finishing) return;
    const vouched = await this.#second.renew();
    this.#member.metrics.secondLease(vouched ? 'confirmed' : 'unconfirmed');
    if (vouched) this.#keeper.vouched();
  }

  async #reconnectToAsk(): Promise<void> {
    try {
      await this.#member.connect(AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#order.leaseMs)]));
    } catch (error) {
      // Then nobody is asked in this round, and the deadline stands.
      if (!(error instanceof UnderstudyError)) throw error;
      this.#member.log.warn({ err: error }, 'the standbys cannot be asked: the database does not answer');
    }
  }

  /** The role is none of this member's to hold: its activity fails, and a person is called. */
  #refuse(error: UnderstudyError): void {
    this.#finishing = true;
    this.#keeper.stop(error.message);
    this.#stop.abort();
    this.#fail(error);
  }

  /** Stops the database, then ends the role: in this order, so that the end is a proof. */
  async #fence(cause: FenceCause, words: string): Promise<void> {
    if (this.#stopping !== undefined) return;
    this.#phase = 'stopping';
    this.#stopping = { cause, words };
    const planned = cause === 'asked';
    let status: GuardStatus;
    try {
      status = await this.#member.stop(planned ? 'fast' : 'immediate', planned ? this.#order.stopWithinMs : 0, words);
      if (this.#opening !== undefined) {
        // A start that was under way may have reached the guard after the stop: nothing of it is left behind an end that tells of a fence (I1).
        this.#giveUpOpening.abort();
        await Promise.allSettled([this.#opening]);
        status = await this.#member.stop('immediate', 0, words);
      }
    } catch (error) {
      if (!(error instanceof UnderstudyError) || error.code !== 'GuardUnreachable') throw error;
      // What became of the database cannot be told without its guard. To go on renewing would keep the role for a member that has nothing open.
      this.guardLost();
      return;
    }
    if (status.database.state !== 'stopped') {
      throw new UnderstudyError('DatabaseFailed', `the guard could not stop the database of ${this.#member.spec.name}`, { status });
    }
    await this.#end(this.#fenced(cause, words));
  }

  #fenced(cause: FenceCause, words: string): PrimaryEnd {
    return {
      end: 'fenced',
      cause,
      words,
      ...(this.#pulse === undefined ? {} : { lsn: this.#pulse.flushedLsn, timeline: this.#pulse.timeline }),
      ...(this.#unpromoted ? { unpromoted: true } : {}),
    };
  }

  async #end(end: PrimaryEnd): Promise<void> {
    if (this.#finishing) return;
    this.#finishing = true;
    this.#keeper.stop(end.words);
    this.#stop.abort();
    this.#finish(end);
  }

  #tell(): void {
    const following = (this.#pulse?.followers ?? [])
      .filter((follower) => follower.state === 'streaming')
      .map((follower) => follower.name)
      .toSorted();
    const told = JSON.stringify([this.#phase, following]);
    if (told === this.#told) return;
    this.#told = told;
    const { group, member, epoch, turn } = this.#order;
    const timeline = {
      ...(this.#pulse === undefined ? {} : { timeline: this.#pulse.timeline }),
      ...(this.#systemId === undefined ? {} : { systemId: this.#systemId }),
    };
    this.#context.tell(this.#context.task.workflowId, {
      group,
      member,
      epoch,
      turn,
      role: 'primary',
      phase: this.#phase,
      following,
      ...timeline,
      atMs: Date.now(),
    });
  }

  #details(): Heartbeat {
    const pulse = this.#pulse;
    return {
      epoch: this.epoch,
      role: 'primary',
      phase: this.#phase,
      fence: this.#member.guard.status.fence,
      ...(pulse === undefined
        ? {}
        : {
            timeline: pulse.timeline,
            lsn: pulse.flushedLsn,
            followers: pulse.followers.map(({ name, state, flushedLsn, confirms }) => ({ name, state, flushedLsn, confirms })),
          }),
    };
  }
}
