import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compareLsn } from '../../src/model/lsn.ts';
import { decideRejoin } from '../../src/decide/rejoin.ts';
import { TestGroup, forever, describePostgres, settings, streams, until, type TestMember } from '../support/postgres.ts';

const BOTH = { names: ['pg-b', 'pg-c'], count: 1 };
const ignore = (): void => {};

async function settledCount(member: TestMember): Promise<number> {
  return Number((await member.sql('select count(*) from seen'))[0]?.['count']);
}

async function replays(from: TestMember, to: TestMember): Promise<void> {
  const lsn = (await from.sql('select pg_current_wal_flush_lsn()::text as lsn'))[0]?.['lsn'] ?? '';
  await until(`${to.spec.name} replays ${lsn}`, async () => compareLsn((await to.live?.pulse())?.replayedLsn ?? '0/0', lsn) >= 0);
}

describePostgres('a group of three', (bin) => {
  let group: TestGroup;
  let a: TestMember;
  let b: TestMember;
  let c: TestMember;

  beforeAll(async () => {
    group = await TestGroup.make(bin, ['pg-a', 'pg-b', 'pg-c']);
    [a, b, c] = [group.member(0), group.member(1), group.member(2)];
  }, 120_000);
  afterAll(() => group.close(), 60_000);

  it('I5: found, asked twice, makes one database and leaves it as it is', async () => {
    expect(await a.driver.footprint(forever())).toEqual({ state: 'empty' });
    await a.driver.found(forever());
    const first = await a.driver.footprint(forever());
    await a.driver.found(forever());
    expect(await a.driver.footprint(forever())).toEqual(first);
    expect(first).toMatchObject({ state: 'data', timeline: 1, cleanShutdown: true, standby: false });
  });

  it('the first primary opens, has its accounts and slots, and says so in one look', async () => {
    const live = await a.start('primary');
    await live.ensureAccounts();
    await live.ensureAccounts();
    await live.slots(['pg-b', 'pg-c']);
    const state = await live.look();
    expect(state).toMatchObject({ inRecovery: false, timeline: 1, receiver: { state: 'none' }, followers: [] });
    expect(state.slots.map(({ name }) => name)).toEqual(['understudy_pg_b', 'understudy_pg_c']);
    await a.sql('create table seen (n int)');
  });

  it('the commit of ensureAccounts waits for no standby, so that a strict rule cannot hang the first primary', async () => {
    await a.live?.settle(settings(undefined, BOTH));
    await a.sql('set synchronous_commit = local; alter role replicator nologin; revoke execute on function pg_ls_dir(text, boolean, boolean) from replicator');
    await a.live?.ensureAccounts();
    expect(
      await a.sql(
        "select rolcanlogin as login, has_function_privilege('replicator', 'pg_ls_dir(text, boolean, boolean)', 'execute') as granted from pg_roles where rolname = 'replicator'",
      ),
    ).toEqual([{ login: true, granted: true }]);
    await a.live?.settle(settings());
  }, 10_000);

  it('a clone follows its upstream by its own slot and name', async () => {
    for (const standby of [b, c]) {
      const words: string[] = [];
      await standby.driver.clone(a.upstream, forever(), (word) => words.push(word));
      expect(words.length).toBeGreaterThan(1);
      expect(await standby.driver.footprint(forever())).toMatchObject({ state: 'data', standby: true });
      await standby.start('standby', a);
      await streams(standby);
      await standby.live?.slots(group.members.filter((one) => one !== standby).map((one) => one.spec.name));
    }
    const followers = (await a.live?.pulse())?.followers.map(({ name, state }) => `${name} ${state}`);
    expect(followers).toEqual(['pg-b streaming', 'pg-c streaming']);
    expect((await b.live?.look())?.slots.map(({ retainedBytes }) => retainedBytes)).toEqual([0, 0]);
  });

  it("a primary's role is not launched on a standby's copy", async () => {
    await c.stop();
    await expect(c.driver.launch('primary', settings())).rejects.toMatchObject({ code: 'NotInRecovery' });
    await c.start('standby', a);
    await streams(c);
  });

  it('I2: once settle has returned, each commit waits for a standby of the rule', async () => {
    await a.live?.settle(settings(undefined, BOTH));
    const rows = await a.sql('select application_name as name, sync_state from pg_stat_replication order by 1');
    expect(rows).toEqual([
      { name: 'pg-b', sync_state: 'quorum' },
      { name: 'pg-c', sync_state: 'quorum' },
    ]);
    expect((await a.live?.pulse())?.followers.every(({ confirms }) => confirms)).toBe(true);
    expect(await a.live?.commitOnce(5000)).toMatch(/\//);
    b.signalAll('SIGSTOP');
    c.signalAll('SIGSTOP');
    await expect(a.live?.commitOnce(400)).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
    expect(await a.live?.probeWrite(2000)).toEqual({ outcome: 'written' });
    b.signalAll('SIGCONT');
    c.signalAll('SIGCONT');
    await until('a commit is confirmed again', () => a.live?.commitOnce(5000));
    const left = await a.sql("select count(*)::int as left from pg_stat_activity where wait_event = 'SyncRep'");
    expect(left).toEqual([{ left: 0 }]);
  });

  it("a receiver's stamp changes when something arrives, and only then says nothing", async () => {
    const stamp = async (): Promise<string> => {
      const receiver = (await b.live?.pulse())?.receiver;
      return receiver?.state === 'streaming' ? receiver.stamp : '';
    };
    const before = await stamp();
    await a.sql('insert into seen values (1)');
    await until('the stamp changes', async () => (await stamp()) !== before);
  });

  it('detach freezes the place', async () => {
    await Promise.all([b.live?.detach(settings()), c.live?.detach(settings())]);
    const frozen = (await b.live?.pulse())?.flushedLsn;
    expect((await b.live?.pulse())?.receiver).toEqual({ state: 'none' });
    await a.live?.settle(settings());
    for (let n = 0; n < 20; n += 1) await a.sql('insert into seen values (2)');
    expect((await b.live?.pulse())?.flushedLsn).toBe(frozen);
    expect(await b.live?.drained(5000)).toBe(true);
  });

  it('I5: promote, asked twice, promotes once and answers "already"', async () => {
    await a.stop('SIGKILL');
    const first = await b.live?.promote(10_000);
    expect(first).toMatchObject({ outcome: 'promoted', timeline: 2 });
    expect(await b.live?.promote(10_000)).toMatchObject({ outcome: 'already', timeline: 2 });
    expect((await b.live?.pulse())?.timeline).toBe(2);
    expect(await settledCount(b)).toBe(1);
  });

  it('a repointed standby follows the new primary on to its timeline', async () => {
    await b.live?.slots(['pg-a', 'pg-c']);
    await c.live?.settle(settings(b));
    await until('pg-c is on timeline 2', async () => (await c.live?.pulse())?.timeline === 2);
    await b.live?.settle(settings(undefined, { names: ['pg-a', 'pg-c'], count: 1 }));
    expect(await b.live?.commitOnce(10_000)).toMatch(/\//);
  });

  it('a crashed primary with writes of its own is found to have diverged, is rewound, and its lost writes are gone', async () => {
    const history = await until('the checkpoint after promotion', async () => {
      await b.live?.checkpoint();
      const answer = await a.driver.history(b.upstream, forever());
      return answer.checkpointed && answer;
    });
    const [footprint, endOfLog] = [await a.driver.footprint(forever()), await a.driver.endOfLog(forever())];
    expect(footprint).toMatchObject({ state: 'data', cleanShutdown: false, standby: false, timeline: 1 });
    expect(compareLsn(endOfLog?.lsn ?? '0/0', history.forks[0]?.endLsn ?? 'F/0')).toBeGreaterThan(0);
    expect(decideRejoin({ footprint, endOfLog, upstream: history, ownHints: true }).how).toBe('rewind');
    expect(existsSync(path.join(a.dataDir, 'postmaster.pid'))).toBe(true);
    a.appendConf('postgresql.conf', "# the user's own words\nwork_mem = '7MB'\n");
    expect(await a.driver.rewind(b.upstream, forever(), ignore)).toEqual({ outcome: 'rewound' });
    expect(await a.driver.footprint(forever())).toMatchObject({ state: 'data', standby: true });
    await a.start('standby', b);
    await streams(a);
    await replays(b, a);
    expect(await settledCount(a)).toBe(1);
    expect(a.readConf('postgresql.conf')).toContain("the user's own words");
    expect(await a.sql('show work_mem')).toEqual([{ work_mem: '7MB' }]);
  });

  it("what a rewind brought along of the other member's settings is put right", async () => {
    expect(a.readConf('understudy.conf')).toContain(`application_name=''pg-a''`);
    expect(a.readConf('understudy.conf')).toContain("primary_slot_name = 'understudy_pg_a'");
    expect(a.readConf('postgresql.auto.conf')).not.toMatch(/primary_conninfo|primary_slot_name/);
    expect(await b.sql('select application_name as name from pg_stat_replication order by 1')).toEqual([{ name: 'pg-a' }, { name: 'pg-c' }]);
  });

  it('the end of a cleanly stopped primary is the place that its standbys have received and the fork of the next timeline', async () => {
    await b.sql('insert into seen values (3)');
    await replays(b, a);
    await b.stop('SIGINT');
    const end = await b.driver.endOfLog(forever());
    expect(await b.driver.footprint(forever())).toMatchObject({ cleanShutdown: true, standby: false });
    await until('pg-a has received all of it', async () => compareLsn((await a.live?.pulse())?.flushedLsn ?? '0/0', end?.lsn ?? 'F/0') >= 0);
    expect((await a.live?.pulse())?.flushedLsn).toBe(end?.lsn);
    await a.live?.promote(10_000);
    await a.live?.slots(['pg-b', 'pg-c']);
    await a.live?.checkpoint();
    const history = await b.driver.history(a.upstream, forever());
    expect(history).toMatchObject({ writable: true, timeline: 3, checkpointed: true });
    expect(history.forks.at(-1)).toEqual({ timeline: 2, endLsn: end?.lsn });
  });

  it('after a clean switchover the old primary follows without a rewind', async () => {
    const upstream = await b.driver.history(a.upstream, forever());
    const verdict = decideRejoin({ footprint: await b.driver.footprint(forever()), endOfLog: await b.driver.endOfLog(forever()), upstream, ownHints: true });
    expect(verdict.how).toBe('follow');
    await b.start('standby', a);
    await streams(b);
    await b.live?.releaseSlots();
    await until('its slots keep nothing', async () => (await b.live?.look())?.slots.every(({ retainedBytes }) => retainedBytes === 0));
    await until('pg-b is on timeline 3', async () => (await b.live?.pulse())?.timeline === 3);
  });

  it("a standby that is stopped at its upstream's promotion starts again and follows", async () => {
    await c.stop('SIGKILL');
    const footprint = await c.driver.footprint(forever());
    const verdict = decideRejoin({
      footprint,
      endOfLog: await c.driver.endOfLog(forever()),
      upstream: await c.driver.history(a.upstream, forever()),
      ownHints: true,
    });
    expect(['nothing', 'rewind']).toContain(verdict.how);
    await c.start('standby', a);
    await streams(c);
    await replays(a, c);
  });

  it("slots of others are dropped where they are ours, and left where they are the user's", async () => {
    await a.sql("select pg_create_physical_replication_slot('mine')");
    await a.sql("select pg_create_physical_replication_slot('understudy_pg_gone')");
    await a.live?.slots(['pg-b', 'pg-c']);
    expect((await a.live?.look())?.slots.map(({ name }) => name)).toEqual(['mine', 'understudy_pg_b', 'understudy_pg_c']);
  });

  it('sessions of others are ended, ours go on', async () => {
    const busy = a.sql('select pg_sleep(60)').then(
      () => 'ended by itself',
      () => 'was ended',
    );
    await until(
      'somebody else is there',
      async () => (await a.sql("select 1 from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'")).length > 0,
    );
    expect(await a.live?.endSessions()).toBeGreaterThan(0);
    expect(await busy).toBe('was ended');
    expect((await a.live?.pulse())?.inRecovery).toBe(false);
    expect(await a.live?.probeWrite(2000)).toEqual({ outcome: 'written' });
  });

  it('a lost connection is told once and never mended in silence', async () => {
    const live = await a.driver.connect(forever());
    await a.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'understudy'");
    expect(await live.lost).toMatch(/terminat/);
    await expect(live.pulse()).rejects.toMatchObject({ code: 'DatabaseUnreachable' });
    await live.close();
    await a.connect();
  });

  it("the state directory's part of the account is closed to others", () => {
    expect(statSync(path.join(a.stateDir, 'db')).mode & 0o777).toBe(0o700);
    expect(readFileSync(path.join(a.stateDir, 'postgres.log'), 'utf8')).toContain('.s.PGSQL');
  });
});
