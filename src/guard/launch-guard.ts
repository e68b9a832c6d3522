import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { UnderstudyError } from '../model/error.ts';
import { findTool } from './namespace.ts';
import { LOCK_TAKEN, lockPath } from './paths.ts';

/** The guard is small and idle: a small heap is collected seldom and soon. */
const NODE_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=48', '--v8-pool-size=1'];

/**
 * The command of a guard under its lock. `flock` becomes the guard (`--no-fork`), which holds the open file for its life; Node marks what
 * it inherits close-on-exec, so no child of the guard can hold it longer.
 *
 * @throws UnderstudyError `ToolMissing` where util-linux has no flock here
 */
export function guardCommand(stateDir: string, script: string): [command: string, args: string[]] {
  const flock = findTool('flock');
  // `flock` would make it for everybody to read, and a lock can be taken by whoever can read it.
  closeSync(openSync(lockPath(stateDir), 'a', 0o600));
  if (flock === undefined) throw new UnderstudyError('ToolMissing', 'the guard cannot be started: flock was not found; install util-linux');
  return [flock, ['--nonblock', '--no-fork', '-E', String(LOCK_TAKEN), lockPath(stateDir), process.execPath, ...NODE_FLAGS, script, '--state-dir', stateDir]];
}

export interface SpawnedGuard {
  /** Undefined while it runs, else how it ended. */
  ended(): { readonly words: string; readonly lockTaken: boolean } | undefined;
}

/**
 * Starts a guard in a session of its own, so that it outlives this process and no terminal's signal reaches it. It is given no more of
 * the environment than it needs: secrets of the agent are none of its business (I9).
 *
 * @throws UnderstudyError `ToolMissing`; an error of the system where the log cannot be opened
 */
export function spawnGuard(o: { stateDir: string; guardScript: string; logFile: string }): SpawnedGuard {
  const [command, args] = guardCommand(o.stateDir, o.guardScript);
  const log = openSync(o.logFile, 'a', 0o600);
  let ended: ReturnType<SpawnedGuard['ended']>;
  try {
    const child = spawn(command, args, { cwd: '/', detached: true, env: ownEnvironment(), stdio: ['ignore', log, log] });
    child.on('error', (error) => {
      ended = { words: error.message, lockTaken: false };
    });
    child.on('exit', (code, signal) => {
      const lockTaken = code === LOCK_TAKEN;
      ended = { lockTaken, words: lockTaken ? 'another guard holds the lock' : signal === null ? `it exited with code ${code}` : `it was ended by ${signal}` };
    });
    child.unref();
  } finally {
    closeSync(log);
  }
  return { ended: () => ended };
}

function ownEnvironment(): Record<string, string> {
  const env: Record<string, string> = { UV_THREADPOOL_SIZE: '1' };
  for (const name of ['PATH', 'LANG', 'TZ']) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
