import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execaSync } from 'execa';
import { Client } from 'pg';
import { afterEach, expect, it } from 'vitest';
import { writeWhole } from '../../src/database/postgres/file.ts';
import { TestGroup, forever, describePostgres, settings, until } from '../support/postgres.ts';

const root = process.geteuid?.() === 0;

describePostgres('a primary in trouble', (bin) => {
  let group: TestGroup | undefined;
  const open = async (): Promise<ReturnType<TestGroup['member']>> => (group = await TestGroup.make(bin, ['pg-a'])).member(0);
  afterEach(async () => {
    await group?.close();
    group = undefined;
  }, 60_000);

  it('I3: taken connections do not fool the probe, nor a second agent', async () => {
    const a = await open();
    await a.driver.found(forever());
    a.appendConf('postgresql.conf', '\nmax_connections = 8\n');
    const live = await a.start('primary');
    await live.ensureAccounts();
    await a.sql('create role someone login');
    const taken: Client[] = [];
    try {
      const refusal = await until('no connection is left', async () => {
        const client = new Client({ host: '127.0.0.1', port: a.spec.port, user: 'someone', database: 'postgres' });
        client.on('error', () => {});
        try {
          await client.connect();
          taken.push(client);
          return undefined;
        } catch (error) {
          return (error as { code?: string }).code;
        }
      });
      expect(refusal).toBe('53300');
      expect(await live.probeWrite(2000)).toEqual({ outcome: 'written' });
      expect((await live.pulse()).inRecovery).toBe(false);
      expect(await live.commitOnce(5000)).toMatch(/\//);
      // The superuser's reserve is gone too: whoever cannot ask says that he does not know.
      const second = await a.driver.connect(forever()).catch((error: unknown) => error);
      if (second instanceof Error) expect(second).toMatchObject({ code: 'DatabaseUnreachable', evidence: { code: '53300' } });
      expect(await live.probeWrite(2000)).toEqual({ outcome: 'written' });
    } finally {
      for (const client of taken) await client.end();
    }
  });

  it('I2: settings that ALTER SYSTEM outranks are told, and are in force again once they are settled', async () => {
    const a = await open();
    await a.driver.found(forever());
    const live = await a.start('primary');
    const wanted = settings(undefined, { names: ['pg-b'], count: 1 });
    await live.settle(wanted);
    expect(await live.outranked(wanted)).toEqual([]);
    const show = async (name: string): Promise<string> => String((await a.sql(`show ${name}`))[0]?.[name]);
    await a.sql("alter system set synchronous_standby_names = ''");
    await a.sql('alter system set synchronous_commit = off');
    await a.sql('select pg_reload_conf()');
    await until('the reload to have come through', async () => (await show('synchronous_standby_names')) === '' || undefined);
    expect(await live.outranked(wanted)).toEqual(['synchronous_standby_names', 'synchronous_commit']);
    await live.settle(wanted);
    expect(await live.outranked(wanted)).toEqual([]);
    expect([await show('synchronous_standby_names'), await show('synchronous_commit')]).toEqual(['ANY 1 ("pg-b")', 'on']);
  });

  it('a disk that takes no file is told as a failure of the database, and ends no agent', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'understudy-full-'));
    const file = path.join(directory, 'settings');
    symlinkSync('/dev/full', `${file}.understudy-new`);
    const owner = { name: '', uid: 0, gid: 0, drop: false };
    try {
      await expect(writeWhole(file, 'text', owner)).rejects.toMatchObject({ code: 'DatabaseFailed', message: expect.stringContaining('ENOSPC') });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('a checkpoint does not fool the probe', async () => {
    const a = await open();
    await a.driver.found(forever());
    const live = await a.start('primary');
    await a.sql('create table filler as select generate_series(1, 300000) as n');
    const checkpoint = live.checkpoint();
    expect(await live.probeWrite(5000)).toEqual({ outcome: 'written' });
    await checkpoint;
  });

  it('a stopped server is slow within the limit, and its connection is of no use any more', async () => {
    const a = await open();
    await a.driver.found(forever());
    const live = await a.start('primary');
    expect(await live.probeWrite(2000)).toEqual({ outcome: 'written' });
    a.signalAll('SIGSTOP');
    const beganMs = performance.now();
    const probe = await live.probeWrite(300);
    expect(performance.now() - beganMs).toBeLessThan(2000);
    expect(probe.outcome).toBe('slow');
    // The next one asks anew, and is not answered either.
    const connecting = live.probeWrite(300);
    a.signalAll('SIGCONT');
    await connecting;
    await until('it writes again', async () => (await live.probeWrite(2000)).outcome === 'written');
  });

  it('I3: a read-only default is what the user wishes and no failure', async () => {
    const a = await open();
    await a.driver.found(forever());
    const live = await a.start('primary');
    await a.sql('alter role postgres set default_transaction_read_only = on');
    await live.close();
    const again = await a.connect();
    expect(await again.probeWrite(2000)).toEqual({ outcome: 'written' });
    await again.slots(['pg-b']);
    await again.ensureAccounts();
  });

  it('a killed server is broken', async () => {
    const a = await open();
    await a.driver.found(forever());
    const live = await a.start('primary');
    const { lost } = live;
    a.process?.kill('SIGQUIT');
    expect(await lost).toMatch(/./);
    await until('it is broken', async () => (await live.probeWrite(1000)).outcome === 'broken');
  });

  it.skipIf(!root)('a full disk is told as such (needs root to mount one)', async () => {
    const a = await open();
    mkdirSync(a.dataDir, { recursive: true });
    execaSync('mount', ['-t', 'tmpfs', '-o', 'size=120m', 'understudy-test', a.dataDir]);
    try {
      await a.driver.found(forever());
      const live = await a.start('primary');
      expect(await live.probeWrite(2000)).toEqual({ outcome: 'written' });
      await a.sql('create table filler (words text)');
      await fill(path.join(a.dataDir, 'ballast'));
      await expect(a.sql("insert into filler select repeat('x', 1000) from generate_series(1, 20000)")).rejects.toMatchObject({ code: '53100' });
      await until('the probe tells it', async () => (await live.probeWrite(2000)).outcome === 'disk-full');
    } finally {
      await a.stop('SIGQUIT');
      execaSync('umount', [a.dataDir]);
    }
  });

  it('settings written while the server is stopped are in force at its next start', async () => {
    const a = await open();
    await a.driver.found(forever());
    await a.driver.adopt(settings(undefined, { names: ['pg-b'], count: 1 }));
    await a.start('primary', undefined, { names: ['pg-b'], count: 1 });
    expect(await a.sql('show synchronous_standby_names')).toEqual([{ synchronous_standby_names: 'ANY 1 ("pg-b")' }]);
    expect(readFileSync(path.join(a.dataDir, 'understudy.conf'), 'utf8')).toMatch(/do not edit/);
  });
});

/** Leaves no byte. */
async function fill(file: string): Promise<void> {
  const block = Buffer.alloc(64 * 1024);
  let size = block.length;
  writeFileSync(file, '');
  while (size >= 1024) {
    try {
      writeFileSync(file, block.subarray(0, size), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      size = Math.floor(size / 2);
    }
  }
}
