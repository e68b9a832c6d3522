import { BOOT_RESOLUTION_MS, bootTimeMs, startStopwatch, wallTimeMs } from '../runtime/clock.ts';
import type { ErrorCode } from '../model/error.ts';
import { DatabaseProcess, type Ended } from './database-process.ts';
import { judgeFence, type FenceFound } from './fence-kind.ts';
import { extendLease, refuseStart, type Extension, type Held, type HeldLease } from './held-lease.ts';
import type { KernelTimer } from './kernel-timer.ts';
import type { DatabaseExit, GuardStatus, LaunchSpec } from './messages.ts';
import { isExecutable, type Host } from './namespace.ts';

export type Log = (message: string, fields?: Record<string, unknown>) => void;

export interface GuardParts {
  readonly host: Host;
  readonly timer: KernelTimer | { readonly why: string };
  readonly log: Log;
  /** Called whenever the database's state or the lease has changed. */
  readonly changed: () => void;
}

export type Outcome = { readonly ok: true } | { readonly ok: false; readonly code: ErrorCode; readonly why: string };

/** A stop that is under way. It goes from fast over immediate to SIGKILL, each at its instant of CLOCK_BOOTTIME. */
interface Stop {
  readonly by: 'fence' | 'lease';
  readonly why: string;
  readonly elapsedMs: () => number;
  stage: 'begun' | 'fast' | 'immediate' | 'killed';
  immediateAtMs: number;
  killAtMs: number;
  readonly waiters: (() => void)[];
}

type Database =
  | { readonly state: 'stopped'; readonly lastExit?: DatabaseExit }
  | {
      readonly state: 'running';
      readonly launch: LaunchSpec;
      readonly process: DatabaseProcess;
      readonly startedAtMs: number;
      readonly waiters: (() => void)[];
      stop?: Stop;
    };

/** An immediate stop takes tens of milliseconds; a server that has not ended after this one does not act on signals. */
const KILL_AFTER_MS = 500;
/** Without the kernel's timer the clock that counts time asleep is looked at this often. */
const LOOK_EVERY_MS = 200;
/** Node's timers fire at once for more than 31 bits of milliseconds. */
const LONGEST_ALARM_MS = 3_600_000;

/**
 * The database's parent. It holds the deadline: while a database runs under a lease the kernel's timer is armed with it, from before the
 * process is started until the last of its processes is gone; at any other time the timer is not armed, since it would kill for nothing.
 */
export class Guard {
  readonly #host: Host;
  readonly #timer: KernelTimer | undefined;
  readonly #fence: FenceFound;
  readonly #log: Log;
  readonly #changed: () => void;
  #database: Database = { state: 'stopped' };
  #lease: HeldLease | null = null;
  #highestEpoch = 0;
  #wake: NodeJS.Timeout | undefined;
  #leaving = false;

  constructor({ host, timer, log, changed }: GuardParts) {
    this.#host = host;
    this.#timer = 'why' in timer ? undefined : timer;
    this.#log = log;
    this.#changed = changed;
    this.#fence = judgeFence(host, timer);
  }

  get status(): GuardStatus {
    const database = this.#database;
    return {
      guardPid: process.pid,
      ...this.#fence,
      nowMs: this.#nowMs(),
      database: describe(database),
      lease: this.#lease === null ? null : { epoch: this.#lease.epoch, deadlineMs: this.#lease.deadlineMs },
    };
  }

  extend(extension: Extension): Outcome {
    // Its end has come, and only the alarm is late: first things first.
    if (this.#lease !== null && this.#nowMs() >= this.#lease.deadlineMs) this.#tick();
    const extended = extendLease(this.#held(), extension);
    if (!extended.ok) {
      this.#log('extension refused', { epoch: extension.epoch, why: extended.why });
      return extended;
    }
    if (extended.lease === this.#lease) return { ok: true };
    if (this.#lease?.epoch !== extended.lease.epoch) this.#log('lease taken', { epoch: extended.lease.epoch });
    this.#lease = extended.lease;
    this.#highestEpoch = extended.lease.epoch;
    this.#tick();
    this.#changed();
    return { ok: true };
  }

  /** Resolves once the database's own process is there, or why it is not. A database that runs already is left as it is. */
  async start(launch: LaunchSpec, epoch: number | undefined): Promise<Outcome> {
    this.#tick();
    if (this.#leaving) return { ok: false, code: 'GuardUnreachable', why: 'the database was not started: the guard is being ended' };
    const refusal = refuseStart(this.#held(), epoch);
    if (refusal !== undefined) return { ok: false, ...refusal };
    if (this.#database.state === 'stopped') {
      const refused = this.#spawn(launch);
      if (refused !== undefined) return refused;
    }
    const started = this.#database;
    if (started.state === 'running' && started.process.pid === undefined) {
      await new Promise<void>((resolve) => {
        started.waiters.push(resolve);
      });
    }
    const now = this.#database;
    if (now.state === 'running') return { ok: true };
    return { ok: false, code: 'DatabaseFailed', why: `the database was not started: ${now.lastExit?.words ?? 'it ended at once'}` };
  }

  #spawn(launch: LaunchSpec): Outcome | undefined {
    const mine = process.getuid?.();
    if (launch.user !== undefined && mine !== 0 && launch.user.uid !== mine) {
      return {
        ok: false,
        code: 'DatabaseFailed',
        why: `the database was not started: it is to run as user ${launch.user.uid}, and the guard runs as ${mine}, which may not change that`,
      };
    }
    const [program = ''] = launch.command;
    if (program.includes('/') && !isExecutable(program)) {
      return { ok: false, code: 'DatabaseFailed', why: `the database was not started: ${program} is not there or may not be run` };
    }
    // Armed before there is anything to kill: no instant of the start is without the kernel's deadline.
    if (this.#lease !== null) this.#timer?.arm(this.#lease.deadlineMs);
    try {
      const child = new DatabaseProcess(launch, this.#host, {
        up: (pid) => this.#isUp(pid),
        gone: (ended) => this.#isGone(ended),
      });
      this.#database = { state: 'running', launch, process: child, startedAtMs: wallTimeMs(), waiters: [] };
    } catch (error) {
      this.#tick();
      return { ok: false, code: 'DatabaseFailed', why: `the database was not started: ${(error as Error).message}` };
    }
    this.#log('database starting', { command: launch.command, namespace: this.#host.namespace });
    this.#tick();
    this.#changed();
    return undefined;
  }

  /** Resolves once every process of the database is gone; the lease ends with it. */
  async fence(mode: 'fast' | 'immediate', limitMs: number, why: string): Promise<void> {
    if (this.#database.state === 'stopped') {
      this.#endLease();
      return;
    }
    const stop = this.#beginStop('fence', why, mode === 'fast' ? this.#nowMs() + limitMs : this.#nowMs());
    await new Promise<void>((resolve) => {
      stop.waiters.push(resolve);
      this.#tick();
    });
  }

  /** The guard's own end: the database is stopped in order, and nothing is started any more. */
  async leave(limitMs: number, why: string): Promise<void> {
    this.#leaving = true;
    await this.fence('fast', limitMs, why);
  }

  /** Joins a stop that is under way, which only ever becomes quicker. */
  #beginStop(by: Stop['by'], why: string, immediateAtMs: number): Stop {
    const database = this.#database;
    if (database.state === 'stopped') throw new Error('nothing runs that could be stopped');
    if (database.stop !== undefined) {
      database.stop.immediateAtMs = Math.min(database.stop.immediateAtMs, immediateAtMs);
      return database.stop;
    }
    database.stop = { by, why, elapsedMs: startStopwatch(), stage: 'begun', immediateAtMs, killAtMs: Number.POSITIVE_INFINITY, waiters: [] };
    this.#log('database stopping', { by, why });
    this.#changed();
    return database.stop;
  }

  /** Does whatever is due at this instant, and sets the alarm for what comes next. */
  #tick(): void {
    const nowMs = this.#nowMs();
    const database = this.#database;
    if (database.state === 'running') {
      if (this.#lease !== null && nowMs >= this.#lease.fenceAtMs) this.#overtake(this.#lease, nowMs);
      if (database.stop !== undefined) this.#escalate(database.process, database.launch, database.stop, nowMs);
      if (this.#lease !== null) this.#timer?.arm(this.#lease.deadlineMs);
    } else {
      this.#timer?.disarm();
      if (this.#lease !== null && nowMs >= this.#lease.deadlineMs) this.#endLease();
    }
    this.#setAlarm(nowMs);
  }

  /** The lease's own end: at once, and by SIGKILL in time for the kernel to be left nothing to do. */
  #overtake(lease: HeldLease, nowMs: number): void {
    const stop = this.#beginStop('lease', `the lease of epoch ${lease.epoch} was not renewed`, nowMs);
    stop.killAtMs = Math.min(stop.killAtMs, lease.deadlineMs - (lease.deadlineMs - lease.fenceAtMs) / 4);
  }

  #escalate(child: DatabaseProcess, { stopSignals }: LaunchSpec, stop: Stop, nowMs: number): void {
    if (stop.stage === 'begun') {
      stop.stage = 'fast';
      if (nowMs < stop.immediateAtMs) child.signal(stopSignals.fast);
    }
    if (stop.stage === 'fast' && nowMs >= stop.immediateAtMs) {
      stop.stage = 'immediate';
      const acts = stopSignals.immediate !== 'SIGKILL' && child.signal(stopSignals.immediate);
      stop.killAtMs = Math.min(stop.killAtMs, acts ? nowMs + KILL_AFTER_MS : nowMs);
    }
    if (stop.stage === 'immediate' && nowMs >= stop.killAtMs) {
      stop.stage = 'killed';
      this.#log('database killed', { why: stop.why });
      child.kill();
    }
  }

  #setAlarm(nowMs: number): void {
    clearTimeout(this.#wake);
    const due: number[] = [];
    if (this.#database.state === 'stopped') {
      if (this.#lease !== null) due.push(this.#lease.deadlineMs);
    } else {
      const { stop } = this.#database;
      if (this.#lease !== null && stop?.by !== 'lease') due.push(this.#lease.fenceAtMs);
      if (stop?.stage === 'fast') due.push(stop.immediateAtMs);
      if (stop?.stage === 'immediate') due.push(stop.killAtMs);
    }
    const next = due.filter((atMs) => atMs > nowMs).reduce((least, atMs) => Math.min(least, atMs), Number.POSITIVE_INFINITY);
    if (next === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(next - nowMs, this.#timer === undefined ? LOOK_EVERY_MS : LONGEST_ALARM_MS);
    this.#wake = setTimeout(() => this.#tick(), Math.ceil(waitMs));
  }

  #isUp(pid: number): void {
    this.#log('database started', { databasePid: pid });
    const database = this.#database;
    if (database.state !== 'running') return;
    // A stop that came before there was a process to signal.
    if (database.stop !== undefined)
      database.process.signal(database.stop.stage === 'fast' ? database.launch.stopSignals.fast : database.launch.stopSignals.immediate);
    for (const resolve of database.waiters.splice(0)) resolve();
    this.#changed();
  }

  #isGone(ended: Ended): void {
    const database = this.#database;
    if (database.state !== 'running') return;
    const { stop } = database;
    const lastExit: DatabaseExit =
      stop === undefined ? { by: 'itself', ...ended } : { by: stop.by, ...ended, words: `${stop.why}; ${ended.words}`, tookMs: Math.round(stop.elapsedMs()) };
    this.#database = { state: 'stopped', lastExit };
    if (stop !== undefined) this.#lease = null;
    this.#tick();
    this.#changed();
    for (const resolve of [...database.waiters, ...(stop?.waiters ?? [])]) resolve();
    this.#log('database gone', { ...lastExit });
  }

  #endLease(): void {
    if (this.#lease === null) return;
    this.#log('lease ended', { epoch: this.#lease.epoch });
    this.#lease = null;
    this.#timer?.disarm();
    this.#changed();
  }

  #held(): Held {
    const fencing = this.#database.state === 'running' && this.#database.stop !== undefined;
    return { lease: this.#lease, highestEpoch: this.#highestEpoch, fencing, nowMs: this.#nowMs() };
  }

  /** Where the clock is only known to a hundredth, it is taken as late as it may be: a deadline is kept rather too early. */
  #nowMs(): number {
    return this.#timer === undefined ? bootTimeMs() + BOOT_RESOLUTION_MS : this.#timer.nowMs();
  }
}

function describe(database: Database): GuardStatus['database'] {
  if (database.state === 'stopped') return database;
  const { pid } = database.process;
  if (database.stop !== undefined) return { state: 'stopping', pid, why: database.stop.why };
  return { state: 'running', pid, startedAtMs: database.startedAtMs };
}
