import type { Logger } from 'pino';
import type { DatabaseDriver, LiveDatabase, Settings } from '../database/driver.ts';
import { leaseFits, marginMs } from '../decide/deadline.ts';
import { sameRule } from '../decide/durability.ts';
import { ensureGuard, type GuardClient } from '../guard/client.ts';
import type { GuardStatus } from '../guard/messages.ts';
import { UnderstudyError } from '../model/error.ts';
import type { CommitRule, MemberSpec } from '../model/group.ts';
import type { MemberReport } from '../model/member.ts';
import { BOOT_RESOLUTION_MS, bootTimeMs } from '../runtime/clock.ts';
import { Feed } from './feed.ts';
import { AgentMetrics } from './metrics.ts';
import type { StateFile } from './state-file.ts';

/** How long a look at the database may take before the member says that it does not answer. */
const CONNECT_PAUSE_MS = 20;

export interface MemberParts {
  readonly group: string;
  readonly spec: MemberSpec;
  readonly driver: DatabaseDriver;
  /** Read once the guard is owned: until then an agent before this one may still write it. */
  readonly openState: () => Promise<StateFile>;
  readonly guard: GuardOptions;
  readonly log: Logger;
}

export type StartAs = { readonly as: 'standby' } | { readonly as: 'primary'; readonly epoch: number };

export interface GuardOptions {
  readonly stateDir: string;
  readonly logFile: string;
  /** False where systemd starts the guard. */
  readonly spawn: boolean;
}

/**
 * One member: its database, the guard that is the database's parent, and the control connection. Roles and short acts share it, and
 * take turns (`exclusively`) wherever they start, stop, repoint or promote.
 */
export class Member {
  readonly group: string;
  readonly spec: MemberSpec;
  readonly driver: DatabaseDriver;
  readonly state: StateFile;
  readonly feed: Feed;
  readonly log: Logger;
  readonly metrics: AgentMetrics;
  #guard: GuardClient;
  readonly #guardOptions: GuardOptions;
  #live: LiveDatabase | undefined;
  #connecting: Promise<LiveDatabase> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #detached = false;
  #settled: Settings | undefined;
  #ruleHolds = false;
  #slowestStopMs = 0;

  private constructor(parts: MemberParts, state: StateFile, guard: GuardClient) {
    this.group = parts.group;
    this.spec = parts.spec;
    this.driver = parts.driver;
    this.state = state;
    this.log = parts.log;
    this.feed = new Feed(bootTimeMs() + BOOT_RESOLUTION_MS);
    this.#guardOptions = parts.guard;
    this.#guard = guard;
    this.metrics = new AgentMetrics(parts.group, parts.spec.name, this);
  }

  static async open(parts: MemberParts): Promise<Member> {
    const guard = await ensureGuard(parts.guard);
    return new Member(parts, await parts.openState(), guard);
  }

  get guard(): GuardClient {
    return this.#guard;
  }

  /** After the guard was lost. A guard that has died took its database with it. */
  async reachGuard(): Promise<GuardClient> {
    this.dropLive();
    this.#guard = await ensureGuard(this.#guardOptions);
    return this.#guard;
  }

  /** M of the protocol, widened by the slowest immediate stop that this host has shown, as far as the lease has room for it. */
  marginMs(leaseMs: number): number {
    const wanted = marginMs(leaseMs, this.#slowestStopMs);
    if (leaseFits(leaseMs, wanted)) return wanted;
    this.log.warn({ leaseMs, slowestStopMs: this.#slowestStopMs }, 'the lease is too short for how long a stop takes here: lengthen it');
    return marginMs(leaseMs, 0);
  }

  get running(): boolean {
    return this.#guard.status.database.state === 'running';
  }

  /** Starts, stops, repointing and promotions of one member never overlap. */
  exclusively<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#turn.then(act, act);
    this.#turn = next.catch(() => undefined);
    return next;
  }

  /** The control connection, opened when there is none. @throws UnderstudyError `DatabaseUnreachable` past the limit */
  async connect(signal: AbortSignal): Promise<LiveDatabase> {
    if (this.#live !== undefined) return this.#live;
    this.#connecting ??= this.#open(signal).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #open(signal: AbortSignal): Promise<LiveDatabase> {
    for (;;) {
      if (!this.running) throw new UnderstudyError('DatabaseUnreachable', `the database of ${this.spec.name} does not run`);
      try {
        const live = await this.driver.connect(signal);
        this.#live = live;
        void live.lost.then((why) => {
          this.log.debug({ why }, 'control connection lost');
          if (this.#live === live) this.#live = undefined;
        });
        return live;
      } catch (error) {
        if (!(error instanceof UnderstudyError) || error.code !== 'DatabaseUnreachable' || signal.aborted) throw error;
        await pause(CONNECT_PAUSE_MS);
      }
    }
  }

  /** The open connection, if there is one: for whoever must not wait. */
  get live(): LiveDatabase | undefined {
    return this.#live;
  }

  dropLive(): void {
    void this.#live?.close();
    this.#live = undefined;
  }

  /** Starts the database in a role and returns once it answers. Running already, it is left as it is. */
  async start(role: StartAs, settings: Settings, signal: AbortSignal): Promise<LiveDatabase> {
    const launched = !this.running;
    if (launched) {
      this.dropLive();
      const launch = await this.driver.launch(role.as, settings);
      // A primary starts only while its guard holds the lease of its epoch: it may have run out while the start was prepared (I1).
      if (role.as === 'primary') await this.#guard.start(launch, role.epoch);
      else {
        // Nothing runs, so this only ends the lease of a primary that crashed: at its deadline the guard would stop the standby for it.
        await this.#guard.fence('immediate', 0, 'a standby holds no lease');
        await this.#guard.start(launch);
      }
    }
    this.#note(settings, launched);
    return this.connect(signal);
  }

  /** Stops the database and returns once its processes are gone. */
  async stop(mode: 'fast' | 'immediate', limitMs: number, why: string): Promise<GuardStatus> {
    this.dropLive();
    const status = await this.#guard.fence(mode, limitMs, why);
    const tookMs = status.database.state === 'stopped' ? status.database.lastExit?.tookMs : undefined;
    if (mode === 'immediate' && tookMs !== undefined) this.#slowestStopMs = Math.max(this.#slowestStopMs, tookMs);
    return status;
  }

  /** Puts settings in force on the running database. */
  async settle(live: LiveDatabase, settings: Settings): Promise<void> {
    this.#note(settings, await live.settle(settings));
  }

  /**
   * Puts back in force what somebody has outranked since it was settled (ALTER SYSTEM): a commit rule that is recorded and not in force would lose writes (I2),
   * and a standby that was pointed elsewhere follows nobody. It takes turns with every order about settings, so that it brings no older one back.
   */
  async keepSettled(live: LiveDatabase): Promise<void> {
    try {
      if (this.#settled === undefined || (await live.outranked(this.#settled)).length === 0) return;
      await this.exclusively(async () => {
        const settings = this.#settled;
        if (settings === undefined || this.#live !== live) return;
        const names = await live.outranked(settings);
        if (names.length === 0) return;
        this.log.warn({ names }, 'somebody has outranked settings of Understudy: they are put in force again');
        await this.settle(live, settings);
      });
    } catch (error) {
      // It is tried again at the next look; what it means for writes is told by the write probe.
      if (!(error instanceof UnderstudyError)) throw error;
      this.log.warn({ err: error }, 'settings of Understudy are outranked, and cannot be put in force again yet');
    }
  }

  /** Stops receiving: this member's place is frozen from here on (protocol 3.2). */
  async detach(live: LiveDatabase, settings: Omit<Settings, 'upstream'>): Promise<void> {
    await live.detach({ ...settings, upstream: undefined });
    this.#note({ ...settings, upstream: undefined }, true);
    const { receiver, flushedLsn } = await live.pulse();
    this.feed.see(receiver, bootTimeMs() + BOOT_RESOLUTION_MS, flushedLsn);
  }

  #note(settings: Settings, ruleHolds: boolean): void {
    this.#settled = settings;
    this.#ruleHolds = ruleHolds;
    this.#detached = settings.upstream === undefined;
  }

  /** Puts another commit rule in force, and leaves the rest as it was settled last. */
  async settleRule(live: LiveDatabase, rule: CommitRule): Promise<void> {
    if (this.#settled !== undefined) await this.settle(live, { ...this.#settled, rule });
  }

  /** Whether just these settings were the last that were settled, and nothing is received, or `unfed`: nobody sends. */
  isReadyWith({ rule, leaseMs }: Omit<Settings, 'upstream'>, unfed: boolean): boolean {
    return (
      (this.#detached || unfed) && this.#ruleHolds && this.#settled !== undefined && this.#settled.leaseMs === leaseMs && sameRule(this.#settled.rule, rule)
    );
  }

  get detached(): boolean {
    return this.#detached;
  }

  fedAgoMs(): number {
    return this.feed.fedAgoMs(bootTimeMs());
  }

  /** Everything that an incident asks about this member. A database that does not answer is told as such, not thrown. */
  async report(signal: AbortSignal): Promise<MemberReport> {
    const { state } = this.state;
    const { status } = this.#guard;
    const base = {
      member: this.spec.name,
      epoch: state.highestEpoch,
      opened: state.opened ?? 0,
      role: state.held?.kind ?? 'none',
      detached: this.#detached,
      fence: status.fence,
      cluster: state.cluster,
      ...(status.lease === null ? {} : { leaseLeftMs: Math.max(0, status.lease.deadlineMs - bootTimeMs()) }),
    } as const;
    if (!this.running) {
      return { ...base, footprint: await this.driver.footprint(signal), trouble: describeStopped(status) };
    }
    try {
      const live = await (await this.connect(signal)).look();
      this.feed.see(live.receiver, bootTimeMs() + BOOT_RESOLUTION_MS, live.flushedLsn);
      return {
        ...base,
        footprint: {
          state: 'data',
          systemId: live.systemId,
          version: '',
          timeline: live.timeline,
          checkpointLsn: live.flushedLsn,
          cleanShutdown: false,
          standby: live.inRecovery,
        },
        live,
        ...(this.feed.everFed ? { fedAgoMs: this.fedAgoMs() } : {}),
      };
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      return { ...base, footprint: await this.driver.footprint(signal), trouble: error.message };
    }
  }
}

function describeStopped(status: GuardStatus): string {
  if (status.database.state !== 'stopped') return `the database is ${status.database.state}`;
  const exit = status.database.lastExit;
  return exit === undefined ? 'the database has not been started' : `the database is stopped: ${exit.words}`;
}

/** Returns early where `signal` is aborted: whoever is told to let go lets go at once. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const over = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal?.addEventListener('abort', over, { once: true });
  });
}
