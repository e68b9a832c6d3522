import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureGuard, type GuardClient } from '../../src/guard/client.ts';
import { DatabaseProcess, type Ended } from '../../src/guard/database-process.ts';
import type { GuardStatus, LaunchSpec } from '../../src/guard/messages.ts';
import { probeHost, type Host } from '../../src/guard/namespace.ts';
import { isRealtime } from '../../src/guard/process-tree.ts';
import { BOOT_RESOLUTION_MS, bootTimeMs, startStopwatch, wallTimeMs } from '../../src/runtime/clock.ts';
import { GUARD_SCRIPT, Stand, ahead, connect, isGone, killIfThere, makeCluster, treeOf, until } from './stand.ts';

const stand = new Stand();
let launch: LaunchSpec;
const clients: pg.Client[] = [];

beforeAll(async () => {
  launch = await makeCluster(stand);
}, 60_000);
afterEach(() => {
  for (const client of clients.splice(0)) client.connection.stream.destroy();
});
afterAll(() => stand.end());

async function session(): Promise<pg.Client> {
  const client = await connect(launch);
  clients.push(client);
  return client;
}

function postmasterOf(status: GuardStatus): number {
  if (status.database.state !== 'running' || status.database.pid === undefined) throw new Error(`not running: ${JSON.stringify(status.database)}`);
  return status.database.pid;
}

const lastExit = (status: GuardStatus) => (status.database.state === 'stopped' ? status.database.lastExit : undefined);
const needsKernel = (guard: GuardClient, skip: (why: string) => void) => {
  if (guard.status.fence !== 'kernel') skip(`the kernel does not hold leases here: ${guard.status.fenceWords}`);
};
/** CLOCK_BOOTTIME now, as near as this process can read it. */
const guardClock = (guard: GuardClient) => Math.max(guard.status.nowMs, bootTimeMs());
const measured = (what: string, ms: number) => process.stderr.write(`measured: ${what}: ${ms.toFixed(1)} ms\n`);

/** A client that writes without a pause, until its connection is ended, and notes when it read each acknowledgement. */
async function startWriter(): Promise<{ lastAckMs: () => number; ended: Promise<string> }> {
  const client = await session();
  let lastMs = bootTimeMs();
  const write = async (): Promise<never> => {
    for (;;) {
      await client.query('INSERT INTO written VALUES (clock_timestamp())');
      lastMs = bootTimeMs();
    }
  };
  return { lastAckMs: () => lastMs, ended: write().catch((error: Error) => error.message) };
}

describe('the kernel', () => {
  it('I1: ends guard and database at the deadline while every one of them is stopped', async ({ skip }) => {
    const guard = await stand.guard();
    needsKernel(guard, skip);
    const deadlineMs = ahead(1500);
    await guard.extend(1, deadlineMs, 300);
    await guard.start(launch, 1);
    await session();
    const tree = treeOf(guard.status.guardPid);
    expect(tree.length, 'guard, unshare, reaper, postmaster and its processes').toBeGreaterThan(6);
    for (const pid of tree) process.kill(pid, 'SIGSTOP');
    await until('all are gone', () => tree.every(isGone));
    const lateMs = bootTimeMs() - deadlineMs;
    measured('everything gone after the deadline, all of it stopped', lateMs);
    expect(lateMs).toBeGreaterThanOrEqual(-BOOT_RESOLUTION_MS);
    expect(lateMs).toBeLessThan(1000);
  });

  it('I1: ends a working database whose guard is stopped, and nothing is committed past the deadline by more than the kill takes', async ({ skip }) => {
    const guard = await stand.guard();
    needsKernel(guard, skip);
    const deadlineMs = ahead(1500);
    await guard.extend(2, deadlineMs, 300);
    await guard.start(launch, 2);
    await (await session()).query('CREATE TABLE written (at timestamptz)');
    const bootIsWallMs = wallTimeMs() - guardClock(guard);
    const writers = await Promise.all(Array.from({ length: 8 }, startWriter));
    const tree = treeOf(guard.status.guardPid);
    process.kill(guard.status.guardPid, 'SIGSTOP');
    await until('all are gone', () => tree.every(isGone));
    await Promise.all(writers.map(({ ended }) => ended));
    measured('last acknowledgement read after the deadline, 8 writers', Math.max(...writers.map(({ lastAckMs }) => lastAckMs())) - deadlineMs);

    // What the database itself says: a client may read late.
    const next = await stand.guard(guard.stateDir);
    await next.start(launch);
    const { rows } = await (await session()).query<{ at: Date }>('SELECT max(at) AS at FROM written');
    const lateMs = (rows[0]?.at.getTime() ?? 0) - bootIsWallMs - deadlineMs;
    measured('last committed write began after the deadline', lateMs);
    expect(lateMs, 'it wrote until the deadline').toBeGreaterThan(-500);
    expect(lateMs).toBeLessThan(150);
    await next.fence('immediate', 0, 'the test is over');
  });

  it('ends the database with a guard that is killed, also for an ordinary user', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('every other test here runs as an ordinary user already');
    const { uid, gid } = launch.user ?? { uid: 0, gid: 0 };
    const stateDir = launch.cwd;
    const output: string[] = [];
    const child: ChildProcess = spawn(
      'setpriv',
      [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--', process.execPath, GUARD_SCRIPT, '--state-dir', stateDir],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child.stderr?.on('data', (chunk: Buffer) => output.push(chunk.toString()));
    let guard: GuardClient | undefined;
    await until('the guard listens', async () => {
      if (child.exitCode !== null) skip(`user ${uid} cannot run Node and the compiled guard here: ${output.join('').split('\n')[0]}`);
      guard = await ensureGuard({ stateDir, spawn: false, logFile: '/dev/null' }).catch((error: { code?: string }) => {
        if (error.code !== 'GuardUnreachable') throw error;
        return undefined;
      });
      return guard !== undefined;
    });
    const owned = stand.track(guard as GuardClient, stateDir);
    process.stderr.write(
      `measured: as user ${uid}: fence ${owned.status.fence}, ${owned.status.fenceWords ?? 'nothing missing'}, real time ${owned.status.realtime}\n`,
    );
    await expect(owned.start({ ...launch, user: { uid: uid + 1, gid } })).rejects.toThrow(/may not change that/);
    await owned.start({ ...launch, logFile: join(stateDir, 'postgres.log') });
    await session();
    const tree = treeOf(owned.status.guardPid);
    expect(tree.length).toBeGreaterThan(5);
    const elapsedMs = startStopwatch();
    process.kill(owned.status.guardPid, 'SIGKILL');
    await until('all are gone', () => tree.every(isGone));
    measured(`everything gone after the guard of user ${uid} was killed`, elapsedMs());
  });
});

describe('priority', () => {
  it('is real time for guard and reaper, and normal for the database', async ({ skip }) => {
    const guard = await stand.guard();
    if (!guard.status.realtime) skip('no real-time priority here');
    const postmaster = postmasterOf(await guard.start(launch));
    await session();
    const backends = treeOf(postmaster);
    const above = treeOf(guard.status.guardPid).filter((pid) => !backends.includes(pid));
    expect(above.length, 'guard, unshare, reaper').toBe(3);
    expect(above.every(isRealtime)).toBe(true);
    expect(backends.some(isRealtime)).toBe(false);
    await guard.fence('immediate', 0, 'the test is over');
  });
});

describe('a database that ends by itself', () => {
  it('is told at once, and by then every backend is gone', async () => {
    const guard = await stand.guard();
    await guard.extend(1, ahead(60_000), 300);
    const postmaster = postmasterOf(await guard.start(launch, 1));
    for (let n = 0; n < 10; n += 1) await session();
    const tree = treeOf(postmaster);
    expect(tree.length).toBeGreaterThan(10);
    let toldMs: number | undefined;
    let alive: number[] = [];
    const elapsedMs = startStopwatch();
    guard.onStatus((status) => {
      if (status.database.state !== 'stopped' || toldMs !== undefined) return;
      toldMs = elapsedMs();
      alive = tree.filter((pid) => !isGone(pid));
    });
    process.kill(postmaster, 'SIGKILL');
    await until('the agent has heard', () => toldMs !== undefined);
    measured('status told after kill -9 of the postmaster, 10 clients', toldMs ?? Number.NaN);
    expect(alive).toEqual([]);
    expect(lastExit(guard.status)).toMatchObject({ by: 'itself', signal: 'SIGKILL' });
    const again = startStopwatch();
    await guard.start(launch, 1);
    await session();
    measured('started again after the crash until it answered', again());
    await guard.fence('immediate', 0, 'the test is over');
  });
});

describe('a fence', () => {
  it('in order ends clients that are idle in a transaction, and the log is closed', async () => {
    const guard = await stand.guard();
    await guard.start(launch);
    for (let n = 0; n < 5; n += 1) await (await session()).query('BEGIN; SELECT 1');
    const tree = treeOf(guard.status.guardPid).slice(1);
    const status = await guard.fence('fast', 20_000, 'asked');
    expect(tree.every(isGone)).toBe(true);
    expect(lastExit(status)).toMatchObject({ by: 'fence', code: 0 });
    measured('fast fence, 5 clients idle in a transaction', lastExit(status)?.tookMs ?? Number.NaN);
  });

  it('at once is an immediate stop', async () => {
    const guard = await stand.guard();
    await guard.start(launch);
    await session();
    const status = await guard.fence('immediate', 0, 'asked');
    expect(lastExit(status)).toMatchObject({ by: 'fence', code: 0 });
    measured('immediate fence', lastExit(status)?.tookMs ?? Number.NaN);
  });

  it('of a stopped postmaster ends at the limit', async () => {
    const guard = await stand.guard();
    const postmaster = postmasterOf(await guard.start(launch));
    await session();
    const tree = treeOf(postmaster);
    process.kill(postmaster, 'SIGSTOP');
    const status = await guard.fence('fast', 300, 'asked');
    expect(tree.every(isGone)).toBe(true);
    expect(lastExit(status)).toMatchObject({ by: 'fence', signal: 'SIGKILL' });
    expect(lastExit(status)?.tookMs).toBeGreaterThanOrEqual(299);
    measured('fence of a stopped postmaster, limit 300 ms', lastExit(status)?.tookMs ?? Number.NaN);
  });

  it('I1: under a lease ends before the deadline, whatever limit it was given', async () => {
    const guard = await stand.guard();
    const deadlineMs = ahead(1200);
    await guard.extend(1, deadlineMs, 300);
    const postmaster = postmasterOf(await guard.start(launch, 1));
    await session();
    process.kill(postmaster, 'SIGSTOP');
    const status = await guard.fence('fast', 60_000, 'asked');
    expect(status.nowMs).toBeLessThan(deadlineMs);
    expect(lastExit(status)).toMatchObject({ by: 'fence', signal: 'SIGKILL' });
  });
});

describe('without the tools of protocol 1.4', () => {
  const host: Host = probeHost('ask');
  const variants: [name: string, host: Host][] = [
    ['in a user namespace', { ...host, namespace: 'user', realtime: false }],
    ['without a namespace', { ...host, namespace: 'none', realtime: false }],
    ['without setpriv', { ...host, namespace: 'none', setpriv: undefined, realtime: false }],
  ];
  for (const [name, variant] of variants) {
    it(`${name} the end of the postmaster is still the end of every backend before it is told`, async ({ skip }) => {
      if (variant.namespace === 'user' && host.namespace === 'none') skip(host.why);
      let gone: Ended | undefined;
      let alive: number[] = [];
      let tree: number[] = [];
      let postmaster: number | undefined;
      const child = new DatabaseProcess(launch, variant, {
        up: (pid) => {
          postmaster = pid;
        },
        gone: (ended) => {
          gone = ended;
          alive = tree.filter((pid) => !isGone(pid));
        },
      });
      try {
        await until('the database is up', () => postmaster !== undefined);
        for (let n = 0; n < 5; n += 1) await session();
        tree = treeOf(postmaster ?? 0);
        expect(tree.length).toBeGreaterThan(8);
        const elapsedMs = startStopwatch();
        process.kill(postmaster ?? 0, 'SIGKILL');
        await until('it is told', () => gone !== undefined);
        measured(`${name}: told after kill -9 of the postmaster`, elapsedMs());
        expect(alive).toEqual([]);
        expect(gone?.signal).toBe('SIGKILL');
      } finally {
        child.kill();
        for (const pid of tree) if (gone === undefined) killIfThere(pid);
      }
    });
  }
});

it('the compiled guard is there', () => {
  expect(() => accessSync(GUARD_SCRIPT, constants.R_OK), 'run: npm run build').not.toThrow();
});
