import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { GuardClient, ensureGuard } from '../../src/guard/client.ts';
import { examineFence } from '../../src/guard/fence-kind.ts';
import type { GuardStatus } from '../../src/guard/messages.ts';
import { socketPath } from '../../src/guard/paths.ts';
import { descriptorOf } from '../../src/guard/process-tree.ts';
import { GUARD_SCRIPT, Stand, ahead, isGone, killIfThere, sleeper, treeOf, until, untilStubborn } from './stand.ts';

const stand = new Stand();
afterAll(() => stand.end());

const runningPid = (status: GuardStatus): number => {
  if (status.database.state !== 'running' || status.database.pid === undefined) throw new Error(`not running: ${JSON.stringify(status.database)}`);
  return status.database.pid;
};
const startStubborn = async (guard: GuardClient, epoch?: number): Promise<number> => {
  const pid = runningPid(await guard.start(sleeper(stand, { stubborn: true }), epoch));
  await untilStubborn(pid);
  return pid;
};
const lastExit = (status: GuardStatus) => (status.database.state === 'stopped' ? status.database.lastExit : undefined);

describe('the lease', () => {
  it('I1: a guard whose lease is not renewed fences before the deadline, and lives on', async () => {
    const guard = await stand.guard();
    const deadlineMs = ahead(600);
    expect(await guard.extend(1, deadlineMs, 200)).toBe(true);
    const pid = runningPid(await guard.start(sleeper(stand), 1));
    await until('the database is gone', () => guard.status.database.state === 'stopped');
    expect(guard.status.nowMs).toBeLessThan(deadlineMs);
    expect(guard.status.nowMs).toBeGreaterThan(deadlineMs - 210);
    expect(isGone(pid)).toBe(true);
    expect(lastExit(guard.status)).toMatchObject({ by: 'lease', signal: 'SIGQUIT' });
    expect(guard.status.lease).toBeNull();
    await until('the deadline has passed', () => ahead(0) > deadlineMs + 50);
    expect(isGone(guard.status.guardPid)).toBe(false);
  });

  it('I1: a database that ignores the immediate stop is killed before the deadline', async () => {
    const guard = await stand.guard();
    const deadlineMs = ahead(700);
    await guard.extend(1, deadlineMs, 300);
    const tree = treeOf(await startStubborn(guard, 1));
    await until('the database is gone', () => guard.status.database.state === 'stopped');
    expect(guard.status.nowMs).toBeLessThan(deadlineMs);
    expect(lastExit(guard.status)).toMatchObject({ by: 'lease', signal: 'SIGKILL' });
    expect(tree.every(isGone)).toBe(true);
  });

  it('renewals keep the database alive past its first deadlines', async () => {
    const guard = await stand.guard();
    const firstMs = ahead(400);
    await guard.extend(3, firstMs, 100);
    const pid = runningPid(await guard.start(sleeper(stand), 3));
    await until('three deadlines have passed', async () => {
      expect(await guard.extend(3, ahead(400), 100)).toBe(true);
      return ahead(0) > firstMs + 800;
    });
    expect(isGone(pid)).toBe(false);
    const { lease } = guard.status;
    expect(await guard.extend(3, ahead(100), 50)).toBe(true);
    expect(guard.status.lease, 'an earlier deadline changes nothing').toEqual(lease);
    expect(await guard.extend(2, ahead(400), 100), 'a lower epoch').toBe(false);
    await guard.fence('immediate', 0, 'the test is over');
  });

  it('I1: a late extension is refused', async () => {
    const guard = await stand.guard();
    const news: string[] = [];
    guard.onStatus((status) => news.push(status.database.state));
    await guard.extend(1, ahead(400), 200);
    await startStubborn(guard, 1);
    await until('the fence is under way', () => guard.status.database.state === 'stopping');
    expect(await guard.extend(1, ahead(1000), 200)).toBe(false);
    await until('the database is gone', () => guard.status.database.state === 'stopped');
    expect(await guard.extend(1, ahead(-20), 200)).toBe(false);
    expect(news).toContain('stopping');
    await expect(guard.start(sleeper(stand), 1)).rejects.toMatchObject({ code: 'LeaseLost' });
  });

  it('a deadline that passes while nothing runs ends the lease and nothing else', async () => {
    const guard = await stand.guard();
    await guard.extend(1, ahead(100), 20);
    expect(guard.status.lease).toMatchObject({ epoch: 1 });
    await until('the lease has ended', () => guard.status.lease === null);
    await expect(guard.start(sleeper(stand), 1)).rejects.toMatchObject({ code: 'LeaseLost' });
    runningPid(await guard.start(sleeper(stand)));
    await guard.fence('immediate', 0, 'the test is over');
  });

  it('a database without a lease is stopped by nobody, and one that crashed under a lease may start again within it', async () => {
    const guard = await stand.guard();
    const deadlineMs = ahead(5000);
    await guard.extend(4, deadlineMs, 200);
    process.kill(runningPid(await guard.start(sleeper(stand), 4)), 'SIGKILL');
    await until('the crash is told', () => guard.status.database.state === 'stopped');
    expect(lastExit(guard.status)).toMatchObject({ by: 'itself', signal: 'SIGKILL' });
    expect(guard.status.lease).toEqual({ epoch: 4, deadlineMs });
    runningPid(await guard.start(sleeper(stand), 4));
    await guard.fence('fast', 1000, 'asked');
    expect(lastExit(guard.status)).toMatchObject({ by: 'fence', signal: 'SIGTERM' });
    expect(guard.status.lease).toBeNull();
  });
});

describe('the agent', () => {
  it('may go: the guard keeps database and deadline, and the next agent finds them', async () => {
    const first = await stand.guard();
    const deadlineMs = ahead(20_000);
    await first.extend(5, deadlineMs, 200);
    const pid = runningPid(await first.start(sleeper(stand), 5));
    first.close();
    await first.lost;
    const second = await stand.guard(first.stateDir);
    expect(second.status).toMatchObject({ guardPid: first.status.guardPid, lease: { epoch: 5, deadlineMs } });
    expect(runningPid(second.status)).toBe(pid);
    await second.fence('immediate', 0, 'the test is over');
  });

  it("is one: a second is refused with the first agent's process id, and may only read", async () => {
    const guard = await stand.guard();
    const refused = stand.guard(guard.stateDir);
    await expect(refused).rejects.toMatchObject({ code: 'GuardBusy' });
    await expect(refused).rejects.toThrow(String(process.pid));
    const reader = await GuardClient.connect({ stateDir: guard.stateDir, own: false });
    await expect(reader.extend(1, ahead(1000), 100)).rejects.toMatchObject({ code: 'GuardBusy' });
    await expect(reader.fence('immediate', 0, 'not mine')).rejects.toMatchObject({ code: 'GuardBusy' });
    await guard.extend(1, ahead(60_000), 100);
    await until('the reader has heard of it', () => reader.status.lease?.epoch === 1);
    reader.close();
  });

  it('learns at once that its guard has died, and the next guard can start', async () => {
    const guard = await stand.guard();
    const tree = treeOf(guard.status.guardPid);
    runningPid(await guard.start(sleeper(stand)));
    const all = treeOf(guard.status.guardPid);
    expect(all.length).toBeGreaterThan(tree.length);
    process.kill(guard.status.guardPid, 'SIGKILL');
    await guard.lost;
    await expect(guard.extend(1, ahead(1000), 100)).rejects.toMatchObject({ code: 'GuardUnreachable' });
    await until('what it had started is gone', () => all.every(isGone));
    expect((await stand.guard(guard.stateDir)).status.guardPid).not.toBe(guard.status.guardPid);
  });

  it('that may not start guards says what is missing', async () => {
    const stateDir = stand.newStateDir();
    const missing = ensureGuard({ stateDir, spawn: false, logFile: '/dev/null' });
    await expect(missing).rejects.toMatchObject({ code: 'GuardUnreachable' });
    await expect(missing).rejects.toThrow(socketPath(stateDir));
  });
});

describe('the guard', () => {
  it('is one: a second for the same member ends with a clear message', async () => {
    const guard = await stand.guard();
    const { status, stderr } = spawnSync(process.execPath, [GUARD_SCRIPT, '--state-dir', guard.stateDir], { encoding: 'utf8' });
    expect(status).toBe(75);
    expect(stderr).toContain(`another guard of this member runs, with process id ${guard.status.guardPid}`);
  });

  it('holds its lock alone: no process of the database has the file open', async () => {
    const guard = await stand.guard();
    runningPid(await guard.start(sleeper(stand)));
    const lock = join(guard.stateDir, 'guard.lock');
    const holders = treeOf(guard.status.guardPid).filter((pid) => readdirSync(`/proc/${pid}/fd`).some((fd) => descriptorOf(pid, Number(fd)) === lock));
    expect(holders).toEqual([guard.status.guardPid]);
  });

  it('stops the database in order on SIGTERM, and ignores SIGHUP', async () => {
    const guard = await stand.guard();
    const pid = runningPid(await guard.start(sleeper(stand)));
    process.kill(guard.status.guardPid, 'SIGHUP');
    process.kill(guard.status.guardPid, 'SIGTERM');
    await guard.lost;
    expect(isGone(pid)).toBe(true);
    expect(lastExit(guard.status)).toMatchObject({ by: 'fence', signal: 'SIGTERM' });
    expect(readFileSync(join(guard.stateDir, 'guard.log'), 'utf8')).toContain('SIGHUP ignored');
  });

  it('started by hand holds the lock too, and ends with its status on SIGTERM', async () => {
    const stateDir = stand.newStateDir();
    const child = spawn(process.execPath, [GUARD_SCRIPT, '--state-dir', stateDir], { stdio: 'ignore' });
    let client: GuardClient | undefined;
    await until('it listens', async () => {
      client = await ensureGuard({ stateDir, spawn: false, logFile: '/dev/null' }).catch((error: { code?: string }) => {
        if (error.code !== 'GuardUnreachable') throw error;
        return undefined;
      });
      return client !== undefined;
    });
    stand.track(client as GuardClient, stateDir);
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  });

  it('says why a database cannot be started', async () => {
    const guard = await stand.guard();
    const launch = sleeper(stand);
    await expect(guard.start({ ...launch, command: ['/nowhere/postgres'] })).rejects.toThrow('/nowhere/postgres is not there');
    await expect(guard.start({ ...launch, cwd: '/nowhere' })).rejects.toMatchObject({ code: 'DatabaseFailed' });
    await expect(guard.start({ ...launch, logFile: '/nowhere/log' })).rejects.toThrow('/nowhere/log');
    expect(guard.status.database.state).toBe('stopped');
  });

  it('drops whoever does not speak its language', async () => {
    const guard = await stand.guard();
    for (const line of ['GET / HTTP/1.1', '{"id":1,"ask":"extend","epoch":1,"deadlineMs":null,"fenceBeforeMs":1}', '{"id":1,"ask":"obey"}']) {
      const socket = createConnection(socketPath(guard.stateDir));
      const closed = once(socket, 'close');
      socket.on('error', () => {});
      socket.end(`${line}\n`);
      socket.resume();
      await closed;
    }
    expect(await guard.extend(1, ahead(1000), 100)).toBe(true);
    expect(readFileSync(join(guard.stateDir, 'guard.log'), 'utf8')).toContain('unknown request');
  });

  it('finds the same fence as the examination that doctor makes', async () => {
    const guard = await stand.guard();
    const { fence, fenceWords, realtime } = guard.status;
    expect(await examineFence()).toEqual({ fence, ...(fenceWords === undefined ? {} : { fenceWords }), realtime });
  });

  it('goes on where its log cannot be written', async () => {
    const stateDir = stand.newStateDir();
    const client = await ensureGuard({ stateDir, guardScript: GUARD_SCRIPT, spawn: true, logFile: '/dev/full' });
    const guard = stand.track(client, stateDir);
    const pid = runningPid(await guard.start(sleeper(stand)));
    expect(isGone(pid)).toBe(false);
    await guard.fence('fast', 1000, 'asked');
  });

  it("refuses a state directory whose socket's path would be too long, and says so", () => {
    expect(() => socketPath(`/${'d'.repeat(100)}`)).toThrow(/may have 107 bytes/);
  });
});

describe('a fence', () => {
  it('becomes immediate at its limit, and kills what acts on no signal', async () => {
    const guard = await stand.guard();
    const tree = treeOf(await startStubborn(guard));
    await guard.fence('fast', 100, 'asked');
    expect(tree.every(isGone)).toBe(true);
    expect(lastExit(guard.status)).toMatchObject({ by: 'fence', signal: 'SIGKILL' });
    expect(lastExit(guard.status)?.tookMs).toBeGreaterThanOrEqual(599);
  });

  it('asked for twice becomes the quicker of the two, and both are answered when all is gone', async () => {
    const guard = await stand.guard();
    const pid = await startStubborn(guard);
    const both = await Promise.all([guard.fence('fast', 60_000, 'asked'), guard.fence('immediate', 0, 'asked again')]);
    expect(isGone(pid)).toBe(true);
    expect(both.map((status) => status.database.state)).toEqual(['stopped', 'stopped']);
  });

  it('of nothing ends the lease', async () => {
    const guard = await stand.guard();
    await guard.extend(2, ahead(60_000), 100);
    expect((await guard.fence('fast', 1000, 'asked')).lease).toBeNull();
  });

  it('that comes while the database starts leaves nothing behind', async () => {
    const guard = await stand.guard();
    const start = guard.start(sleeper(stand)).catch((error: { code?: string }) => error.code);
    await guard.fence('immediate', 0, 'asked');
    expect(guard.status.database.state).toBe('stopped');
    expect(['DatabaseFailed', undefined]).toContain(await start.then((answer) => (typeof answer === 'string' ? answer : undefined)));
    expect(treeOf(guard.status.guardPid)).toEqual([guard.status.guardPid]);
    killIfThere(guard.status.guardPid, 'SIGTERM');
    await guard.lost;
  });
});
