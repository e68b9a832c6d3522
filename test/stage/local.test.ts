import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookAt } from '../../src/stage/member-answers.ts';
import { isAlive } from '../../src/stage/pids.ts';
import { resolveService } from '../../src/stage/resolve.ts';
import type { StageLine } from '../../src/stage/stage-line.ts';
import { Running, listeningAddresses, processesAbout, run } from './stage-command.ts';

const LIMIT_MS = 120_000;
/** Longer than the default of the stage: what is asked here is not how fast, and the machine may be busy. */
const CALM = ['--lease', '5s', '--port-base', '0', '-o', 'json'];

async function until(what: string, holds: () => boolean, limitMs = 20_000): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!holds()) {
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('understudy local', () => {
  const parent = mkdtempSync(path.join(tmpdir(), 'understudy-local-'));
  const dir = path.join(parent, 'stage');
  let up: Running;
  let line: StageLine;

  beforeAll(async () => {
    // As root, the account that the databases run as must get through.
    chmodSync(parent, 0o755);
    up = new Running(['local', 'up', '--dir', dir, '--members', '2', ...CALM]);
    await up.until('its line', () => up.out.includes('\n'), LIMIT_MS);
    line = JSON.parse(up.out) as StageLine;
  }, LIMIT_MS);
  afterAll(async () => {
    up.child.kill('SIGTERM');
    await up.ended;
    rmSync(parent, { recursive: true, force: true });
  }, LIMIT_MS);

  const ask = async (): Promise<StageLine> => JSON.parse((await run(['local', 'status', '--dir', dir, '-o', 'json'])).out) as StageLine;

  it('prints one line when the group is steady, from which everything can be reached', async () => {
    expect(up.out.trim().split('\n')).toHaveLength(1);
    expect(line.members.map(({ role }) => role).sort()).toEqual(['primary', 'standby']);
    for (const { port, role, pids, dataDir, stateDir, logFile } of line.members) {
      expect([pids.agent, pids.guard, pids.postmaster].map((pid) => pid !== null && isAlive(pid))).toEqual([true, true, true]);
      expect([dataDir, stateDir, logFile].map((place) => existsSync(place))).toEqual([true, true, true]);
      const look = await lookAt(port);
      expect(look).toMatchObject(role === 'primary' ? { inRecovery: false, followers: 1, confirming: 1 } : { inRecovery: true, streaming: true });
    }
    const [host = '', port = ''] = line.dns.address.split(':');
    const place = await resolveService({ host, port: Number(port) }, line.record.name, 1_000);
    expect(place.port).toBe(line.members.find(({ role }) => role === 'primary')?.port);
  });

  it('lets nothing listen beyond 127.0.0.1', () => {
    const pids = [
      line.pids.stage,
      line.pids.temporal,
      line.pids.dns,
      line.pids.worker,
      ...line.members.flatMap(({ pids: own }) => [own.agent, own.guard, own.postmaster]),
    ];
    const addresses = listeningAddresses(pids.filter((pid) => pid !== null));
    const LOOPBACK = '0100007F';
    expect(addresses.filter((address) => address.startsWith('tcp ')).length).toBeGreaterThanOrEqual(4);
    expect(addresses.filter((address) => !address.split(' ')[1]?.startsWith(`${LOOPBACK}:`))).toEqual([]);
  });

  it(
    'leaves a dead node dead until it is told to start it, and refuses to start one that runs',
    async () => {
      const standby = line.members.find(({ role }) => role === 'standby');
      if (standby?.pids.agent == null || standby.pids.guard === null) throw new Error('no standby');
      const refusal = await run(['local', 'start', standby.name, '--dir', dir]);
      expect(refusal.code).not.toBe(0);
      expect(refusal.err).toContain('runs already');
      process.kill(standby.pids.agent, 'SIGKILL');
      process.kill(standby.pids.guard, 'SIGKILL');
      const { postmaster } = standby.pids;
      await until('the database to go with its guard', () => postmaster === null || !isAlive(postmaster));
      const dead = (await ask()).members.find(({ name }) => name === standby.name);
      expect(dead).toMatchObject({ role: 'none', pids: { agent: null, guard: null, postmaster: null } });
      const started = await run(['local', 'start', standby.name, '--dir', dir, '-o', 'json']);
      expect(started.code).toBe(0);
      const endMs = Date.now() + 60_000;
      for (let back = false; !back; back = (await ask()).members.find(({ name }) => name === standby.name)?.role === 'standby') {
        if (Date.now() > endMs) throw new Error(`${standby.name} did not come back`);
      }
    },
    LIMIT_MS,
  );

  it('refuses an unknown part by naming those there are', async () => {
    const answer = await run(['local', 'start', 'pg-z', '--dir', dir]);
    expect(answer.code).not.toBe(0);
    expect(answer.err).toContain('pg-a, pg-b, worker, dns, temporal');
  });

  it('refuses a directory that holds a stage already, and one where none runs', async () => {
    const second = await run(['local', 'up', '--dir', dir, ...CALM]);
    expect(second.code).not.toBe(0);
    expect(second.err).toContain('holds a stage already');
    const nowhere = await run(['local', 'start', 'pg-a', '--dir', parent]);
    expect(nowhere.code).not.toBe(0);
    expect(nowhere.err).toContain('no stage runs in');
  });

  it('names a port that is taken, and starts nothing', async () => {
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as net.AddressInfo;
    const answer = await run(['local', 'up', '--dir', path.join(parent, 'other'), '--port-base', String(port), '-o', 'json']);
    taken.close();
    expect(answer.code).not.toBe(0);
    expect(answer.err).toContain(`port ${port} of 127.0.0.1 is taken (EADDRINUSE)`);
    expect(existsSync(path.join(parent, 'other'))).toBe(false);
  });

  it(
    'ends everything in order on SIGTERM',
    async () => {
      up.child.kill('SIGTERM');
      expect(await up.ended).toBe(0);
      expect(processesAbout(dir)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'leaves no process behind when it is killed itself, even in the midst of starting',
    async () => {
      const other = path.join(parent, 'killed');
      const running = new Running(['local', 'up', '--dir', other, '--members', '2', ...CALM]);
      await running.until('guards and databases', () => processesAbout(`${other}/members/pg-a/data`).length > 0, LIMIT_MS);
      running.child.kill('SIGKILL');
      await running.ended;
      await until('everything to be gone', () => processesAbout(other).length === 0);
    },
    LIMIT_MS,
  );
});
