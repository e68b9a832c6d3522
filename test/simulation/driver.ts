import type { PassedTimeline } from '../../src/model/act.ts';
import type { DatabaseDriver, LiveDatabase, Pulse, Settings, UpstreamHistory, WriteProbe } from '../../src/database/driver.ts';
import type { LaunchSpec } from '../../src/guard/messages.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import type { Lsn } from '../../src/model/lsn.ts';
import type { Footprint, LiveState, Upstream } from '../../src/model/member.ts';
import type { Database } from './database.ts';
import type { Directory } from './directory.ts';
import { me, sleepMs, theEngine } from './globals.ts';
import { Branch, lsn } from './log.ts';
import type { World } from './world-types.ts';

const QUESTION_LIMIT_MS = 5000;
/** The same for every member of a group. */
export const SYSTEM = '42';
const FIRST_PLACE = 0x1000000;

/** The driver of the simulated database: the real interface, with the times that the real one needs, and a death possible at each await. */
export class SimulatedDriver implements DatabaseDriver {
  readonly kind = 'simulated';
  readonly #world: World;
  readonly #member: string;
  readonly #directory: Directory;

  constructor(world: World, member: string, directory: Directory) {
    this.#world = world;
    this.#member = member;
    this.#directory = directory;
  }

  async footprint(): Promise<Footprint> {
    await sleepMs(theEngine().random.between(0.3, 3));
    return this.#directory.footprint();
  }

  async found(): Promise<void> {
    const directory = this.#directory;
    if (directory.state === 'data') return;
    await sleepMs(theEngine().random.between(50, 200));
    directory.state = 'data';
    directory.branch = new Branch({ timeline: 1, parent: undefined, forkAt: 0, writer: this.#member, systemId: SYSTEM, byHand: false });
    directory.end = FIRST_PLACE;
    directory.clean = true;
    directory.standby = false;
  }

  async adopt(settings: Settings): Promise<void> {
    await sleepMs(theEngine().random.between(0.3, 2));
    this.#write(settings);
  }

  #write(settings: Settings): void {
    const directory = this.#directory;
    directory.upstream = settings.upstream;
    directory.rule = settings.rule;
    directory.leaseMs = settings.leaseMs;
  }

  /** Copies from a running upstream, which must go on to the end of it. */
  async #copy(upstream: Upstream, by: 'clone' | 'rewind', tookMs: number, signal: AbortSignal): Promise<void> {
    const directory = this.#directory;
    const failure = (words: string): UnderstudyError => new UnderstudyError(by === 'clone' ? 'CloneFailed' : 'RewindFailed', words);
    const from = await this.#reach(upstream, 3000);
    if (from === undefined) throw failure(`${upstream.member} does not answer`);
    directory.state = 'torn';
    directory.tornBy = by;
    await sleepMs(tookMs);
    const open = this.#world.network.isOpen(this.#member, upstream.member) && this.#world.network.isOpen(upstream.member, this.#member);
    if (signal.aborted || !open || from.proc.state !== 'running' || this.#world.databaseOf(upstream.member) !== from)
      throw failure(`${upstream.member} went away`);
    directory.state = 'data';
    directory.branch = from.branch;
    directory.end = from.directory.end;
    directory.standby = true;
    directory.clean = false;
    directory.slots = new Set();
    directory.checkpointed = from.directory.checkpointed;
  }

  async clone(upstream: Upstream, signal: AbortSignal): Promise<void> {
    await this.#copy(upstream, 'clone', theEngine().random.between(60, 500), signal);
  }

  async movedFrom(): Promise<undefined> {
    return undefined;
  }

  /** Slots keep everything here: what a lost place costs is played on real PostgreSQL. */
  async claimSlot(): Promise<'kept'> {
    return 'kept';
  }

  async rewind(upstream: Upstream, signal: AbortSignal): Promise<{ outcome: 'rewound' } | { outcome: 'impossible'; why: string }> {
    if (theEngine().random.chance(0.1)) return { outcome: 'impossible', why: 'the log back to the fork is gone' };
    await this.#copy(upstream, 'rewind', theEngine().random.between(40, 300), signal);
    return { outcome: 'rewound' };
  }

  /** The upstream's database, once a question has gone there and back. */
  async #reach(upstream: Upstream, limitMs: number): Promise<Database | undefined> {
    const { engine, network } = this.#world;
    const mine = me();
    return new Promise((resolve) => {
      let over = false;
      const end = (database: Database | undefined): void => {
        if (over) return;
        over = true;
        limit.off = true;
        resolve(database);
      };
      const limit = engine.atOwn(limitMs, mine, () => end(undefined));
      network.send(mine.machine.name, upstream.member, undefined, () => {
        const database = this.#world.databaseOf(upstream.member);
        if (database === undefined || !database.accepts) {
          if (this.#world.machineOf(upstream.member).up) network.send(upstream.member, mine.machine.name, mine, () => end(undefined));
          return;
        }
        engine.deliver(database.proc, () => network.send(upstream.member, mine.machine.name, mine, () => end(database)));
      });
    });
  }

  async history(upstream: Upstream): Promise<UpstreamHistory> {
    const database = await this.#reach(upstream, 3000);
    if (database === undefined || !database.proc.alive) throw new UnderstudyError('DatabaseUnreachable', `${upstream.member} does not answer`);
    const { branch } = database;
    return {
      systemId: branch.systemId,
      writable: !database.inRecovery,
      timeline: branch.timeline,
      checkpointed: database.directory.checkpointed,
      forks: branch.forks,
    };
  }

  async endOfLog(): Promise<{ timeline: number; lsn: Lsn } | undefined> {
    await sleepMs(theEngine().random.between(5, 30));
    const { branch, end, state } = this.#directory;
    return state === 'data' && branch !== undefined ? { timeline: branch.timeline, lsn: lsn(end) } : undefined;
  }

  async launch(role: 'primary' | 'standby', settings: Settings): Promise<LaunchSpec> {
    await sleepMs(theEngine().random.between(0.5, 3));
    if (role === 'standby') this.#directory.standby = true;
    this.#write(settings);
    return { command: ['simulated'], env: { MEMBER: this.#member }, cwd: '/', logFile: '', stopSignals: { fast: 'SIGINT', immediate: 'SIGQUIT' } };
  }

  async connect(signal: AbortSignal): Promise<LiveDatabase> {
    const database = this.#world.databaseOf(this.#member);
    if (database === undefined || !database.accepts || database.proc.state !== 'running') {
      await sleepMs(2);
      throw new UnderstudyError('DatabaseUnreachable', `${this.#member} does not answer`);
    }
    const live = new SimulatedLive(this.#world, database, (settings) => this.#write(settings));
    await live.pulse();
    if (signal.aborted) throw new UnderstudyError('DatabaseUnreachable', `${this.#member} did not answer in time`);
    return live;
  }
}

class SimulatedLive implements LiveDatabase {
  readonly lost: Promise<string>;
  readonly #world: World;
  readonly #database: Database;
  readonly #write: (settings: Settings) => void;
  #closed = false;

  constructor(world: World, database: Database, write: (settings: Settings) => void) {
    this.#world = world;
    this.#database = database;
    this.#write = write;
    const mine = me();
    this.lost = new Promise((resolve) => {
      if (!database.proc.alive) resolve('the database has ended');
      else database.proc.onDeath.push(() => void world.engine.at(world.engine.random.between(0.1, 1), mine, () => resolve('the database has ended')));
    });
  }

  /** A question: it reaches the database's process, which answers when it runs. */
  #ask<T>(limitMs: number, act: (answer: (value: T) => void) => void): Promise<T> {
    const { engine } = this.#world;
    const mine = me();
    const { proc } = this.#database;
    const unreachable = (words: string): UnderstudyError => new UnderstudyError('DatabaseUnreachable', `${this.#database.name}: ${words}`);
    if (this.#closed || !proc.alive) return sleepMs(0.1).then(() => Promise.reject(unreachable('the connection is gone')));
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (finish: () => void): void => {
        if (over) return;
        over = true;
        limit.off = true;
        finish();
      };
      const limit = engine.atOwn(limitMs, mine, () => end(() => reject(unreachable(`no answer in ${limitMs} ms`))));
      proc.onDeath.push(() => void engine.at(0.3, mine, () => end(() => reject(unreachable('it has ended')))));
      engine.at(engine.random.between(0.05, 0.4), proc, () => act((value) => void engine.at(0.05, mine, () => end(() => resolve(value)))));
    });
  }

  look(): Promise<LiveState> {
    return this.#ask(QUESTION_LIMIT_MS, (answer) => answer(this.#database.look()));
  }

  pulse(): Promise<Pulse> {
    return this.look();
  }

  async probeWrite(limitMs: number): Promise<WriteProbe> {
    const database = this.#database;
    try {
      return await this.#ask<WriteProbe>(limitMs, (answer) => {
        if (database.inRecovery) answer({ outcome: 'in-recovery', words: 'it is in recovery' });
        else if (this.#world.isDiskFull(database.name)) answer({ outcome: 'disk-full', words: 'no space is left' });
        else database.append(undefined, () => answer({ outcome: 'written' }));
      });
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      return { outcome: 'slow', words: error.message };
    }
  }

  async version(): Promise<string> {
    return '15.0';
  }

  /** Nobody outranks a setting here: that is played on real PostgreSQL. */
  async outranked(): Promise<readonly string[]> {
    return [];
  }

  settle(settings: Settings): Promise<boolean> {
    const database = this.#database;
    return this.#ask(QUESTION_LIMIT_MS, (answer) => {
      const moved = database.directory.upstream?.member !== settings.upstream?.member;
      this.#write(settings);
      if (moved) database.detach();
      database.ruleChanged();
      this.#world.engine.at(this.#world.engine.random.between(1, 8), database.proc, () => answer(true));
    });
  }

  detach(settings: Settings): Promise<void> {
    const database = this.#database;
    return this.#ask(QUESTION_LIMIT_MS, (answer) => {
      this.#write({ ...settings, upstream: undefined });
      database.detach();
      this.#world.engine.at(this.#world.engine.random.between(3, 20), database.proc, () => answer(undefined));
    });
  }

  promote(limitMs: number, passed?: PassedTimeline): Promise<{ outcome: 'promoted' | 'already'; timeline: number; lsn: Lsn }> {
    const database = this.#database;
    const where = () => ({ timeline: database.branch.timeline, lsn: lsn(database.directory.end) });
    return this.#ask(limitMs, (answer) => {
      if (!database.inRecovery) answer({ outcome: 'already', ...where() });
      else database.promote(false, () => answer({ outcome: 'promoted', ...where() }), passed?.timeline);
    });
  }

  drained(): Promise<boolean> {
    return Promise.resolve(true);
  }

  checkpoint(): Promise<void> {
    const database = this.#database;
    return this.#ask(60_000, (answer) => {
      this.#world.engine.at(this.#world.engine.random.between(5, 60), database.proc, () => {
        database.directory.checkpointed = true;
        answer(undefined);
      });
    });
  }

  mark(limitMs: number): Promise<Lsn> {
    const database = this.#database;
    return this.#ask(limitMs, (answer) => {
      if (!database.inRecovery) database.append(undefined, (at) => answer(lsn(at)));
    });
  }

  commitOnce(limitMs: number): Promise<Lsn> {
    const database = this.#database;
    return this.#ask(limitMs, (answer) => database.commit(-1, (acknowledged) => acknowledged && answer(lsn(database.directory.end))));
  }

  ensureAccounts(): Promise<void> {
    return Promise.resolve();
  }

  slots(members: readonly string[]): Promise<void> {
    return this.#ask(QUESTION_LIMIT_MS, (answer) => {
      this.#database.directory.slots = new Set(members);
      answer(undefined);
    });
  }

  releaseSlots(): Promise<void> {
    return Promise.resolve();
  }

  endSessions(): Promise<number> {
    return Promise.resolve(0);
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }
}
