import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import type { RedisProbeConfig } from '../../src/model/probe.ts';
import { openProbe } from '../../src/probes/index.ts';
import type { Look } from '../../src/probes/probe.ts';
import { describeWithPart, program } from '../support/part.ts';
import { freePort, until } from '../support/postgres.ts';
import { flood, startTcp } from '../support/probe-servers.ts';
import type { ProbeServer } from '../support/probe-servers.ts';

const never = new AbortController().signal;
const servers: ProbeServer[] = [];
const SECRETS: Readonly<Record<string, string>> = { GOOD: 'a password', BAD: 'another' };

async function serve(...args: Parameters<typeof startTcp>): Promise<ProbeServer> {
  const server = await startTcp(...args);
  servers.push(server);
  return server;
}

const look = (port: number, values: Partial<RedisProbeConfig> = {}, signal = never): Promise<Look> =>
  openProbe({ type: 'redis', host: '127.0.0.1', port, expect: 'any', timeoutMs: 10_000, ...values }, (ref) => {
    const secret = 'env' in ref ? SECRETS[ref.env] : undefined;
    if (secret === undefined) throw new UnderstudyError('SecretMissing', 'the secret is not there');
    return secret;
  }).look(signal);

describeWithPart(program('redis-server', 'redis-server'), 'the redis probe', (paths) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'understudy-probe-'));
  const processes: ChildProcess[] = [];
  let [primary, standby] = [0, 0];

  const start = (port: number, ...more: string[]): void => {
    const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--dir', dir, ...more];
    processes.push(spawn(paths['redis-server']!, args, { stdio: 'ignore' }));
  };

  beforeAll(async () => {
    [primary, standby] = [await freePort(), await freePort()];
    start(primary, '--requirepass', SECRETS['GOOD']!);
    start(standby, '--replicaof', '127.0.0.1', `${primary}`, '--masterauth', SECRETS['GOOD']!);
    await until('the primary is up', async () => (await look(primary, { password: { env: 'GOOD' } })).outcome === 'up');
    await until('the standby is up', async () => (await look(standby)).outcome === 'up');
  });
  afterAll(async () => {
    for (const process of processes) {
      const ended = once(process, 'exit');
      process.kill('SIGKILL');
      await ended;
    }
    rmSync(dir, { recursive: true });
  });

  it('a primary and a standby are up where they are expected, and down where the other is', async () => {
    expect(await look(primary, { password: { env: 'GOOD' } })).toEqual({ outcome: 'up', latencyMs: expect.any(Number) });
    expect(await look(primary, { password: { env: 'GOOD' }, user: 'default', expect: 'primary' })).toMatchObject({ outcome: 'up', words: 'primary' });
    expect(await look(standby, { expect: 'standby' })).toMatchObject({ outcome: 'up', words: 'standby' });
    expect(await look(standby, { expect: 'primary' })).toMatchObject({ outcome: 'down', words: expect.stringContaining('is a standby, not a primary') });
  });

  it('I3: a password that is missing, wrong or cannot be read is our own trouble', async () => {
    expect(await look(primary)).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('NOAUTH') });
    expect(await look(primary, { password: { env: 'BAD' } })).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('WRONGPASS') });
    expect(await look(primary, { password: { env: 'NONE' } })).toMatchObject({ outcome: 'unknown', words: 'the secret is not there' });
  });
});

describe('the redis probe where no Redis answers', () => {
  afterEach(async () => {
    for (const server of servers) await until('nothing stays open', () => server.open() === 0);
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  it('a closed port, one that hangs up, an error and what is not Redis are down', async () => {
    expect(await look(await freePort())).toMatchObject({ outcome: 'down', words: expect.stringContaining('ECONNREFUSED') });
    const table: [answer: Parameters<typeof startTcp>[0], words: string][] = [
      [(socket) => socket.end(), 'closed the connection'],
      [(socket) => socket.write('-LOADING Redis is loading the dataset in memory\r\n'), 'answered LOADING'],
      [(socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), 'not Redis'],
      [flood, 'not Redis'],
    ];
    for (const [answer, words] of table) {
      expect(await look((await serve(answer)).port)).toMatchObject({ outcome: 'down', words: expect.stringContaining(words) });
    }
  });

  it('an answer in pieces is read whole', async () => {
    const { port } = await serve((socket) => {
      socket.write('+PO');
      setImmediate(() => socket.write('NG\r\n*3\r\n$6\r\nmast'));
      setTimeout(() => socket.write('er\r\n:0\r\n*0\r\n'), 5);
    });
    expect(await look(port, { expect: 'primary' })).toMatchObject({ outcome: 'up' });
  });

  it('a server that never answers is down when the timeout is over; a look that is aborted is unknown', async () => {
    const server = await serve();
    expect(await look(server.port, { timeoutMs: 150 })).toMatchObject({ outcome: 'down', words: 'no answer in 150 ms (waiting for the answer)' });
    await until('it is closed', () => server.open() === 0);
    const stop = new AbortController();
    const looking = look(server.port, { timeoutMs: 60_000 }, stop.signal);
    await until('it is connected', () => server.open() === 1);
    stop.abort();
    expect(await looking).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('stopped') });
  });
});
