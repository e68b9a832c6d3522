import type { Database } from './database.ts';
import type { Engine, Machine } from './engine.ts';
import type { Branch, Commit } from './log.ts';
import type { Network } from './network.ts';

/** What a database asks of the world around it. */
export interface World {
  readonly engine: Engine;
  readonly network: Network;
  readonly checks: Checks;
  databaseOf(member: string): Database | undefined;
  machineOf(member: string): Machine;
  databaseGone(database: Database): void;
  isDiskFull(member: string): boolean;
}

/** Whom a database tells what the invariants speak of. */
export interface Checks {
  /** It takes writes from now on. */
  opened(database: Database): void;
  acknowledged(database: Database, branch: Branch, commit: Commit): void;
  /** Log of this branch goes on top of what it has. */
  received(database: Database, branch: Branch, end: number): void;
}

export function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
