import type { LiveState } from '../../src/model/member.ts';
import { compareNames, type World } from './world-types.ts';
import { Proc, type Machine } from './engine.ts';
import type { Directory } from './directory.ts';
import { Branch, lsn } from './log.ts';
import { Pipe } from './network.ts';

interface Waiting {
  readonly at: number;
  readonly done: (acknowledged: boolean) => void;
}

/** One standby's connection, as both ends see it. */
export class Stream {
  readonly from: Database;
  readonly to: Database;
  readonly down: Pipe;
  readonly up: Pipe;
  readonly byUpstream: string;
  /** The sender's view. */
  sentAt = 0;
  flushedAt = 0;
  heardMs: number;
  saidMs: number;
  open = true;

  constructor(world: World, from: Database, to: Database, byUpstream: string) {
    this.from = from;
    this.to = to;
    this.byUpstream = byUpstream;
    this.down = new Pipe(world.engine, world.network, from.machine.name, to.machine.name, to.proc);
    this.up = new Pipe(world.engine, world.network, to.machine.name, from.machine.name, from.proc);
    this.heardMs = world.engine.nowMs;
    this.saidMs = world.engine.nowMs;
  }
}

/** A running database: what of PostgreSQL the rules depend on. It commits when enough have flushed, ships what is flushed here, and takes what comes. */
export class Database {
  readonly world: World;
  readonly name: string;
  readonly machine: Machine;
  readonly proc: Proc;
  readonly directory: Directory;
  /** Answers questions. */
  accepts = false;
  inRecovery: boolean;
  promoting = false;
  replayPaused = false;
  /** Started outside of anybody's orders. */
  byHand = false;
  hungUntilMs = 0;
  written: number;
  #waiting: Waiting[] = [];
  readonly senders: Stream[] = [];
  receiver: Stream | undefined;
  #connecting: object | undefined;
  #lastReceivedMs = 0;
  #stamp = 0;

  constructor(world: World, name: string, machine: Machine, directory: Directory) {
    this.world = world;
    this.name = name;
    this.machine = machine;
    this.directory = directory;
    this.inRecovery = directory.standby;
    this.written = directory.end;
    this.proc = new Proc(`${name}/database`, machine, world.engine.nowMs);
    this.proc.onDeath.push(() => this.#gone());
    directory.clean = false;
    this.#in(world.engine.random.between(15, 120), () => this.#up());
  }

  /** Whether a client's commit could be acknowledged now, as far as this process is concerned. */
  get open(): boolean {
    return this.accepts && !this.inRecovery && this.proc.state === 'running';
  }

  get branch(): Branch {
    const { branch } = this.directory;
    if (branch === undefined) throw new Error(`${this.name} runs without data`);
    return branch;
  }

  #in(ms: number, act: () => void): void {
    this.world.engine.at(ms, this.proc, act);
  }

  #up(): void {
    const { directory } = this;
    if (!this.inRecovery) {
      const { branch } = this;
      // Crash recovery ends with a checkpoint.
      directory.checkpointed = true;
      // What was not flushed has gone with the process before; nobody else ever had it.
      if (branch.writer === this.name) branch.commits.splice(0, branch.commits.length, ...branch.commits.filter(({ at }) => at <= directory.end));
      // A copy of another's timeline that is written on: the number is the same, the log is not.
      else
        directory.branch = new Branch({
          timeline: branch.timeline,
          parent: branch,
          forkAt: directory.end,
          writer: this.name,
          systemId: branch.systemId,
          byHand: this.byHand,
        });
    }
    this.accepts = true;
    if (!this.inRecovery) this.world.checks.opened(this);
    this.#tend();
  }

  /** Every now and then: connects where it should, and looks whether the other end still says anything. */
  #tend(): void {
    const { directory, world } = this;
    const now = world.engine.nowMs;
    const limitMs = Math.max(1000, 2 * directory.leaseMs);
    for (const stream of this.senders) {
      if (!stream.open) continue;
      if (now - stream.heardMs > limitMs) this.#drop(stream);
      else if (now - stream.saidMs > limitMs / 2) this.#ship(stream, true);
    }
    const { receiver } = this;
    if (receiver?.open === true) {
      if (now - this.#lastReceivedMs > limitMs) this.detach();
      else this.#reply(receiver);
    }
    if (this.inRecovery && directory.upstream !== undefined && this.receiver === undefined) this.#connect();
    this.#in(this.inRecovery && directory.upstream !== undefined && this.receiver === undefined ? 100 : Math.max(100, directory.leaseMs / 2), () =>
      this.#tend(),
    );
  }

  #connect(): void {
    const { upstream } = this.directory;
    if (upstream === undefined || this.#connecting !== undefined || this.#hung) return;
    const { engine, network } = this.world;
    const attempt = {};
    this.#connecting = attempt;
    const limit = engine.at(2000, this.proc, () => {
      if (this.#connecting === attempt) this.#connecting = undefined;
    });
    const end = (act: () => void): void => {
      limit.off = true;
      if (this.#connecting === attempt) this.#connecting = undefined;
      act();
    };
    network.send(this.machine.name, upstream.member, undefined, () => {
      const from = this.world.databaseOf(upstream.member);
      const refuse = (): void => network.send(upstream.member, this.machine.name, this.proc, () => end(() => undefined));
      if (from === undefined || !from.machine.up) {
        if (this.world.machineOf(upstream.member).up) refuse();
        return;
      }
      engine.deliver(from.proc, () => {
        if (
          !from.accepts ||
          !from.directory.slots.has(this.name) ||
          from.senders.some(({ open, to }) => open && to.name === this.name) ||
          !from.canFeed(this)
        ) {
          refuse();
          return;
        }
        const stream = new Stream(this.world, from, this, upstream.member);
        from.senders.push(stream);
        stream.sentAt = -1;
        network.send(upstream.member, this.machine.name, this.proc, () =>
          end(() => {
            if (!stream.open) return;
            if (this.directory.upstream?.member !== stream.byUpstream || !this.inRecovery || this.receiver !== undefined) {
              stream.up.send(() => from.#drop(stream));
              return;
            }
            this.receiver = stream;
            this.#lastReceivedMs = engine.nowMs;
            this.#stamp += 1;
            this.#reply(stream);
          }),
        );
        from.#ship(stream, true);
      });
    });
  }

  /** By timelines' numbers and places, as PostgreSQL judges it: it cannot tell two timelines of one number apart. */
  canFeed(to: Database): boolean {
    if (to.branch.systemId !== this.branch.systemId) return false;
    const fork = this.branch.forks.find(({ timeline }) => timeline === to.branch.timeline);
    if (to.branch.timeline === this.branch.timeline) return to.directory.end <= this.directory.end;
    return fork !== undefined && lsnNumber(fork.endLsn) >= to.directory.end;
  }

  // ---- sending ----

  #shipAll(): void {
    for (const stream of this.senders) if (stream.open) this.#ship(stream, false);
  }

  #ship(stream: Stream, keepalive: boolean): void {
    const { branch, end } = this.directory;
    if (branch === undefined || (!keepalive && stream.sentAt >= end)) return;
    stream.sentAt = end;
    stream.saidMs = this.world.engine.nowMs;
    stream.down.send(() => stream.to.#receive(stream, branch, end));
  }

  #receive(stream: Stream, branch: Branch, end: number): void {
    if (this.receiver !== stream || !stream.open) return;
    this.#stamp += 1;
    this.#lastReceivedMs = this.world.engine.nowMs;
    if (end <= this.directory.end && branch === this.branch) return;
    this.world.checks.received(this, branch, this.directory.end);
    this.#in(this.world.engine.random.between(0.3, 2), () => {
      if (this.#hung) return;
      // What was received is flushed even where the receiver has ended meanwhile.
      if (
        end < this.directory.end ||
        !this.inRecovery ||
        (branch !== this.branch && branch.reach(end).get(this.branch) === undefined && branch.timeline <= this.branch.timeline)
      )
        return;
      this.directory.branch = branch;
      this.directory.end = end;
      this.written = end;
      if (this.receiver === stream) this.#reply(stream);
      this.#shipAll();
    });
  }

  #reply(stream: Stream): void {
    const flushed = this.directory.end;
    stream.up.send(() => stream.from.#confirmed(stream, flushed));
  }

  #confirmed(stream: Stream, flushed: number): void {
    if (!stream.open) return;
    stream.heardMs = this.world.engine.nowMs;
    stream.flushedAt = Math.max(stream.flushedAt, flushed);
    this.#release();
  }

  #drop(stream: Stream): void {
    if (!stream.open) return;
    const { to, from } = stream;
    stream.open = false;
    this.senders.splice(0, this.senders.length, ...this.senders.filter((one) => one !== stream));
    this.world.network.send(from.machine.name, to.machine.name, to.proc, () => {
      if (to.receiver === stream) to.receiver = undefined;
    });
  }

  /** Nothing more is received. */
  detach(): void {
    const { receiver } = this;
    this.receiver = undefined;
    this.#connecting = undefined;
    if (receiver !== undefined) this.world.network.send(this.machine.name, receiver.from.machine.name, receiver.from.proc, () => receiver.from.#drop(receiver));
  }

  // ---- committing ----

  get #hung(): boolean {
    return this.world.engine.nowMs < this.hungUntilMs;
  }

  get hung(): boolean {
    return this.#hung;
  }

  /** Writes a record and has it flushed here. */
  append(id: number | undefined, flushed: (at: number) => void): void {
    const { branch, world } = this;
    this.written += 64 + world.engine.random.below(128);
    const at = this.written;
    if (id !== undefined) branch.commits.push({ id, at });
    this.#in(world.engine.random.between(0.3, 3), () => {
      if (this.#hung) {
        world.engine.at(this.hungUntilMs - world.engine.nowMs + 1, this.proc, () => this.#flush(branch, at, flushed));
        return;
      }
      this.#flush(branch, at, flushed);
    });
  }

  #flush(branch: Branch, at: number, flushed: (at: number) => void): void {
    if (this.directory.branch !== branch) return;
    this.directory.end = Math.max(this.directory.end, at);
    this.#shipAll();
    flushed(at);
  }

  /** A client's commit: `done(true)` is what a client would read as an acknowledgement. */
  commit(id: number, done: (acknowledged: boolean) => void): void {
    if (!this.open || this.world.isDiskFull(this.name)) {
      done(false);
      return;
    }
    const { branch } = this;
    this.append(id, (at) => {
      const wait: Waiting = {
        at,
        done: (acknowledged) => {
          if (acknowledged) this.world.checks.acknowledged(this, branch, { id, at });
          done(acknowledged);
        },
      };
      this.#waiting.push(wait);
      this.#release();
    });
  }

  /** Whoever waits long enough is let go: where commits wait for standbys, once enough of them have it. */
  #release(): void {
    if (this.#waiting.length === 0) return;
    const { rule } = this.directory;
    let safe = this.directory.end;
    if (rule.count > 0) {
      const places = rule.names.map((name) => this.senders.find(({ open, to }) => open && to.name === name)?.flushedAt ?? 0).sort((a, b) => b - a);
      safe = places[rule.count - 1] ?? 0;
    }
    const released = this.#waiting.filter(({ at }) => at <= safe);
    if (released.length === 0) return;
    this.#waiting = this.#waiting.filter(({ at }) => at > safe);
    for (const { done } of released) done(true);
  }

  ruleChanged(): void {
    this.#release();
  }

  // ---- promotion ----

  promote(byHand: boolean, done: () => void, passed = 0): void {
    if (this.promoting) return;
    this.promoting = true;
    const { engine } = this.world;
    this.detach();
    this.#in(engine.random.between(3, 25), () => {
      const { directory } = this;
      const parent = this.branch;
      directory.branch = new Branch({
        timeline: Math.max(parent.timeline, passed) + 1,
        parent,
        forkAt: directory.end,
        writer: this.name,
        systemId: parent.systemId,
        byHand,
      });
      directory.standby = false;
      directory.checkpointed = false;
      this.written = directory.end;
      this.#in(engine.random.between(2, 20), () => {
        this.inRecovery = false;
        this.promoting = false;
        if (byHand) this.byHand = true;
        this.world.checks.opened(this);
        this.#shipAll();
        done();
        // A checkpoint comes by itself in the end.
        this.#in(5000, () => (this.directory.checkpointed = true));
      });
    });
  }

  // ---- its end ----

  /** A fast shutdown: sessions end, a checkpoint is the last record, and it is sent before the senders end. */
  stopInOrder(): void {
    const { engine } = this.world;
    this.accepts = false;
    this.#waiting = [];
    if (this.inRecovery) {
      engine.kill(this.proc);
      return;
    }
    this.append(undefined, () => {
      const end = (): void => {
        if (this.senders.some(({ open, flushedAt }) => open && flushedAt < this.directory.end)) {
          this.#in(10, end);
          return;
        }
        this.directory.clean = true;
        engine.kill(this.proc);
      };
      end();
    });
  }

  #gone(): void {
    const { machine, world } = this;
    this.accepts = false;
    this.#waiting = [];
    world.databaseGone(this);
    // A kernel that lives says so to the other end.
    if (!machine.up) return;
    for (const stream of this.senders) {
      stream.open = false;
      world.network.send(machine.name, stream.to.machine.name, stream.to.proc, () => {
        if (stream.to.receiver === stream) stream.to.receiver = undefined;
      });
    }
    const { receiver } = this;
    if (receiver !== undefined) world.network.send(machine.name, receiver.from.machine.name, receiver.from.proc, () => receiver.from.#drop(receiver));
  }

  look(): LiveState {
    const { directory } = this;
    const { receiver } = this;
    const at = lsn(directory.end);
    return {
      inRecovery: this.inRecovery,
      systemId: this.branch.systemId,
      timeline: this.branch.timeline,
      flushedLsn: at,
      replayedLsn: at,
      replayPaused: this.replayPaused,
      receiver:
        receiver !== undefined
          ? { state: 'streaming', from: receiver.from.name, stamp: String(this.#stamp) }
          : this.#connecting !== undefined
            ? { state: 'starting', from: directory.upstream?.member ?? '', stamp: String(this.#stamp) }
            : { state: 'none' },
      followers: this.senders
        .filter(({ open }) => open)
        .map(({ to, flushedAt }) => ({
          name: to.name,
          state: 'streaming',
          flushedLsn: lsn(flushedAt),
          replayedLsn: lsn(flushedAt),
          confirms: directory.rule.names.includes(to.name),
          holdsSlot: true,
        }))
        .sort((a, b) => compareNames(a.name, b.name)),
      slots: [],
    };
  }
}

function lsnNumber(text: string): number {
  return Number.parseInt(text.slice(2), 16);
}
