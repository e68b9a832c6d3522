import { Random } from './random.ts';

/** Something that happens at an instant, to a process or (without one) in the world itself: on the wire, in a kernel. */
export interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly owner: Proc | undefined;
  readonly act: () => void;
  off: boolean;
}

/** A host: its own clock, its own disk. */
export class Machine {
  readonly name: string;
  /** Its clock's error: 0.0002 runs 200 millionths too fast. */
  readonly drift: number;
  readonly bootedMs: number;
  readonly procs = new Set<Proc>();
  up = true;
  /** How long its clocks have stood still, as a paused virtual machine's do. */
  pausedMs = 0;
  pausedSinceMs: number | undefined;

  constructor(name: string, drift: number, bootedMs: number) {
    this.name = name;
    this.drift = drift;
    this.bootedMs = bootedMs;
  }

  /** CLOCK_BOOTTIME, exactly, at an instant of the world. */
  bootMs(nowMs: number): number {
    const stood = this.pausedMs + (this.pausedSinceMs === undefined ? 0 : nowMs - this.pausedSinceMs);
    return this.bootedMs + (nowMs - stood) * (1 + this.drift);
  }
}

/** A process: killed, nothing of it happens any more; stopped, it all happens later. */
export class Proc {
  readonly name: string;
  readonly machine: Machine;
  state: 'running' | 'frozen' | 'dead' = 'running';
  deferred: (() => void)[] = [];
  /** Called as it dies, whatever killed it: what the kernel does then. */
  onDeath: (() => void)[] = [];
  readonly bornMs: number;

  constructor(name: string, machine: Machine, bornMs: number) {
    this.name = name;
    this.machine = machine;
    this.bornMs = bornMs;
    machine.procs.add(this);
  }

  get alive(): boolean {
    return this.state !== 'dead';
  }
}

/** Drains the microtasks now, and not at the end of Node's turn: one event is over before the next begins. Ten times quicker than a turn for each. */
const drain = (process as unknown as { _tickCallback: () => void })._tickCallback;

/** Discrete events in the order of time; of those at one instant, in the order in which they were planned. */
export class Engine {
  nowMs = 0;
  /** Whose code runs now. */
  current: Proc | undefined;
  /** For delays alone, so that a fault left out changes nothing else about the others' own dice. */
  readonly random: Random;
  readonly #heap: Event[] = [];
  #order = 0;
  events = 0;
  /** Called after each event that touched the databases. */
  afterEach: () => void = () => {};
  /** What a process threw and did not catch. */
  onCrash: (proc: Proc | undefined, error: unknown) => void = (_proc, error) => {
    throw error;
  };

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  /** @param delayMs of the world's time */
  at(delayMs: number, owner: Proc | undefined, act: () => void): Event {
    const event: Event = { atMs: this.nowMs + Math.max(0, delayMs), order: (this.#order += 1), owner, act, off: false };
    this.#push(event);
    return event;
  }

  /** The same for a delay that a machine's own clock measures. */
  atOwn(delayMs: number, owner: Proc, act: () => void): Event {
    return this.at(delayMs / (1 + owner.machine.drift), owner, act);
  }

  /** Runs something as a process now, or when it is let go on; never where it is dead. */
  deliver(owner: Proc | undefined, act: () => void): void {
    if (owner === undefined) act();
    else if (owner.state === 'frozen') owner.deferred.push(act);
    else if (owner.state === 'running') {
      const before = this.current;
      this.current = owner;
      try {
        act();
        drain();
      } catch (error) {
        this.onCrash(owner, error);
      }
      this.current = before;
    }
  }

  kill(proc: Proc): void {
    if (proc.state === 'dead') return;
    proc.state = 'dead';
    proc.deferred = [];
    proc.machine.procs.delete(proc);
    for (const act of proc.onDeath) act();
  }

  freeze(proc: Proc): void {
    if (proc.state === 'running') proc.state = 'frozen';
  }

  thaw(proc: Proc): void {
    if (proc.state !== 'frozen') return;
    proc.state = 'running';
    const { deferred } = proc;
    proc.deferred = [];
    for (const act of deferred) this.at(0, proc, act);
  }

  run(untilMs: number, isOver: () => boolean): void {
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.atMs > untilMs) break;
      this.#pop();
      if (event.off) continue;
      this.nowMs = event.atMs;
      this.events += 1;
      this.deliver(event.owner, event.act);
      this.afterEach();
      if (isOver()) return;
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Event;
      if (above.atMs < event.atMs || (above.atMs === event.atMs && above.order < event.order)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Event;
    const { length } = heap;
    if (length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= length) break;
      const [left, right] = [heap[child] as Event, heap[child + 1]];
      if (right !== undefined && (right.atMs < left.atMs || (right.atMs === left.atMs && right.order < left.order))) child += 1;
      const below = heap[child] as Event;
      if (last.atMs < below.atMs || (last.atMs === below.atMs && last.order < below.order)) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = last;
  }
}
