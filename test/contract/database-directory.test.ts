import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, expect, it } from 'vitest';
import { TestGroup, forever, describePostgres, settings, streams, type TestMember } from '../support/postgres.ts';

const root = process.geteuid?.() === 0;
const ignore = (): void => {};
const torn = (member: TestMember): string => path.join(member.stateDir, 'database.torn');

describePostgres('a data directory', (bin) => {
  let group: TestGroup | undefined;
  const open = async (names: string[], overrides = {}): Promise<TestGroup> => (group = await TestGroup.make(bin, names, overrides));
  afterEach(async () => {
    await group?.close();
    group = undefined;
  }, 60_000);

  it('a founding that died half way is begun anew', async () => {
    const a = (await open(['pg-a'])).member(0);
    mkdirSync(path.join(a.dataDir, 'base'), { recursive: true });
    writeFileSync(path.join(a.dataDir, 'PG_VERSION'), '15\n');
    writeFileSync(torn(a), 'found\n');
    expect(await a.driver.footprint(forever())).toEqual({ state: 'empty' });
    await a.driver.found(forever());
    expect(existsSync(torn(a))).toBe(false);
    expect((await (await a.start('primary')).look()).inRecovery).toBe(false);
  });

  it('what holds something else is told as foreign, and neither founded nor cloned over', async () => {
    const a = (await open(['pg-a', 'pg-b'])).member(0);
    mkdirSync(a.dataDir, { recursive: true });
    writeFileSync(path.join(a.dataDir, 'photo.jpg'), 'x');
    expect(await a.driver.footprint(forever())).toEqual({ state: 'foreign', found: 'photo.jpg' });
    await expect(a.driver.found(forever())).rejects.toMatchObject({ code: 'ForeignDatabase' });
    await expect(a.driver.clone(group?.member(1).upstream ?? a.upstream, forever(), ignore)).rejects.toMatchObject({ code: 'ForeignDatabase' });
    expect(readFileSync(path.join(a.dataDir, 'photo.jpg'), 'utf8')).toBe('x');
  });

  it("an adopted database keeps its user's settings, above ours only what ours need not", async () => {
    const a = (await open(['pg-a'])).member(0);
    await a.driver.found(forever());
    // As it would be without us.
    rmSync(path.join(a.dataDir, 'understudy.conf'));
    const before = "# mine\nwork_mem = '9MB'\nwal_level = logical\nmax_wal_senders = 33\ncluster_name = 'theirs'\nsynchronous_commit = off\n";
    writeFileSync(path.join(a.dataDir, 'postgresql.conf'), before);
    writeFileSync(
      path.join(a.dataDir, 'postgresql.auto.conf'),
      "# Do not edit\nmaintenance_work_mem = '99MB'\nprimary_conninfo = 'host=elsewhere'\nsynchronous_standby_names = '*'\n",
    );
    writeFileSync(path.join(a.dataDir, 'pg_hba.conf'), 'local all postgres peer\nhost all all 127.0.0.1/32 trust\n');
    await a.driver.adopt(settings());
    await a.driver.adopt(settings());
    expect(a.readConf('postgresql.conf').startsWith(before)).toBe(true);
    expect(a.readConf('postgresql.conf').match(/understudy\.conf/g)).toHaveLength(1);
    expect(a.readConf('postgresql.auto.conf')).toBe("# Do not edit\nmaintenance_work_mem = '99MB'\n");
    await a.start('primary');
    const shown = await a.sql(
      "select name, setting from pg_settings where name in ('work_mem','wal_level','max_wal_senders','cluster_name','maintenance_work_mem','synchronous_standby_names','wal_log_hints','synchronous_commit') order by 1",
    );
    expect(Object.fromEntries(shown.map(({ name, setting }) => [name, setting]))).toEqual({
      cluster_name: 'pg-a',
      maintenance_work_mem: String(99 * 1024),
      max_wal_senders: '33',
      synchronous_commit: 'off',
      synchronous_standby_names: '',
      wal_level: 'logical',
      wal_log_hints: 'on',
      work_mem: String(9 * 1024),
    });
    // A line that the user adds below ours does not outrank it after the next start.
    a.appendConf('postgresql.conf', "cluster_name = 'theirs again'\n");
    await a.stop();
    await a.start('primary');
    expect(await a.sql('show cluster_name')).toEqual([{ cluster_name: 'pg-a' }]);
  });

  it('settings that the server does not take are told with their line', async () => {
    const a = (await open(['pg-a'])).member(0);
    await a.driver.found(forever());
    const live = await a.start('primary');
    writeFileSync(path.join(a.dataDir, 'postgresql.conf'), "wrk_mem = '9MB'\n");
    await expect(live.settle(settings(undefined, { names: ['pg-b'], count: 1 }))).rejects.toThrow(/postgresql\.conf line 1/);
  });

  it('I9: with passwords, members reach each other by a closed file, and no configuration or log holds one', async () => {
    process.env['UNDERSTUDY_TEST_SECRET'] = "s3cr:et'\\x";
    const secret = { password: { env: 'UNDERSTUDY_TEST_SECRET' } };
    const made = await open(['pg-a', 'pg-b'], {
      auth: 'scram-sha-256',
      superuser: { user: 'postgres', ...secret },
      replication: { user: 'replicator', ...secret },
    });
    const [a, b] = [made.member(0), made.member(1)];
    await a.driver.found(forever());
    const live = await a.start('primary');
    await live.ensureAccounts();
    await live.slots(['pg-b']);
    await b.driver.clone(a.upstream, forever(), ignore);
    await b.start('standby', a);
    await streams(b);
    expect((await b.driver.history(a.upstream, forever())).writable).toBe(true);
    const passFile = path.join(b.stateDir, 'db', 'passfile');
    expect(statSync(passFile).mode & 0o777).toBe(0o600);
    await expect(a.sql('select 1')).rejects.toThrow(/password/);
    for (const member of [a, b]) {
      for (const file of ['understudy.conf', 'postgresql.conf', 'postgresql.auto.conf']) expect(member.readConf(file)).not.toContain('s3cr');
      expect(readFileSync(path.join(member.stateDir, 'postgres.log'), 'utf8')).not.toContain('s3cr');
    }
  });

  it('a clone survives a crash at each step of its swap, and the old data is never taken for an empty place', async () => {
    const made = await open(['pg-a', 'pg-b']);
    const [a, b] = [made.member(0), made.member(1)];
    await made.openAll();
    await b.stop();
    const [ready, old, half] = ['clone-ready', 'clone-old', 'clone-1'].map((suffix) => `${b.dataDir}.${suffix}`) as [string, string, string];
    const whole = { state: 'data', standby: true };
    const again = async (): Promise<void> => {
      await b.driver.clone(a.upstream, forever(), ignore);
      expect(await b.driver.footprint(forever())).toMatchObject(whole);
      for (const left of [ready, old, half]) expect(existsSync(left)).toBe(false);
    };
    // A copy half made.
    mkdirSync(path.join(half, 'base'), { recursive: true });
    expect(await b.driver.footprint(forever())).toMatchObject(whole);
    await again();
    // A whole copy, not swapped in.
    mkdirSync(ready);
    writeFileSync(path.join(ready, 'PG_VERSION'), '15');
    expect(await b.driver.footprint(forever())).toMatchObject(whole);
    await again();
    // Between the two renames.
    renameSync(b.dataDir, old);
    mkdirSync(ready);
    expect(await b.driver.footprint(forever())).toEqual({ state: 'torn', by: 'clone' });
    await expect(b.driver.found(forever())).rejects.toMatchObject({ code: 'ForeignDatabase' });
    await again();
    // Swapped, the old not yet removed.
    mkdirSync(old);
    expect(await b.driver.footprint(forever())).toMatchObject(whole);
    await again();
    await b.start('standby', a);
    await streams(b);
  });

  it('a clone from an upstream that does not answer fails and leaves the data as it was', async () => {
    const made = await open(['pg-a', 'pg-b']);
    const [a, b] = [made.member(0), made.member(1)];
    await a.driver.found(forever());
    const before = await a.driver.footprint(forever());
    await expect(a.driver.clone(b.upstream, forever(), ignore)).rejects.toMatchObject({ code: 'CloneFailed' });
    expect(await a.driver.footprint(forever())).toEqual(before);
  });

  it('a rewind that died half way leaves a torn place, which neither starts nor is rewound again, and which a clone makes whole', async () => {
    const made = await open(['pg-a', 'pg-b']);
    const [a, b] = [made.member(0), made.member(1)];
    await made.openAll();
    await b.stop();
    writeFileSync(torn(b), 'rewind\n');
    expect(await b.driver.footprint(forever())).toEqual({ state: 'torn', by: 'rewind' });
    await expect(b.driver.launch('standby', settings(a))).rejects.toMatchObject({ code: 'DatabaseFailed' });
    expect(await b.driver.rewind(a.upstream, forever(), ignore)).toMatchObject({ outcome: 'impossible' });
    await b.driver.clone(a.upstream, forever(), ignore);
    expect(await b.driver.footprint(forever())).toMatchObject({ state: 'data' });
    await b.start('standby', a);
    await streams(b);
  });

  it('a rewind whose source does not answer may be tried again and leaves no mark', async () => {
    const made = await open(['pg-a', 'pg-b']);
    const [a, b] = [made.member(0), made.member(1)];
    await a.driver.found(forever());
    await expect(a.driver.rewind(b.upstream, forever(), ignore)).rejects.toMatchObject({ code: 'RewindFailed' });
    expect(await a.driver.footprint(forever())).toMatchObject({ state: 'data' });
  });

  it('a rewind to another system is impossible', async () => {
    const made = await open(['pg-a', 'pg-b']);
    const [a, b] = [made.member(0), made.member(1)];
    await a.driver.found(forever());
    await (await a.start('primary')).ensureAccounts();
    await b.driver.found(forever());
    expect(await b.driver.rewind(a.upstream, forever(), ignore)).toMatchObject({ outcome: 'impossible' });
    expect(await b.driver.footprint(forever())).toMatchObject({ state: 'data' });
  });

  it('a stale pid file that names a living process does not keep the database from starting; a running one is never launched again', async () => {
    const a = (await open(['pg-a'])).member(0);
    await a.driver.found(forever());
    writeFileSync(path.join(a.dataDir, 'postmaster.pid'), `${process.ppid}\n${a.dataDir}\n`);
    await a.start('primary');
    await expect(a.driver.launch('primary', settings())).rejects.toThrow(/runs/);
    expect((await a.live?.pulse())?.inRecovery).toBe(false);
  });

  it('a state directory too deep for a socket still has one', async () => {
    const made = await open(['pg-a']);
    const deep = path.join(made.root, 'x'.repeat(120));
    const a = made.member(0).movedTo(deep);
    await a.driver.found(forever());
    const live = await a.start('primary');
    expect((await live.pulse()).inRecovery).toBe(false);
    await a.stop();
  });

  it.skipIf(!root)('a mount point that is empty is cloned into in place; one that holds data is refused (needs root)', async () => {
    const made = await open(['pg-a', 'pg-b']);
    const [a, b] = [made.member(0), made.member(1)];
    await a.driver.found(forever());
    await (await a.start('primary')).ensureAccounts();
    mkdirSync(b.dataDir, { recursive: true });
    execaSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'understudy-test', b.dataDir]);
    try {
      await b.driver.clone(a.upstream, forever(), ignore);
      await b.start('standby', a);
      await streams(b);
      await b.stop();
      await expect(b.driver.clone(a.upstream, forever(), ignore)).rejects.toThrow(/mount point/);
      writeFileSync(torn(b), 'clone\n');
      expect(await b.driver.footprint(forever())).toEqual({ state: 'torn', by: 'clone' });
      await b.driver.clone(a.upstream, forever(), ignore);
      expect(await b.driver.footprint(forever())).toMatchObject({ state: 'data' });
    } finally {
      await b.stop('SIGQUIT');
      execaSync('umount', [b.dataDir]);
    }
  });

  it.skipIf(!root)('a directory that the account may not pass through is named (needs root)', async () => {
    const made = await open(['pg-a']);
    chownSync(made.root, 0, 0);
    execaSync('chmod', ['700', made.root]);
    await expect(made.member(0).driver.found(forever())).rejects.toThrow(/may not pass through/);
  });
});
