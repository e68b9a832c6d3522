import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { describe, it } from 'vitest';
import { pino } from 'pino';
import type { DatabaseDriver, LiveDatabase, Settings } from '../../src/database/driver.ts';
import { openDriver } from '../../src/database/index.ts';
import type { LaunchSpec } from '../../src/guard/messages.ts';
import type { MemberLocal, PostgresConfig } from '../../src/model/config.ts';
import type { CommitRule, MemberSpec } from '../../src/model/group.ts';
import { NO_RULE } from '../../src/model/group.ts';
import type { Upstream } from '../../src/model/member.ts';

/** Directories of PostgreSQL's programs: UNDERSTUDY_PG_BINS (separated by colons), else those that Debian has installed. */
export function postgresBins(): string[] {
  const named = process.env['UNDERSTUDY_PG_BINS'];
  if (named !== undefined && named !== '') return named.split(':');
  const debian = '/usr/lib/postgresql';
  if (!existsSync(debian)) return [];
  return readdirSync(debian)
    .filter((name) => /^\d+$/.test(name) && Number(name) >= 15 && Number(name) <= 18)
    .map((name) => path.join(debian, name, 'bin'))
    .filter((bin) => existsSync(path.join(bin, 'postgres')) && existsSync(path.join(bin, 'pg_rewind')));
}

/** The tests for each PostgreSQL that is here. Where there is none they are skipped with the reason; with CI=true that is a failure. */
export function describePostgres(title: string, define: (bin: string) => void): void {
  const bins = postgresBins();
  for (const bin of bins) describe(`${title} (${bin})`, { timeout: 120_000 }, () => define(bin));
  if (bins.length > 0) return;
  const why = 'needs package postgresql (no PostgreSQL 15 to 18 with pg_rewind was found)';
  describe(title, () => {
    if (process.env['CI'] !== 'true') return it.skip(`skipped: ${why}`, () => undefined);
    it(`skipped: ${why}`, () => {
      throw new Error(`${title}: ${why}; with CI=true every part must be there`);
    });
  });
}

/** Waits until the condition answers something; what it last threw is the reason where it never does. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = 20_000,
  everyMs = 10,
): Promise<T> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    let reason: unknown;
    try {
      const answer = await condition();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      reason = error;
    }
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms for: ${what}`, { cause: reason });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => (address === null || typeof address === 'string' ? reject(new Error('no port')) : resolve(address.port)));
    });
  });
}

export const forever = (): AbortSignal => AbortSignal.timeout(120_000);

/** One member with its driver; we are its guard. */
export class TestMember {
  readonly spec: MemberSpec;
  readonly driver: DatabaseDriver;
  readonly dataDir: string;
  readonly stateDir: string;
  readonly superuser: string;
  process: ChildProcess | undefined;
  live: LiveDatabase | undefined;
  #exited: Promise<void> = Promise.resolve();

  readonly #open: (local: MemberLocal) => DatabaseDriver;

  constructor(spec: MemberSpec, driver: DatabaseDriver, dataDir: string, stateDir: string, superuser: string, open: (local: MemberLocal) => DatabaseDriver) {
    this.#open = open;
    this.spec = spec;
    this.driver = driver;
    this.dataDir = dataDir;
    this.stateDir = stateDir;
    this.superuser = superuser;
  }

  /** The same member with its directories elsewhere. */
  movedTo(directory: string): TestMember {
    const local = { dataDir: path.join(directory, 'data'), stateDir: path.join(directory, 'state') };
    return new TestMember(this.spec, this.#open(local), local.dataDir, local.stateDir, this.superuser, this.#open);
  }

  get upstream(): Upstream {
    return { member: this.spec.name, host: this.spec.host, port: this.spec.port };
  }

  async start(role: 'primary' | 'standby', upstream?: TestMember, rule: CommitRule = NO_RULE): Promise<LiveDatabase> {
    this.spawn(await this.driver.launch(role, settings(upstream, rule)));
    return this.connect();
  }

  spawn(launch: LaunchSpec): void {
    const log = openSync(launch.logFile, 'a');
    const drop = launch.user === undefined ? [] : [`--reuid=${launch.user.uid}`, `--regid=${launch.user.gid}`, '--clear-groups'];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...drop, '--', ...launch.command], {
      env: launch.env,
      cwd: launch.cwd,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.process = child;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  async connect(): Promise<LiveDatabase> {
    this.live = await until(`${this.spec.name} lets us in; its log: ${path.join(this.stateDir, 'postgres.log')}`, async () => {
      if (this.process?.exitCode != null) throw new Error(`it ended: ${readFileSync(path.join(this.stateDir, 'postgres.log'), 'utf8').slice(-2000)}`);
      return this.driver.connect(forever());
    });
    return this.live;
  }

  /** All of the database's processes at once where it is a kill: each is in the postmaster's care, but nothing waits for that. */
  async stop(signal: 'SIGINT' | 'SIGQUIT' | 'SIGKILL' = 'SIGINT'): Promise<void> {
    await this.live?.close();
    this.live = undefined;
    if (this.process === undefined || this.process.exitCode !== null || this.process.signalCode !== null) return;
    const children = signal === 'SIGKILL' ? childrenOf(this.process.pid) : [];
    this.process.kill(signal);
    await this.#exited;
    for (const pid of children) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
    for (const pid of children)
      await until(`process ${pid} has ended`, () => !existsSync(`/proc/${pid}/exe`) || /\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8')));
  }

  /** Every process of the database: a stopped postmaster alone leaves its children at work. */
  signalAll(signal: 'SIGSTOP' | 'SIGCONT'): void {
    const pid = this.process?.pid;
    if (pid === undefined) throw new Error('it does not run');
    for (const one of [pid, ...childrenOf(pid)]) process.kill(one, signal);
  }

  async sql<Row extends QueryResultRow = Record<string, string>>(text: string, values: unknown[] = []): Promise<Row[]> {
    const client = new Client({ host: this.spec.host, port: this.spec.port, user: this.superuser, database: 'postgres', connectionTimeoutMillis: 5000 });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Row>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  readConf(name: string): string {
    return readFileSync(path.join(this.dataDir, name), 'utf8');
  }

  appendConf(name: string, text: string): void {
    appendFileSync(path.join(this.dataDir, name), text);
  }
}

export function settings(upstream?: TestMember, rule: CommitRule = NO_RULE, leaseMs = 1000): Settings {
  return { upstream: upstream?.upstream, rule, leaseMs };
}

function childrenOf(pid: number | undefined): number[] {
  if (pid === undefined) return [];
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);
}

/** Members of one group on loopback, in a fresh directory. */
export class TestGroup {
  readonly root: string;
  readonly members: readonly TestMember[];

  private constructor(root: string, members: readonly TestMember[]) {
    this.root = root;
    this.members = members;
  }

  static async make(binDir: string, names: readonly string[], overrides: Partial<PostgresConfig> = {}): Promise<TestGroup> {
    const root = mkdtempSync('/tmp/understudy-db-');
    chmodSync(root, 0o755);
    const postgres: PostgresConfig = {
      bin: binDir,
      superuser: { user: 'postgres' },
      replication: { user: 'replicator' },
      maintenanceDatabase: 'postgres',
      auth: 'trust',
      maxWalKeptBytes: 256 * 2 ** 20,
      failoverSlots: true,
      ...overrides,
    };
    const specs: MemberSpec[] = [];
    for (const name of names) specs.push({ name, host: '127.0.0.1', port: await freePort(), priority: 1 });
    const log = pino({ level: 'silent' });
    const members = specs.map((spec) => {
      const local = { dataDir: path.join(root, spec.name, 'data'), stateDir: path.join(root, spec.name, 'state') };
      mkdirSync(local.stateDir, { recursive: true });
      const open = (at: MemberLocal): DatabaseDriver =>
        openDriver('postgres', {
          group: 'orders',
          member: spec,
          members: specs,
          local: at,
          postgres,
          binDir,
          resolveSecret: (ref) => ('env' in ref ? (process.env[ref.env] ?? '') : readFileSync(ref.file, 'utf8')),
          log,
        });
      return new TestMember(spec, open(local), local.dataDir, local.stateDir, postgres.superuser.user, open);
    });
    return new TestGroup(root, members);
  }

  member(index: number): TestMember {
    const member = this.members[index];
    if (member === undefined) throw new RangeError(`no member ${index}`);
    return member;
  }

  /** The first founded and open as primary, the others cloned from it and streaming. */
  async openAll(rule: CommitRule = NO_RULE): Promise<void> {
    const first = this.member(0);
    await first.driver.found(forever());
    const live = await first.start('primary');
    await live.ensureAccounts();
    const others = this.members.slice(1);
    await live.slots(others.map(({ spec }) => spec.name));
    for (const other of others) {
      await other.driver.clone(first.upstream, forever(), () => {});
      await other.start('standby', first);
      await streams(other);
    }
    if (rule.count > 0) await live.settle(settings(undefined, rule));
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.stop('SIGQUIT');
    rmSync(this.root, { recursive: true, force: true });
  }
}

export async function streams(member: TestMember): Promise<void> {
  await until(`${member.spec.name} streams`, async () => (await member.live?.pulse())?.receiver.state === 'streaming');
}
