import dgram from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import dns from 'dns-packet';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findLost } from '../../src/stage/checker.ts';
import { resolveService } from '../../src/stage/resolve.ts';
import { WRITES_TABLE, runWriter } from '../../src/stage/writer.ts';
import type { WriterOptions } from '../../src/stage/writer.ts';
import { parseWriterLog } from '../../src/stage/writer-log.ts';
import { freePort, startPlainPostgres } from './plain-postgres.ts';
import type { PlainPostgres } from './plain-postgres.ts';

const RECORD = '_postgresql._tcp.orders.understudy.test.';

/** An authoritative server of one SRV record whose target can be changed. */
class OneName {
  port = 0;
  points: number | undefined;
  readonly #socket = dgram.createSocket('udp4');

  async start(): Promise<void> {
    this.#socket.on('message', (message, from) => {
      const { id, questions } = dns.decode(message);
      const [question] = questions ?? [];
      const answers: dns.Answer[] = [];
      if (question?.type === 'SRV' && this.points !== undefined)
        answers.push({ type: 'SRV', name: question.name, ttl: 1, data: { port: this.points, target: 'pg.understudy.test', priority: 0, weight: 0 } });
      if (question?.type === 'A') answers.push({ type: 'A', name: question.name, ttl: 60, data: '127.0.0.1' });
      this.#socket.send(
        dns.encode({ type: 'response', id: id ?? 0, flags: dns.AUTHORITATIVE_ANSWER, questions: questions ?? [], answers }),
        from.port,
        from.address,
      );
    });
    await new Promise<void>((resolve) => this.#socket.bind(0, '127.0.0.1', resolve));
    this.port = this.#socket.address().port;
  }

  end(): void {
    this.#socket.close();
  }
}

async function until(what: string, holds: () => boolean, limitMs = 15_000): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!holds()) {
    if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('the writer', () => {
  const name = new OneName();
  const dir = mkdtempSync(path.join(tmpdir(), 'understudy-writer-'));
  const servers: PlainPostgres[] = [];

  beforeAll(async () => {
    await name.start();
    servers.push(...(await Promise.all([startPlainPostgres(), startPlainPostgres()])));
  }, 60_000);
  afterAll(async () => {
    name.end();
    await Promise.all(servers.map((server) => server.end()));
    rmSync(dir, { recursive: true, force: true });
  });

  const [first, second] = [() => servers[0] as PlainPostgres, () => servers[1] as PlainPostgres];
  const read = (logFile: string) => parseWriterLog(readFileSync(logFile, 'utf8'));
  const options = (logFile: string, over: Partial<WriterOptions> = {}): WriterOptions => ({
    by: path.basename(logFile, '.jsonl'),
    user: 'postgres',
    database: 'postgres',
    logFile,
    periodMs: 10,
    retryMs: 10,
    connectTimeoutMs: 300,
    queryTimeoutMs: 500,
    target: { find: 'by-name', dns: { host: '127.0.0.1', port: name.port }, record: RECORD },
    ...over,
  });

  it('waits for a name that points to nobody yet, writes where it points, and notes every acknowledgement', async () => {
    const logFile = path.join(dir, 'named.jsonl');
    const stop = new AbortController();
    let started = false;
    const writing = runWriter(options(logFile), stop.signal, () => (started = true));
    await until('it has asked in vain', () => readFileSync(logFile, 'utf8').includes('no SRV record'));
    expect(started).toBe(false);
    name.points = first().port;
    await until('50 acknowledged', () => read(logFile).acknowledged.length >= 50);
    stop.abort();
    await writing;
    const log = read(logFile);
    expect(log.endNs).toBeDefined();
    expect(new Set(log.acknowledged.map((write) => write.port))).toEqual(new Set([first().port]));
    expect(await lostOn(first().port, log.acknowledged)).toEqual([]);
    // 100 a second is its pace: never more, whatever the machine allows.
    expect(log.acknowledged.length / (((log.endNs ?? 0) - (log.acknowledged[0]?.ns ?? 0)) / 1e9)).toBeLessThan(120);
  }, 30_000);

  it('holds a pinned connection to a frozen server, and notes what that acknowledges when it wakes', async () => {
    const logFile = path.join(dir, 'pinned.jsonl');
    const stop = new AbortController();
    const { queryTimeoutMs: _none, ...without } = options(logFile);
    const writing = runWriter({ ...without, target: { find: 'pinned', server: { host: '127.0.0.1', port: first().port } } }, stop.signal, () => undefined);
    await until('it writes', () => read(logFile).acknowledged.length >= 5);
    const backend = await backendOf(first().port, 'writer-pinned');
    process.kill(backend, 'SIGSTOP');
    const atStop = read(logFile).attempts;
    await until('a write hangs', () => read(logFile).attempts >= read(logFile).acknowledged.length + 1 || read(logFile).attempts > atStop);
    const frozen = read(logFile);
    expect(frozen.unknown).toEqual([]);
    process.kill(backend, 'SIGCONT');
    await until('it goes on', () => read(logFile).acknowledged.length >= frozen.acknowledged.length + 5);
    stop.abort();
    await writing;
    expect(read(logFile).unknown).toEqual([]);
  }, 30_000);

  it('stays with a server that refuses to write, so as to be there should it wrongly agree', async () => {
    const logFile = path.join(dir, 'refused.jsonl');
    await query(first().port, 'alter role postgres set default_transaction_read_only = on');
    const stop = new AbortController();
    const writing = runWriter(
      { ...options(logFile), target: { find: 'pinned', server: { host: '127.0.0.1', port: first().port } } },
      stop.signal,
      () => undefined,
    );
    await until('it is refused', () => read(logFile).unknown.length >= 5);
    stop.abort();
    await writing;
    await query(first().port, 'begin; set transaction read write; alter role postgres reset default_transaction_read_only; commit');
    expect(read(logFile).acknowledged).toEqual([]);
    expect(readFileSync(logFile, 'utf8').match(/"k":"link"/g)).toHaveLength(1);
  }, 30_000);

  it('ends in time though its write hangs on a frozen server', async () => {
    const logFile = path.join(dir, 'stuck.jsonl');
    const stop = new AbortController();
    const { queryTimeoutMs: _none, ...without } = options(logFile);
    const writing = runWriter({ ...without, target: { find: 'pinned', server: { host: '127.0.0.1', port: first().port } } }, stop.signal, () => undefined);
    await until('it writes', () => read(logFile).acknowledged.length >= 1);
    const backend = await backendOf(first().port, 'writer-stuck');
    process.kill(backend, 'SIGSTOP');
    await until('a write hangs', () => read(logFile).attempts > read(logFile).acknowledged.length);
    stop.abort();
    await writing;
    process.kill(backend, 'SIGCONT');
    expect(read(logFile).unknown).toHaveLength(1);
  }, 30_000);

  it('leaves the write in flight unknown when its server dies, and goes on where the name points then', async () => {
    const logFile = path.join(dir, 'moved.jsonl');
    // Two servers of one group would share it.
    await query(second().port, `create table ${WRITES_TABLE} (by text, id bigint, at timestamptz default now())`);
    name.points = first().port;
    const stop = new AbortController();
    const writing = runWriter(options(logFile), stop.signal, () => undefined);
    await until('it writes', () => read(logFile).acknowledged.length >= 20);
    process.kill(first().pid, 'SIGKILL');
    await until('it has lost its server', () => readFileSync(logFile, 'utf8').includes('unlinked'));
    name.points = second().port;
    await until('it writes to the second', () => read(logFile).acknowledged.filter((write) => write.port === second().port).length >= 20);
    stop.abort();
    await writing;
    const log = read(logFile);
    expect(log.unknown.length).toBeGreaterThanOrEqual(1);
    expect(log.attempts).toBe(log.acknowledged.length + log.unknown.length);
    const onSecond = log.acknowledged.filter((write) => write.port === second().port);
    expect(await lostOn(second().port, onSecond)).toEqual([]);
    // What the first had acknowledged is not on the second: the checker must say so.
    expect(await lostOn(second().port, log.acknowledged)).toHaveLength(log.acknowledged.length - onSecond.length);
  }, 30_000);

  it('is told at once that nobody listens where DNS should be, and in time that it is silent', async () => {
    await expect(resolveService({ host: '127.0.0.1', port: await freePort() }, RECORD, 2_000)).rejects.toThrow(/ECONNREFUSED/);
    const silent = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => silent.bind(0, '127.0.0.1', resolve));
    await expect(resolveService({ host: '127.0.0.1', port: silent.address().port }, RECORD, 50)).rejects.toThrow(/within 50 ms/);
    silent.close();
  });
});

async function query<T extends pg.QueryResultRow>(port: number, text: string, values: unknown[] = []): Promise<T[]> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    return (await client.query<T>(text, values)).rows;
  } finally {
    await client.end();
  }
}

async function lostOn(port: number, acknowledged: Parameters<typeof findLost>[0]) {
  const rows = await query<{ by: string; id: string }>(port, `select by, id from ${WRITES_TABLE}`);
  return findLost(
    acknowledged,
    rows.map(({ by, id }) => ({ by, id: Number(id) })),
  );
}

async function backendOf(port: number, application: string): Promise<number> {
  const [found] = await query<{ pid: number }>(port, 'select pid from pg_stat_activity where application_name = $1', [application]);
  if (found === undefined) throw new Error(`no backend of ${application}`);
  return found.pid;
}
