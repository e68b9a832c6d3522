import { Guard } from '../../src/guard/guard.ts';
import type { KernelTimer } from '../../src/guard/kernel-timer.ts';
import type { GuardStatus } from '../../src/guard/messages.ts';
import type { Host } from '../../src/guard/namespace.ts';
import { Proc, type Event, type Machine } from './engine.ts';
import { theEngine } from './globals.ts';

const HOST: Host = { setpriv: 'setpriv', unshare: 'unshare', chrt: 'chrt', namespace: 'plain', realtime: true };
const guards = new WeakMap<Machine, GuardProcess>();

/** What the kernel does between the guard's death and the end of the last process of its database: measured at 66 ms, 133 ms where the machine is busy. */
export function killTookMs(): number {
  const { random } = theEngine();
  return random.chance(0.2) ? random.between(60, 133) : random.between(1, 66);
}

/** The real guard in a simulated process, with a kernel that kills it at its deadline even where it is stopped. */
export class GuardProcess {
  readonly proc: Proc;
  readonly guard: Guard;
  #owner: { readonly proc: Proc; readonly tell: (status: GuardStatus) => void } | undefined;

  constructor(machine: Machine) {
    const engine = theEngine();
    this.proc = new Proc(`${machine.name}/guard`, machine, engine.nowMs);
    this.guard = new Guard({ host: HOST, timer: kernelTimer(this.proc), log: () => {}, changed: () => this.#owner?.tell(this.guard.status) });
  }

  get isOwned(): boolean {
    return this.#owner?.proc.alive === true;
  }

  own(proc: Proc, tell: (status: GuardStatus) => void): void {
    this.#owner = { proc, tell };
  }

  disown(proc: Proc): void {
    if (this.#owner?.proc === proc) this.#owner = undefined;
  }
}

/** The machine's guard, started where there is none; a new one needs a moment to be there. */
export function guardOf(machine: Machine): GuardProcess {
  let guard = guards.get(machine);
  if (guard?.proc.alive !== true) {
    guard = new GuardProcess(machine);
    guards.set(machine, guard);
    const { proc } = guard;
    // Its first moments: it does not listen yet.
    theEngine().freeze(proc);
    theEngine().at(theEngine().random.between(20, 80), undefined, () => theEngine().thaw(proc));
  }
  return guard;
}

/** Undefined where none was ever started, or it has ended. */
export function runningGuard(machine: Machine): GuardProcess | undefined {
  const guard = guards.get(machine);
  return guard?.proc.alive === true ? guard : undefined;
}

function kernelTimer(proc: Proc): KernelTimer {
  const { machine } = proc;
  let armed: Event | undefined;
  let deadlineMs = 0;
  const plan = (): void => {
    const engine = theEngine();
    const leftMs = deadlineMs - machine.bootMs(engine.nowMs);
    armed = engine.at(leftMs / (1 + machine.drift), undefined, () => {
      if (!proc.alive) return;
      // A machine whose clock stood still meanwhile is not there yet.
      if (machine.bootMs(engine.nowMs) < deadlineMs - 0.01) plan();
      else engine.kill(proc);
    });
  };
  return {
    nowMs: () => machine.bootMs(theEngine().nowMs),
    arm: (atMs) => {
      if (armed !== undefined) armed.off = true;
      deadlineMs = atMs;
      plan();
    },
    disarm: () => {
      if (armed !== undefined) armed.off = true;
      armed = undefined;
    },
  };
}
