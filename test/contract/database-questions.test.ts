import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { Client } from 'pg';
import { afterEach, expect, it } from 'vitest';
import { archiverTrouble } from '../../src/decide/readiness.ts';
import { compareLsn } from '../../src/model/lsn.ts';
import { TestGroup, describePostgres, forever, settings, streams, until, type TestMember } from '../support/postgres.ts';

const root = process.geteuid?.() === 0;

/** What was measured, for docs/second-lease-postgres.md; no test depends on how fast a machine is. */
const measured = (what: string, ms: number): void => void process.stdout.write(`measured: ${what}: ${Math.round(ms)} ms\n`);

async function timed<T>(what: string, act: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const startedMs = performance.now();
  const value = await act();
  const ms = performance.now() - startedMs;
  measured(what, ms);
  return { value, ms };
}

describePostgres('what PostgreSQL does where the protocol leans on it', (bin) => {
  let group: TestGroup | undefined;
  const clients: Client[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end().catch(() => undefined);
    await group?.close();
    group = undefined;
  }, 60_000);

  /** The first is open with these lines in its own settings, which every copy brings along; the others follow it. */
  async function open(names: string[], conf = ''): Promise<TestMember[]> {
    group = await TestGroup.make(bin, names);
    const [first, ...others] = group.members as [TestMember, ...TestMember[]];
    await first.driver.found(forever());
    first.appendConf('postgresql.conf', `\n${conf}\n`);
    const live = await first.start('primary');
    await live.ensureAccounts();
    await live.slots(others.map(({ spec }) => spec.name));
    await first.sql('create table seen (n int)');
    for (const other of others) {
      await other.driver.clone(first.upstream, forever(), () => {});
      await follow(other, first);
    }
    return [first, ...others];
  }

  async function follow(member: TestMember, upstream: TestMember): Promise<void> {
    await member.start('standby', upstream);
    await streams(member);
  }

  const at = async (member: TestMember, what: 'flushedLsn' | 'replayedLsn'): Promise<string> => (await member.live?.pulse())?.[what] ?? '0/0';
  const reaches = (member: TestMember, what: 'flushedLsn' | 'replayedLsn', lsn: string): Promise<unknown> =>
    until(`${member.spec.name} has ${what} ${lsn}`, async () => compareLsn(await at(member, what), lsn) >= 0);
  const count = async (member: TestMember): Promise<number> => Number((await member.sql('select count(*) from seen'))[0]?.['count']);
  const followers = async (member: TestMember): Promise<string[]> => ((await member.live?.pulse())?.followers ?? []).map(({ name }) => name);

  async function client(member: TestMember, user = 'postgres'): Promise<Client> {
    const made = new Client({ host: '127.0.0.1', port: member.spec.port, user, database: 'postgres' });
    made.on('error', () => {});
    await made.connect();
    clients.push(made);
    return made;
  }

  it('I1: a member that is fed by a cascade never confirms a mark at the primary, and hears from its own upstream when the primary is gone', async () => {
    const [a, b, c] = (await open(['pg-a', 'pg-b', 'pg-c'])) as [TestMember, TestMember, TestMember];
    await b.live?.slots(['pg-a', 'pg-c']);
    await c.stop();
    await follow(c, b);
    const mark = (await a.live?.mark(2000)) ?? 'F/0';
    await reaches(c, 'flushedLsn', mark);
    expect(await followers(a)).toEqual(['pg-b']);
    expect((await c.live?.pulse())?.receiver).toMatchObject({ state: 'streaming', from: `127.0.0.1:${b.spec.port}` });
    await a.stop('SIGKILL');
    const stamp = async (): Promise<string> => {
      const receiver = (await c.live?.pulse())?.receiver;
      return receiver?.state === 'streaming' ? receiver.stamp : '';
    };
    const before = await stamp();
    await until('something arrives all the same', async () => ![before, ''].includes(await stamp()));
  });

  it('I1: a member that is fed from an archive never confirms a mark, and its place moves though its receiver is detached', async () => {
    const archive = `/tmp/understudy-archive-${process.pid}`;
    mkdirSync(archive);
    if (root) execaSync('chown', ['postgres', archive]);
    try {
      const [a, b] = (await open(
        ['pg-a', 'pg-b'],
        `archive_mode = on\narchive_command = 'cp %p ${archive}/%f'\nrestore_command = 'cp ${archive}/%f %p 2>&1'`,
      )) as [TestMember, TestMember];
      await b.live?.detach(settings());
      await until('pg-b is gone', async () => (await followers(a)).length === 0);
      const before = await at(b, 'flushedLsn');
      const mark = (await a.live?.mark(2000)) ?? 'F/0';
      await a.sql('select pg_switch_wal()');
      await reaches(b, 'flushedLsn', mark);
      expect(compareLsn(await at(b, 'flushedLsn'), before)).toBeGreaterThan(0);
      expect(await followers(a)).toEqual([]);
      // What the archive has is drained by the promotion itself; what never came into it is not.
      await a.sql('insert into seen select generate_series(1, 500)');
      await a.sql('select pg_switch_wal()');
      await until('it is archived', async () => ((await a.live?.look())?.archiver?.waiting ?? 1) === 0);
      await a.sql('insert into seen values (501)');
      await a.stop('SIGKILL');
      await timed('promotion that drains an archive', () => b.live?.promote(20_000) ?? Promise.reject(new Error('not there')));
      expect(await count(b)).toBe(500);
    } finally {
      execaSync('rm', ['-rf', archive]);
    }
  });

  it('I2: a promotion waits out no recovery_min_apply_delay, and loses nothing of what was received', async () => {
    const [a, b] = (await open(['pg-a', 'pg-b'])) as [TestMember, TestMember];
    await b.stop();
    b.appendConf('postgresql.conf', "\nrecovery_min_apply_delay = '1h'\n");
    await b.driver.adopt(settings(a));
    await follow(b, a);
    for (let i = 0; i < 50; i += 1) await a.sql('insert into seen select generate_series(1, 2000)');
    const mark = (await a.live?.mark(2000)) ?? 'F/0';
    await reaches(b, 'flushedLsn', mark);
    expect(compareLsn(await at(b, 'replayedLsn'), mark)).toBeLessThan(0);
    expect(await count(b)).toBe(0);
    expect(await b.live?.drained(100)).toBe(false);
    // Only the process that waits ends the receiver: while a primary still sends, such a member cannot be frozen, and so is not elected.
    await expect(b.live?.detach(settings())).rejects.toThrow(/its receiver still runs.*delayed or paused/);
    await a.stop('SIGKILL');
    await b.live?.detach(settings());
    const { value } = await timed(
      'promotion with 100,000 rows received and none applied',
      () => b.live?.promote(60_000) ?? Promise.reject(new Error('not there')),
    );
    expect(value).toMatchObject({ outcome: 'promoted', timeline: 2 });
    expect(await count(b)).toBe(100_000);
  });

  it('I4: a paused replay is told, and does not hang a promotion: it ends the pause and loses nothing', async () => {
    const [a, b] = (await open(['pg-a', 'pg-b'])) as [TestMember, TestMember];
    await b.sql('select pg_wal_replay_pause()');
    await until('it is told', async () => (await b.live?.look())?.replayPaused);
    await a.sql('insert into seen select generate_series(1, 1000)');
    await reaches(b, 'flushedLsn', (await a.live?.mark(2000)) ?? 'F/0');
    expect(await count(b)).toBe(0);
    await a.stop('SIGKILL');
    await b.live?.detach(settings());
    await timed('promotion while replay is paused', () => b.live?.promote(20_000) ?? Promise.reject(new Error('not there')));
    expect(await count(b)).toBe(1000);
  });

  it('I2: a transaction that was prepared, and acknowledged as such, can be committed on the new primary', async () => {
    const [a, b] = (await open(['pg-a', 'pg-b'], 'max_prepared_transactions = 5')) as [TestMember, TestMember];
    await a.live?.settle(settings(undefined, { names: ['pg-b'], count: 1 }));
    await a.sql("begin; insert into seen values (1); prepare transaction 'both'; begin; insert into seen values (2); prepare transaction 'second'");
    await a.stop('SIGKILL');
    await b.live?.detach(settings());
    await b.live?.promote(20_000);
    expect(await b.sql('select gid from pg_prepared_xacts order by 1')).toEqual([{ gid: 'both' }, { gid: 'second' }]);
    await b.sql("commit prepared 'both'");
    await b.sql("rollback prepared 'second'");
    expect(await b.sql('select n from seen')).toEqual([{ n: 1 }]);
  });

  it('a standby that hangs holds up a stop in order for no longer than twice the lease', async () => {
    const [a, b] = (await open(['pg-a', 'pg-b'])) as [TestMember, TestMember];
    const plain = await timed('stop in order with a standby that follows', () => a.stop());
    await a.start('primary');
    await until('pg-b is back', async () => (await followers(a)).length === 1);
    b.signalAll('SIGSTOP');
    try {
      await a.sql('insert into seen select generate_series(1, 1000)');
      const { ms } = await timed('stop in order with a standby that hangs (wal_sender_timeout 2 s)', () => a.stop());
      // Noisy machines are slow; but a walsender that is waited for without end takes a minute, PostgreSQL's own default.
      expect(ms).toBeLessThan(2000 + 10 * Math.max(plain.ms, 500));
      expect(await a.driver.footprint(forever())).toMatchObject({ cleanShutdown: true });
    } finally {
      b.signalAll('SIGCONT');
    }
  });

  it('a stuck archiver is told, and holds up a stop in order after the last word is written, so that an immediate one loses nothing', async () => {
    const [a, b] = (await open(['pg-a', 'pg-b'], "archive_mode = on\narchive_command = '/bin/true'")) as [TestMember, TestMember];
    expect(archiverTrouble((await a.live?.look()) ?? {})).toBeUndefined();
    const command = async (words: string): Promise<void> => {
      a.appendConf('postgresql.conf', `\narchive_command = '${words}'\n`);
      await a.live?.settle(settings());
      await a.sql('insert into seen values (1)');
      await a.sql('select pg_switch_wal()');
    };
    await command('/bin/false');
    await until('a failing archiver is told', async () => archiverTrouble((await a.live?.look()) ?? {})?.startsWith('fails to archive'));
    await timed('stop in order while archiving fails', () => a.stop());
    expect(await a.driver.footprint(forever())).toMatchObject({ cleanShutdown: true });
    await a.start('primary');
    await until('pg-b is back', async () => (await followers(a)).length === 1);

    await command('sleep 600');
    await until('a hanging one has a queue', async () => {
      const live = await a.live?.look();
      return (live?.archiver?.waiting ?? 0) > 0 && live;
    });
    expect(archiverTrouble({ archiver: { waiting: 1, failing: false, oldestWaitsMs: 60_000 } })).toMatch(/archives nothing any more/);
    await a.live?.close();
    a.process?.kill('SIGINT');
    await until('the last word is written', async () => {
      const footprint = await a.driver.footprint(forever());
      return footprint.state === 'data' && footprint.cleanShutdown;
    });
    const end = await a.driver.endOfLog(forever());
    await reaches(b, 'flushedLsn', end?.lsn ?? 'F/0');
    expect(a.process?.exitCode).toBe(null);
    await timed('immediate stop of what the archiver held up', () => a.stop('SIGQUIT'));
    expect(await a.driver.footprint(forever())).toMatchObject({ cleanShutdown: true });
    expect(await a.driver.endOfLog(forever())).toEqual(end);
  });

  it('sessions that idle in a transaction hold up no stop, and what they had not committed is gone', async () => {
    const [a] = (await open(['pg-a'])) as [TestMember];
    for (let i = 0; i < 20; i += 1) await (await client(a)).query(`begin; insert into seen values (${i})`);
    const { ms } = await timed('stop in order with 20 sessions idle in a transaction', () => a.stop());
    expect(ms).toBeLessThan(15_000);
    await a.start('primary');
    expect(await count(a)).toBe(0);
  });

  it('I3: where superusers have taken the last connection too, the agent that is in stays in; one that comes is refused, which says nothing of the database', async () => {
    const [a] = (await open(['pg-a'], 'max_connections = 8')) as [TestMember];
    const live = a.live;
    const refusal = await until('no connection is left, not even a superuser', async () => {
      try {
        await client(a);
        return undefined;
      } catch (error) {
        return (error as { code?: string }).code;
      }
    });
    expect(refusal).toBe('53300');
    expect(await live?.probeWrite(2000)).toEqual({ outcome: 'written' });
    expect(await live?.mark(2000)).toMatch(/\//);
    await expect(a.driver.connect(forever())).rejects.toMatchObject({ code: 'DatabaseUnreachable', evidence: { code: '53300' } });
    await expect(live?.commitOnce(2000)).rejects.toMatchObject({ code: 'DatabaseUnreachable', evidence: { code: '53300' } });
    expect(await live?.endSessions()).toBeGreaterThan(0);
    expect(await live?.commitOnce(5000)).toMatch(/\//);
  });

  it('two groups on one host, with members of the same name, touch nothing of each other', async () => {
    const [a] = (await open(['pg-a', 'pg-b'])) as [TestMember, TestMember];
    const other = await TestGroup.make(bin, ['pg-a', 'pg-b']);
    try {
      await other.openAll();
      const theirs = other.member(0);
      const systems = await Promise.all([a, theirs].map(async (one) => (await one.live?.look())?.systemId));
      expect(new Set(systems).size).toBe(2);
      await theirs.stop('SIGKILL');
      expect(await a.live?.probeWrite(2000)).toEqual({ outcome: 'written' });
      expect(await followers(a)).toEqual(['pg-b']);
      await theirs.start('primary');
      // A slip: the other group's member is given our port. It does not start, and ours is not disturbed.
      await theirs.stop();
      const launch = await theirs.driver.launch('primary', settings());
      theirs.spawn({ ...launch, command: launch.command.map((word) => (word.startsWith('port=') ? `port=${a.spec.port}` : word)) });
      await until('it gives up', () => theirs.process?.exitCode !== null);
      expect(await a.live?.probeWrite(2000)).toEqual({ outcome: 'written' });
      expect((await a.driver.connect(forever()).then(async (again) => [await again.look(), await again.close()] as const))[0].systemId).toBe(systems[0]);
    } finally {
      await other.close();
    }
  });

  it('a pid file that names a living process of another kind keeps no primary from starting', async () => {
    const [a] = (await open(['pg-a'])) as [TestMember];
    await a.stop('SIGKILL');
    writeFileSync(path.join(a.dataDir, 'postmaster.pid'), `${process.pid}\n${a.dataDir}\n${Math.round(Date.now() / 1000)}\n${a.spec.port}\n`);
    const live = await a.start('primary');
    expect(await live.probeWrite(2000)).toEqual({ outcome: 'written' });
  });
});
