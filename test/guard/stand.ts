import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { ensureGuard, type GuardClient } from '../../src/guard/client.ts';
import type { LaunchSpec } from '../../src/guard/messages.ts';
import { childrenOf } from '../../src/guard/process-tree.ts';
import { bootTimeMs } from '../../src/runtime/clock.ts';
import { findPostgres } from '../../src/runtime/tools/postgres.ts';

/** The guard runs as it does in production: compiled (`npm run build`; `npm test` does it first). */
export const GUARD_SCRIPT = join(import.meta.dirname, '../../dist/src/bin/guard.js');

/** Who runs a database here: PostgreSQL refuses root. */
export function databaseUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line =
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith('postgres:')) ?? 'nobody:x:65534:65534';
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

/** What the tests of one file have started, so that it ends with them. */
export class Stand {
  readonly dir: string;
  readonly #clients: GuardClient[] = [];
  #count = 0;

  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'ug-'));
    const user = databaseUser();
    if (user !== undefined) chownSync(this.dir, user.uid, user.gid);
  }

  newStateDir(): string {
    this.#count += 1;
    return mkdtempSync(join(this.dir, `s${this.#count}-`));
  }

  async guard(stateDir = this.newStateDir()): Promise<GuardClient & { stateDir: string }> {
    const client = await ensureGuard({ stateDir, guardScript: GUARD_SCRIPT, spawn: true, logFile: join(stateDir, 'guard.log') });
    return this.track(client, stateDir);
  }

  track(client: GuardClient, stateDir: string): GuardClient & { stateDir: string } {
    this.#clients.push(client);
    return Object.assign(client, { stateDir });
  }

  async end(): Promise<void> {
    for (const { status } of this.#clients) killIfThere(status.guardPid);
    await until('every guard is gone', () => this.#clients.every(({ status }) => isGone(status.guardPid)));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export function killIfThere(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Gone, or dead and only not yet collected by its parent. */
export function isGone(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return ['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return true;
    throw error;
  }
}

/** A process and everything below it. */
export function treeOf(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(treeOf)];
}

export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not in ${limitMs} ms: ${what}`);
    await pause(2);
  }
}

/** A deadline that far ahead of now. */
export const ahead = (ms: number): number => bootTimeMs() + ms;

/** A database that is nothing but a process: it ends on SIGTERM, or only on SIGKILL. */
export function sleeper(stand: Stand, o: { stubborn?: boolean } = {}): LaunchSpec {
  const user = databaseUser();
  return {
    command: o.stubborn === true ? ['/bin/sh', '-c', 'trap "" TERM QUIT; while :; do sleep 1000 & wait; done'] : ['sleep', '1000'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    cwd: '/',
    ...(user === undefined ? {} : { user }),
    logFile: join(stand.dir, 'sleeper.log'),
    stopSignals: { fast: 'SIGTERM', immediate: 'SIGQUIT' },
  };
}

const SIGQUIT_AND_SIGTERM = (1n << 2n) | (1n << 14n);

/** Until then a stubborn sleeper is not stubborn yet. @see proc(5), SigIgn */
export async function untilStubborn(pid: number): Promise<void> {
  await until('it ignores the signals', () => {
    const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0';
    return (BigInt(`0x${mask}`) & SIGQUIT_AND_SIGTERM) === SIGQUIT_AND_SIGTERM;
  });
}

/** A PostgreSQL cluster that is not started. */
export async function makeCluster(stand: Stand): Promise<LaunchSpec> {
  const { binDir } = await findPostgres({ fetch: true });
  const user = databaseUser();
  const data = mkdtempSync(join(stand.dir, 'd-'));
  if (user !== undefined) chownSync(data, user.uid, user.gid);
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' };
  execFileSync(join(binDir, 'initdb'), ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '--no-locale'], {
    cwd: data,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...user,
  });
  writeFileSync(join(data, 'postgresql.auto.conf'), `listen_addresses = ''\nunix_socket_directories = '${data}'\nfsync = off\nmax_connections = 30\n`);
  return {
    command: [join(binDir, 'postgres'), '-D', data],
    env,
    cwd: data,
    ...(user === undefined ? {} : { user }),
    logFile: join(stand.dir, 'postgres.log'),
    stopSignals: { fast: 'SIGINT', immediate: 'SIGQUIT' },
  };
}

/** Connects once the server answers; the client may be ended from the other side without failing the test. */
export async function connect({ cwd }: LaunchSpec): Promise<pg.Client> {
  let client: pg.Client | undefined;
  await until('the database answers', async () => {
    const candidate = new pg.Client({ host: cwd, user: 'postgres', database: 'postgres' });
    candidate.on('error', () => {});
    try {
      await candidate.connect();
      client = candidate;
      return true;
    } catch (error) {
      const code = (error as { code?: string }).code ?? '';
      if (!['ENOENT', 'ECONNREFUSED', '57P03', 'ECONNRESET'].includes(code)) throw error;
      return false;
    }
  });
  return client as pg.Client;
}
