import type { Engine, Proc } from './engine.ts';

interface Link {
  cuts: number;
  slowMs: number;
  /** What waits for the way to be open again: a cut loses no bytes of a connection, it makes them late. */
  waiting: (() => void)[];
}

/** An error as gRPC tells it. */
export function rpcError(code: number, words: string): Error & { code: number } {
  return Object.assign(new Error(words), { code });
}

export const DEADLINE_EXCEEDED = 4;
export const NOT_FOUND = 5;
export const UNAVAILABLE = 14;

/** The ways between machines: each direction of its own, open or cut, quick or slow. */
export class Network {
  readonly #engine: Engine;
  readonly #links = new Map<string, Link>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  #link(from: string, to: string): Link {
    const key = `${from}>${to}`;
    let link = this.#links.get(key);
    if (link === undefined) this.#links.set(key, (link = { cuts: 0, slowMs: 0, waiting: [] }));
    return link;
  }

  isOpen(from: string, to: string): boolean {
    return from === to || this.#link(from, to).cuts === 0;
  }

  cut(from: string, to: string): void {
    this.#link(from, to).cuts += 1;
  }

  heal(from: string, to: string): void {
    const link = this.#link(from, to);
    link.cuts -= 1;
    if (link.cuts > 0) return;
    const { waiting } = link;
    link.waiting = [];
    // What is sent again comes in a burst, a while after.
    const afterMs = this.#engine.random.between(0, 200);
    for (const act of waiting) this.#engine.at(afterMs, undefined, act);
  }

  slow(from: string, to: string, byMs: number): void {
    this.#link(from, to).slowMs += byMs;
  }

  latencyMs(from: string, to: string): number {
    if (from === to) return this.#engine.random.between(0.02, 0.2);
    const { slowMs } = this.#link(from, to);
    return this.#engine.random.between(0.1, 1) + (slowMs === 0 ? 0 : slowMs * this.#engine.random.between(0.5, 1));
  }

  /** Brings something to a process, in its own time and in no order; a cut that it runs into holds it up until it is healed. */
  send(from: string, to: string, owner: Proc | undefined, act: () => void): void {
    const link = from === to ? undefined : this.#link(from, to);
    const arrive = (): void => {
      if (link !== undefined && link.cuts > 0) link.waiting.push(arrive);
      else this.#engine.deliver(owner, act);
    };
    this.#engine.at(this.latencyMs(from, to), undefined, arrive);
  }

  whenOpen(from: string, to: string, act: () => void): void {
    this.#link(from, to).waiting.push(act);
  }
}

/** One direction of a connection: everything arrives in order, or late, or (where an end has gone) never. */
export class Pipe {
  readonly #engine: Engine;
  readonly #network: Network;
  readonly #from: string;
  readonly #to: string;
  readonly #owner: Proc;
  readonly #queue: { readonly readyMs: number; readonly act: () => void }[] = [];
  #moving = false;
  closed = false;

  constructor(engine: Engine, network: Network, from: string, to: string, owner: Proc) {
    this.#engine = engine;
    this.#network = network;
    this.#from = from;
    this.#to = to;
    this.#owner = owner;
  }

  send(act: () => void): void {
    if (this.closed) return;
    const readyMs = this.#engine.nowMs + this.#network.latencyMs(this.#from, this.#to);
    this.#queue.push({ readyMs, act });
    if (!this.#moving) this.#plan();
  }

  #plan(): void {
    const [head] = this.#queue;
    this.#moving = head !== undefined;
    if (head !== undefined) this.#engine.at(head.readyMs - this.#engine.nowMs, undefined, () => this.#move());
  }

  #move(): void {
    if (!this.#network.isOpen(this.#from, this.#to)) {
      this.#network.whenOpen(this.#from, this.#to, () => this.#move());
      return;
    }
    for (let head = this.#queue[0]; head !== undefined && head.readyMs <= this.#engine.nowMs; head = this.#queue[0]) {
      this.#queue.shift();
      const { act } = head;
      // What has arrived waits in the kernel of a process that is stopped.
      this.#engine.deliver(this.#owner, () => {
        if (!this.closed) act();
      });
    }
    this.#plan();
  }
}
