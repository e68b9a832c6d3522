import type { LaunchSpec } from '../../../src/guard/messages.ts';
import type { Database } from '../database.ts';
import { me, theEngine } from '../globals.ts';
import { killTookMs } from '../guard-process.ts';
import { startDatabase } from '../members.ts';

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly words: string;
}

interface DatabaseEvents {
  up(pid: number): void;
  gone(ended: Ended): void;
}

/** Stands in for src/guard/database-process.ts: the database's processes as their parent has them, tied to its life by the kernel. */
export class DatabaseProcess {
  readonly #database: Database;
  #signalled: string | undefined;
  #up = false;

  constructor(_launch: LaunchSpec, _host: unknown, events: DatabaseEvents) {
    const engine = theEngine();
    const guard = me();
    this.#database = startDatabase(guard.machine);
    const { proc } = this.#database;
    guard.onDeath.push(() => void engine.at(killTookMs(), undefined, () => engine.kill(proc)));
    proc.onDeath.push(() => {
      const words = this.#signalled === 'SIGINT' ? 'ended in order' : `ended by ${this.#signalled ?? 'SIGKILL'}`;
      engine.at(engine.random.between(0.2, 3), guard, () => events.gone({ code: null, signal: this.#signalled ?? 'SIGKILL', words }));
    });
    engine.at(engine.random.between(3, 15), guard, () => {
      if (!proc.alive) return;
      this.#up = true;
      events.up(1);
    });
  }

  get pid(): number | undefined {
    return this.#up ? 1 : undefined;
  }

  /** False where it is not there yet, or stopped, and so would not act on it. */
  signal(name: NodeJS.Signals): boolean {
    const { proc } = this.#database;
    if (!proc.alive || !this.#up) return false;
    const acts = proc.state === 'running';
    this.#signalled = name;
    const engine = theEngine();
    if (name === 'SIGINT') engine.at(engine.random.between(5, 40), proc, () => this.#database.stopInOrder());
    else engine.at(engine.random.between(2, 30), proc, () => engine.kill(proc));
    return acts;
  }

  kill(): void {
    const engine = theEngine();
    const { proc } = this.#database;
    engine.at(killTookMs(), undefined, () => engine.kill(proc));
  }
}
