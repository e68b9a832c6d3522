import { existsSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { describe, expect, it, onTestFinished } from 'vitest';
import { leftBehind } from '../../src/decide/readiness.ts';
import { compareLsn } from '../../src/model/lsn.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import { pinnedPostgres } from '../../src/runtime/tools/postgres.ts';
import { describeWithPart, type Part } from '../support/part.ts';
import { TestGroup, forever, postgresBins, settings, streams, until, type TestMember } from '../support/postgres.ts';

function versionOf(bin: string): number {
  return Number(/(\d+)/.exec(execaSync(path.join(bin, 'postgres'), ['--version']).stdout)?.[1] ?? 0);
}

/** What Debian has may be older: then the wheel that `npm start` falls back to. */
async function pinnedBin(): Promise<string | undefined> {
  try {
    return (await pinnedPostgres()).binDir;
  } catch (error) {
    if (!(error instanceof UnderstudyError) || error.code !== 'ToolMissing') throw error;
    return undefined;
  }
}

const installed = postgresBins().find((bin) => existsSync(path.join(bin, 'pg_rewind')) && versionOf(bin) >= 17);
const newer = installed ?? (await pinnedBin());
const since17: Part = {
  name: 'PostgreSQL 17 or later',
  package: 'postgresql-17 (or name its programs in UNDERSTUDY_PG_BINS)',
  find: () => newer,
};

const LOGICAL = '\nwal_level = logical\n';
const WAITS = { names: ['pg-b'], count: 1 };

async function open(bin: string): Promise<[TestMember, TestMember]> {
  const group = await TestGroup.make(bin, ['pg-a', 'pg-b']);
  onTestFinished(() => group.close(), 60_000);
  const [a, b] = [group.member(0), group.member(1)];
  await a.driver.found(forever());
  a.appendConf('postgresql.conf', LOGICAL);
  const live = await a.start('primary');
  await live.ensureAccounts();
  await live.slots(['pg-b']);
  await a.sql('create table seen (n int)');
  await b.driver.clone(a.upstream, forever(), () => {});
  await b.start('standby', a);
  await streams(b);
  await live.settle(settings(undefined, WAITS));
  return [a, b];
}

const read = async (member: TestMember, slot: string): Promise<number[]> =>
  (await member.sql(`select data from pg_logical_slot_get_changes('${slot}', null, null) where data like 'table public.seen%'`)).map(({ data }) =>
    Number(/n\[integer\]:(\d+)/.exec(data ?? '')?.[1]),
  );

describeWithPart(since17, "users' logical slots", (paths) => {
  const bin = paths[since17.name] ?? '';

  it(
    'a failover slot is carried to the standby, goes on after its promotion without a gap, and comes back to the old primary',
    { timeout: 120_000 },
    async () => {
      const [a, b] = await open(bin);
      await a.sql("select pg_create_logical_replication_slot('cdc', 'test_decoding', false, false, true)");
      await a.sql('insert into seen values (1)');
      expect(await read(a, 'cdc')).toEqual([1]);
      const synced = (member: TestMember) => async (): Promise<boolean> =>
        (await member.sql("select 1 from pg_replication_slots where slot_name = 'cdc' and synced and not temporary and invalidation_reason is null")).length ===
        1;
      // A slot is carried once its reader has moved it past what the standby still knows the catalogs of: one that is read from is, soon.
      let sent = 1;
      await until(
        'the standby has the slot',
        async () => {
          await a.sql(`insert into seen values (${(sent += 1)})`);
          await read(a, 'cdc');
          return synced(b)();
        },
        60_000,
        200,
      );
      expect((await a.live?.look())?.slots).toMatchObject([
        { name: 'cdc', logical: true, failover: true },
        { name: 'understudy_pg_b', logical: false },
      ]);
      expect(leftBehind((await a.live?.look()) ?? { slots: [] })).toEqual([]);
      expect(await a.sql('show synchronized_standby_slots')).toEqual([{ synchronized_standby_slots: 'understudy_pg_b' }]);

      await a.sql(`insert into seen values (${sent + 1})`);
      await a.stop('SIGINT');
      const end = await a.driver.endOfLog(forever());
      await until('pg-b has all of it', async () => compareLsn((await b.live?.pulse())?.flushedLsn ?? '0/0', end?.lsn ?? 'F/0') >= 0);
      await b.live?.detach(settings());
      await b.live?.promote(20_000);
      await b.live?.slots(['pg-a']);
      await b.sql(`insert into seen values (${sent + 2})`);
      // What was read at the old primary after the slot was last copied may be read once more; nothing is missing.
      expect((await read(b, 'cdc')).slice(-2)).toEqual([sent + 1, sent + 2]);

      // The old primary still has the slot as its own, which would keep the carried one out.
      await b.live?.checkpoint();
      const live = await a.start('standby', b);
      await streams(a);
      await live.releaseSlots();
      await until(
        'the old primary has the slot of the new one',
        async () => {
          await b.sql('insert into seen values (0)');
          await read(b, 'cdc');
          return synced(a)();
        },
        60_000,
        200,
      );
    },
  );

  it('I2: a reader of a failover slot gets nothing that no standby has', { timeout: 120_000 }, async () => {
    const [a, b] = await open(bin);
    await a.sql("select pg_create_logical_replication_slot('cdc', 'test_decoding', false, false, true)");
    b.signalAll('SIGSTOP');
    try {
      // A session may choose not to wait; its commit may be lost, and must not have been read by then.
      await a.sql('set synchronous_commit = local; insert into seen values (1)');
      await expect(a.sql("set statement_timeout = 1000; select data from pg_logical_slot_get_changes('cdc', null, null)")).rejects.toMatchObject({
        code: '57014',
      });
    } finally {
      b.signalAll('SIGCONT');
    }
    await streams(b);
    await until('once the standby has it, it is read', async () => (await read(a, 'cdc')).includes(1));
  });
});

describe("users' logical slots that nothing carries over", () => {
  it('are named, so that a person can be told which readers begin anew', () => {
    expect(leftBehind({ slots: [{ name: 'cdc', active: true, retainedBytes: 0, logical: true, failover: false }] })).toEqual(['cdc']);
  });
});
