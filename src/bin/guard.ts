import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync, writeFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Guard } from '../guard/guard.ts';
import { guardCommand } from '../guard/launch-guard.ts';
import { createKernelTimer } from '../guard/kernel-timer.ts';
import { probeHost } from '../guard/namespace.ts';
import { LOCK_TAKEN, lockPath, socketPath } from '../guard/paths.ts';
import { GuardServer } from '../guard/socket.ts';
import { UnderstudyError } from '../model/error.ts';
import { claimStateDir } from '../runtime/private-files.ts';
import { wallTimeMs } from '../runtime/clock.ts';

/** How long a database without a lease is given to stop in order when its guard is ended; one with a lease has until its deadline. */
const LEAVE_LIMIT_MS = 30_000;
const USAGE = 'usage: node guard.js --state-dir DIRECTORY';

/** A full disk may cost us lines of the log, but not the database that ends with this process. */
const NOT_WRITTEN = ['ENOSPC', 'EDQUOT', 'EPIPE', 'EIO', 'EAGAIN', 'EROFS'];

function tryWrite(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!NOT_WRITTEN.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

function log(message: string, fields: Record<string, unknown> = {}): void {
  const line = `${JSON.stringify({ time: wallTimeMs(), pid: process.pid, msg: message, ...fields })}\n`;
  tryWrite(() => writeSync(process.stdout.fd, line));
}

/** `flock` hands the locked file down: then it is among our descriptors. */
function holdsLock(lock: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === lock;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false; // the listing's own descriptor
      throw error;
    }
  });
}

/** Started by hand: once more, under the lock. */
function startLocked(stateDir: string): void {
  const [command, args] = guardCommand(stateDir, fileURLToPath(import.meta.url));
  const child = spawn(command, args, { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill('SIGTERM'));
  process.on('SIGHUP', () => {});
  child.on('error', (error) => fail(error.message, 1));
  child.on('exit', (code, signal) => {
    if (code === LOCK_TAKEN)
      fail(`another guard of this member runs, with process id ${readFileSync(lockPath(stateDir), 'utf8').trim()}: a member has one guard`, LOCK_TAKEN);
    process.exit(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
  });
}

async function serve(stateDir: string): Promise<void> {
  tryWrite(() => writeFileSync(lockPath(stateDir), `${process.pid}\n`));
  const path = socketPath(stateDir);
  const [host, timer] = [probeHost('take'), await createKernelTimer()];
  const guard = new Guard({ host, timer, log, changed: () => server.broadcast() });
  const server: GuardServer = new GuardServer(guard, log);
  let leaving = false;
  const leave = (signal: string) => {
    if (leaving) return;
    leaving = true;
    void guard.leave(LEAVE_LIMIT_MS, `the guard was ended by ${signal}`).then(() => {
      server.close();
      log('guard ends', { signal });
      process.exit(0);
    });
  };
  process.on('SIGTERM', leave);
  process.on('SIGINT', leave);
  process.on('SIGHUP', () => log('SIGHUP ignored'));
  await server.listen(path);
  const { fence, fenceWords, realtime } = guard.status;
  log('guard listens', { path, fence, fenceWords, realtime, namespace: host.namespace });
}

function fail(words: string, code: number): never {
  process.stderr.write(`understudy guard: ${words}\n`);
  process.exit(code);
}

function readStateDir(): string {
  try {
    const { values } = parseArgs({ options: { 'state-dir': { type: 'string' } } });
    if (values['state-dir'] === undefined) fail(USAGE, 64);
    return claimStateDir(values['state-dir']);
  } catch (error) {
    if (error instanceof UnderstudyError) return fail(error.message, 1);
    return fail(`${(error as Error).message}\n${USAGE}`, 64);
  }
}

const stateDir = readStateDir();
try {
  if (holdsLock(lockPath(stateDir))) await serve(stateDir);
  else startLocked(stateDir);
} catch (error) {
  if (!(error instanceof UnderstudyError)) throw error;
  fail(error.message, 1);
}
