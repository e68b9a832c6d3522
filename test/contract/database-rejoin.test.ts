import { spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { execaSync } from 'execa';
import { afterEach, expect, it } from 'vitest';
import { cannotFollow, rejoin } from '../../src/agent/rejoin.ts';
import { compareLsn } from '../../src/model/lsn.ts';
import { TestGroup, describePostgres, forever, settings, streams, until, type TestMember } from '../support/postgres.ts';

const root = process.geteuid?.() === 0;
const own = (file: string): void => void (root && execaSync('chown', ['-R', 'postgres:postgres', file]));

describePostgres('each state that a crash, or a person, can leave behind ends in a standby that is one', (bin) => {
  let group: TestGroup | undefined;
  afterEach(async () => {
    await group?.close();
    group = undefined;
  }, 60_000);

  async function open(overrides = {}): Promise<[TestMember, TestMember]> {
    group = await TestGroup.make(bin, ['pg-a', 'pg-b'], overrides);
    await group.openAll();
    const [a, b] = [group.member(0), group.member(1)];
    await a.sql('create table seen (n int)');
    await a.sql('insert into seen select generate_series(1, 1000)');
    await caughtUp(a, b);
    return [a, b];
  }

  /** pg-a is lost with a write of its own, pg-b is promoted. */
  async function diverge(a: TestMember, b: TestMember): Promise<void> {
    await b.live?.detach(settings());
    await a.sql('insert into seen select generate_series(5001, 6000)');
    await a.stop('SIGKILL');
    await b.live?.promote(10_000);
    await b.live?.slots([a.spec.name]);
    await b.live?.checkpoint();
    await b.sql('insert into seen values (7001)');
  }

  async function caughtUp(from: TestMember, to: TestMember): Promise<void> {
    const lsn = (await from.live?.mark(5000)) ?? 'F/0';
    await until(`${to.spec.name} replays ${lsn}`, async () => compareLsn((await to.live?.pulse())?.replayedLsn ?? '0/0', lsn) >= 0);
  }

  const digest = async (member: TestMember): Promise<unknown> =>
    (await member.sql('select count(*)::int as n, sum(n)::text as sum, pg_is_in_recovery() as copy from seen'))[0];

  /** Rejoins as an agent would, and looks whether what came of it is what it says. @returns the phases on the way */
  async function comesBack(member: TestMember, upstream: TestMember, stuck?: string): Promise<string[]> {
    const phases: string[] = [];
    const enter = (phase: string): void => void (phases.at(-1) === phase || phases.push(phase));
    await rejoin({
      driver: member.driver,
      member: member.spec.name,
      upstream: upstream.upstream,
      signal: forever(),
      enter,
      ...(stuck === undefined ? {} : { stuck }),
    });
    await member.start('standby', upstream);
    await streams(member);
    await caughtUp(upstream, member);
    expect(await digest(member)).toEqual({ ...((await digest(upstream)) as object), copy: true });
    expect((await upstream.live?.pulse())?.followers).toMatchObject([{ name: member.spec.name, state: 'streaming', holdsSlot: true }]);
    for (const left of ['clone-1', 'clone-ready', 'clone-old']) expect(existsSync(`${member.dataDir}.${left}`)).toBe(false);
    return phases;
  }

  it('a member promoted after another that it never followed takes a later timeline than that one, which is rewound to it', async () => {
    const [a, b] = await open();
    await b.live?.detach(settings());
    await a.stop('SIGKILL');
    // What pg-a would have become, had it been promoted: here it is only told of.
    const place = (await b.live?.pulse())?.flushedLsn ?? '0/0';
    const promoted = await b.live?.promote(10_000, { timeline: 2, from: { timeline: 1, lsn: place } });
    expect(promoted).toMatchObject({ outcome: 'promoted', timeline: 3 });
    await b.live?.slots([a.spec.name]);
    await b.live?.checkpoint();
    await b.sql('insert into seen values (7001)');
    await comesBack(a, b);
  });

  it('a marker that was taken away: it is still a copy, is opened by nobody, and follows', async () => {
    const [a, b] = await open();
    for (const how of ['SIGINT', 'SIGKILL'] as const) {
      await b.stop(how);
      rmSync(path.join(b.dataDir, 'standby.signal'));
      expect(await b.driver.footprint(forever())).toMatchObject({ state: 'data', standby: true });
      await expect(b.driver.launch('primary', settings())).rejects.toMatchObject({ code: 'NotInRecovery' });
      expect(await comesBack(b, a)).toEqual([]);
    }
  });

  it("a backup's label: what was copied by hand is a copy, is opened by nobody, and follows", async () => {
    const [a, b] = await open();
    await b.stop();
    rmSync(b.dataDir, { recursive: true });
    execaSync(path.join(bin, 'pg_basebackup'), [
      '-h',
      '127.0.0.1',
      '-p',
      String(a.spec.port),
      '-U',
      'replicator',
      '-D',
      b.dataDir,
      '-X',
      'stream',
      '-c',
      'fast',
    ]);
    own(b.dataDir);
    expect(existsSync(path.join(b.dataDir, 'backup_label'))).toBe(true);
    expect(await b.driver.footprint(forever())).toMatchObject({ state: 'data', standby: true });
    await expect(b.driver.launch('primary', settings())).rejects.toMatchObject({ code: 'NotInRecovery' });
    expect(await comesBack(b, a)).toEqual([]);
  });

  it('another system: refused, and left as it is', async () => {
    const [a, b] = await open();
    await b.stop();
    rmSync(b.dataDir, { recursive: true });
    await b.driver.found(forever());
    const before = await b.driver.footprint(forever());
    const enter = (): void => {};
    await expect(rejoin({ driver: b.driver, member: 'pg-b', upstream: a.upstream, signal: forever(), enter })).rejects.toMatchObject({
      code: 'ForeignDatabase',
    });
    await expect(rejoin({ driver: b.driver, member: 'pg-b', upstream: a.upstream, signal: forever(), enter, stuck: 'asked' })).rejects.toMatchObject({
      code: 'ForeignDatabase',
    });
    expect(await b.driver.footprint(forever())).toEqual(before);
  });

  it('a log on a disk of its own: a rewind and two clones keep it there, and leave nothing of the old one', async () => {
    const [a, b] = await open();
    await a.stop();
    const logs = path.join(group?.root ?? '', 'logs');
    mkdirSync(logs);
    renameSync(path.join(a.dataDir, 'pg_wal'), path.join(logs, 'pg_wal'));
    symlinkSync(path.join(logs, 'pg_wal'), path.join(a.dataDir, 'pg_wal'));
    own(logs);
    await a.start('primary');
    await streams(b);
    await diverge(a, b);
    expect(await comesBack(a, b)).toEqual(['rewinding']);
    expect(realpathSync(path.join(a.dataDir, 'pg_wal'))).toBe(path.join(logs, 'pg_wal'));
    writeFileSync(path.join(logs, 'pg_wal', 'notes.txt'), "the operator's");
    for (const place of ['understudy-wal-1', 'understudy-wal-2']) {
      await a.stop();
      expect(await comesBack(a, b, 'asked for')).toEqual(['cloning']);
      expect(realpathSync(path.join(a.dataDir, 'pg_wal'))).toBe(path.join(logs, 'pg_wal', place));
      expect(readdirSync(path.join(logs, 'pg_wal')).sort()).toEqual(['notes.txt', place]);
    }
  });

  it('tablespaces: a copy brings its own beside the data directory, whoever it is copied from, and the next one leaves nothing of the last', async () => {
    const [a, b] = await open();
    const space = path.join(group?.root ?? '', 'space=1');
    mkdirSync(space);
    own(space);
    await b.stop();
    await a.sql(`create tablespace fast location '${space}'`);
    await a.sql('create table roomy tablespace fast as select generate_series(1, 100) as n');
    const places = (member: TestMember): string[] => (existsSync(`${member.dataDir}.tablespaces`) ? readdirSync(`${member.dataDir}.tablespaces`) : []);
    for (const n of [1, 2]) {
      expect(await comesBack(b, a, 'asked for')).toEqual(['cloning']);
      expect(places(b)).toHaveLength(1);
      expect(places(b)[0]).toMatch(new RegExp(`^\\d+-${n}$`));
      expect(await b.sql('select count(*)::int as n from roomy')).toEqual([{ n: 100 }]);
      if (n === 1) await b.stop();
    }
    await diverge(a, b);
    expect(await comesBack(a, b)).toEqual(['rewinding']);
    await a.stop();
    expect(await comesBack(a, b, 'asked for')).toEqual(['cloning']);
    expect(places(a)).toHaveLength(1);
    expect(await a.sql('select count(*)::int as n from roomy')).toEqual([{ n: 100 }]);
    const link = path.join(b.dataDir, 'pg_tblspc', readdirSync(path.join(b.dataDir, 'pg_tblspc'))[0] ?? '');
    expect(lstatSync(link).isSymbolicLink() && readlinkSync(link).startsWith(`${b.dataDir}.tablespaces/`)).toBe(true);
  });

  it('files that somebody put there: a rewind and a clone take them away, and settings stay', async () => {
    const [a, b] = await open();
    await diverge(a, b);
    mkdirSync(path.join(a.dataDir, 'old-dump'));
    writeFileSync(path.join(a.dataDir, 'old-dump', 'x.sql'), 'x');
    own(path.join(a.dataDir, 'old-dump'));
    a.appendConf('postgresql.conf', "\nwork_mem = '7MB'\n");
    expect(await comesBack(a, b)).toEqual(['rewinding']);
    expect(existsSync(path.join(a.dataDir, 'old-dump'))).toBe(false);
    expect(await a.sql('show work_mem')).toEqual([{ work_mem: '7MB' }]);
  });

  it('a lost place: the log of a member that was away for too much of it is let go, the primary says so, and the member is copied anew', async () => {
    const [a, b] = await open({ maxWalKeptBytes: 4 * 2 ** 20 });
    await b.stop();
    for (let i = 0; i < 12; i += 1) {
      await a.sql('insert into seen select generate_series(1, 20000)');
      await a.sql('select pg_switch_wal()');
    }
    await a.sql('checkpoint');
    await until('its log is let go', async () => (await a.live?.pulse())?.letGo?.includes('pg-b'));
    expect((await a.live?.look())?.slots).toMatchObject([{ name: 'understudy_pg_b', lost: true }]);
    const live = await b.start('standby', a);
    const { timeline, flushedLsn: lsn } = await live.pulse();
    const ask = { driver: b.driver, upstream: a.upstream, timeline, lsn, signal: forever() };
    expect(await cannotFollow({ ...ask, before: undefined })).toBeUndefined();
    const standing = await cannotFollow({ ...ask, before: lsn });
    expect(standing).toMatchObject({ how: 'clone', why: expect.stringContaining('it has lost its place: its log was let go') as string });
    // Each try is connected for a moment before it is refused.
    for (let i = 0; i < 100; i += 1) expect((await live.pulse()).receiver).not.toMatchObject({ state: 'streaming', heard: true });
    await b.stop();
    expect(await comesBack(b, a, standing?.why)).toEqual(['cloning']);
    expect((await a.live?.pulse())?.letGo).toEqual([]);
  });

  it.skipIf(!root)(
    'a disk without room for a copy: shown as stuck with its reason, freed again at once, and copied once there is room (needs root to mount one)',
    async () => {
      const [a, b] = await open();
      await b.stop();
      rmSync(path.dirname(b.dataDir), { recursive: true });
      mkdirSync(path.dirname(b.dataDir));
      execaSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'understudy-test', path.dirname(b.dataDir)]);
      try {
        mkdirSync(b.stateDir);
        const told: string[] = [];
        const coming = rejoin({
          driver: b.driver,
          member: 'pg-b',
          upstream: a.upstream,
          signal: forever(),
          enter: (phase, words) => void told.push(`${phase}: ${words}`),
        });
        const stuck = await until('it is stuck', () => told.find((words) => words.startsWith('stuck')), 60_000);
        expect(stuck).toMatch(/clone 3 failed.*No space left on device/);
        expect(existsSync(`${b.dataDir}.clone-1`)).toBe(false);
        expect((await b.driver.footprint(forever())).state).toBe('empty');
        execaSync('mount', ['-o', 'remount,size=400m', path.dirname(b.dataDir)]);
        await coming;
        await b.start('standby', a);
        await streams(b);
      } finally {
        await b.stop('SIGQUIT');
        execaSync('umount', [path.dirname(b.dataDir)]);
      }
    },
  );

  /** An agent of its own process, as far as one act goes; it is killed as soon as a line of its progress matches. */
  async function killedWhile(act: 'clone' | 'rewind', member: TestMember, upstream: TestMember, line: RegExp): Promise<string> {
    const script = `
      import { openDriver } from ${JSON.stringify(path.resolve('dist/src/database/index.js'))};
      import { pino } from ${JSON.stringify(path.resolve('node_modules/pino/pino.js'))};
      const { options, upstream } = ${JSON.stringify({
        options: {
          group: 'orders',
          member: member.spec,
          members: [member.spec, upstream.spec],
          local: { dataDir: member.dataDir, stateDir: member.stateDir },
          postgres: {
            superuser: { user: 'postgres' },
            replication: { user: 'replicator' },
            maintenanceDatabase: 'postgres',
            auth: 'trust',
            maxWalKeptBytes: 2 ** 28,
            failoverSlots: true,
          },
          binDir: bin,
        },
        upstream: upstream.upstream,
      })};
      const driver = openDriver('postgres', { ...options, resolveSecret: () => '', log: pino({ level: 'silent' }) });
      await driver.${act}(upstream, AbortSignal.timeout(60000), (words) => console.log(words));
      console.log('whole');`;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let heard = '';
    agent.stdout.on('data', (chunk: Buffer) => {
      heard += chunk.toString();
      if (line.test(heard)) agent.kill('SIGKILL');
    });
    await new Promise((resolve) => agent.once('close', resolve));
    expect(heard).toMatch(line);
    // The second process of a copy outlives it, until the next copy ends it.
    if (act === 'rewind') await until('none of its programs is left at work', () => !programsOn(member.dataDir));
    return heard;
  }

  /** Whether one of the programs that write to a data directory is at work on it. */
  function programsOn(dataDir: string): boolean {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .some((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
          return /pg_(rewind|basebackup)$/.test(words[0] ?? '') && words.some((word) => word.startsWith(dataDir));
        } catch (error) {
          if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
          throw error;
        }
      });
  }

  it('an agent that is killed at each point of a copy leaves nothing that disturbs the next one, which copies anew', async () => {
    const [a, b] = await open();
    await a.sql("create table bulk as select n, repeat('x', 900) as words from generate_series(1, 60000) as n");
    await b.stop();
    for (const line of [/copying pg-a to/, /checkpoint completed/, /\d+\/\d+ kB/, /waiting for background process/, /base backup completed/]) {
      await killedWhile('clone', b, a, line);
      expect(await b.driver.footprint(forever())).toMatchObject({ state: 'data', standby: true });
    }
    // The old data is whole, but its place in the log went with the copy, which used the same slot.
    expect(await comesBack(b, a, 'asked for')).toEqual(['cloning']);
    expect(programsOn(b.dataDir)).toBe(false);
  });

  it('an agent that is killed at each point of a rewind leaves what never starts until it was made whole', async () => {
    const [a, b] = await open();
    await diverge(a, b);
    await b.sql("create table bulk as select n, repeat('x', 900) as words from generate_series(1, 60000) as n");
    await b.live?.checkpoint();
    for (const line of [/winding back/, /servers diverged/, /need to copy/, /creating backup label/]) {
      await killedWhile('rewind', a, b, line);
      const footprint = await a.driver.footprint(forever());
      if (line.source === 'winding back' && footprint.state === 'data') continue;
      expect(footprint).toEqual({ state: 'torn', by: 'rewind' });
      await expect(a.driver.launch('standby', settings(b))).rejects.toMatchObject({ code: 'DatabaseFailed' });
      await expect(a.driver.launch('primary', settings())).rejects.toMatchObject({ code: 'DatabaseFailed' });
      if (line.source === 'creating backup label') break;
      // As if the mark alone had been left: the next point of the same rewind.
      rmSync(path.join(a.stateDir, 'database.torn'));
    }
    expect(await comesBack(a, b)).toEqual(['cloning']);
  });
});
