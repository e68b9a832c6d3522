import type { Engine, Event, Proc } from './engine.ts';

/** Where the world begins on the wall: only people read it. */
const WALL_MS = Date.UTC(2026, 0, 1);

let engine: Engine | undefined;

/** The world that is played now. */
export function theEngine(): Engine {
  if (engine === undefined) throw new Error('no schedule is being played');
  return engine;
}

/** Whose code runs now. */
export function me(): Proc {
  const { current } = theEngine();
  if (current === undefined) throw new Error('no process runs');
  return current;
}

export function sleepMs(ms: number): Promise<void> {
  const owner = me();
  return new Promise((resolve) => void theEngine().at(ms, owner, resolve));
}

class Handle {
  event: Event | undefined;
  cleared = false;
  unref(): this {
    return this;
  }
  ref(): this {
    return this;
  }
}

type Listener = () => void;

/** As light as a signal can be, and in an order that no garbage collector has a part in. */
class Signal {
  aborted = false;
  reason: unknown;
  #listeners: Listener[] = [];

  addEventListener(_kind: 'abort', listener: Listener): void {
    this.#listeners.push(listener);
  }

  removeEventListener(_kind: 'abort', listener: Listener): void {
    this.#listeners = this.#listeners.filter((one) => one !== listener);
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.reason;
  }

  fire(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }

  static any(signals: readonly Signal[]): Signal {
    const any = new Signal();
    for (const one of signals) {
      if (one.aborted) any.fire(one.reason);
      else one.addEventListener('abort', () => any.fire(one.reason));
    }
    return any;
  }

  static timeout(ms: number): Signal {
    const signal = new Signal();
    theEngine().atOwn(ms, me(), () => signal.fire(new Error('time is up')));
    return signal;
  }
}

class Controller {
  readonly signal = new Signal();
  abort(reason: unknown = new Error('aborted')): void {
    this.signal.fire(reason);
  }
}

/** Node's clocks and timers as a process of the world has them: its machine's clock, and nothing once it is dead. */
export function takeOverGlobals(): void {
  const give = (name: string, value: unknown): void => void Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  give('setTimeout', (act: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
    const handle = new Handle();
    handle.event = theEngine().atOwn(Math.max(1, ms), me(), () => {
      if (!handle.cleared) act(...args);
    });
    return handle;
  });
  give('setInterval', (act: () => void, ms = 0) => {
    const handle = new Handle();
    const owner = me();
    const again = (): void => {
      handle.event = theEngine().atOwn(Math.max(1, ms), owner, () => {
        if (handle.cleared) return;
        again();
        act();
      });
    };
    again();
    return handle;
  });
  const clear = (handle: Handle | undefined): void => {
    if (handle === undefined) return;
    handle.cleared = true;
    if (handle.event !== undefined) handle.event.off = true;
  };
  give('clearTimeout', clear);
  give('clearInterval', clear);
  give('AbortSignal', Signal);
  give('AbortController', Controller);
  give('performance', {
    now: () => {
      const { current, nowMs } = theEngine();
      return current === undefined ? nowMs : current.machine.bootMs(nowMs);
    },
  });
  Date.now = () => WALL_MS + Math.floor(engine?.nowMs ?? 0);
}

/** From here on this world is the one that the globals speak of. */
export function enter(next: Engine): void {
  engine = next;
}
