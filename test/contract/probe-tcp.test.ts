import { afterEach, describe, expect, it } from 'vitest';
import type { TcpProbeConfig } from '../../src/model/probe.ts';
import { openProbe } from '../../src/probes/index.ts';
import type { Look } from '../../src/probes/probe.ts';
import { freePort, until } from '../support/postgres.ts';
import { flood, startTcp } from '../support/probe-servers.ts';
import type { ProbeServer } from '../support/probe-servers.ts';

const servers: ProbeServer[] = [];
const never = new AbortController().signal;

async function serve(...args: Parameters<typeof startTcp>): Promise<ProbeServer> {
  const server = await startTcp(...args);
  servers.push(server);
  return server;
}

function look(port: number, values: Partial<TcpProbeConfig> = {}, signal = never): Promise<Look> {
  const probe = openProbe({ type: 'tcp', host: '127.0.0.1', port, timeoutMs: 10_000, ...values }, () => '');
  return probe.look(signal);
}

describe('the tcp probe', () => {
  afterEach(async () => {
    for (const server of servers) await until('nothing stays open', () => server.open() === 0);
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  it('a server that takes connections is up, with a latency', async () => {
    const { port } = await serve();
    expect(await look(port)).toEqual({ outcome: 'up', latencyMs: expect.any(Number) });
  });

  it('what is sent arrives, and what is expected may come in pieces', async () => {
    const { port } = await serve((socket) => {
      socket.once('data', (words: Buffer) => {
        socket.write(`echo ${words.toString().slice(0, 2)}`);
        setImmediate(() => socket.write(words.toString().slice(2)));
      });
    });
    expect(await look(port, { send: 'hello', expect: 'echo hello' })).toMatchObject({ outcome: 'up' });
  });

  it('a server that closes, or says something else at length, is down', async () => {
    const closing = await serve((socket) => socket.end('bye'));
    expect(await look(closing.port, { expect: 'hello' })).toMatchObject({ outcome: 'down', words: expect.stringContaining('closed') });
    const talking = await serve(flood);
    expect(await look(talking.port, { expect: 'hello' })).toMatchObject({ outcome: 'down', words: expect.stringContaining('first 64 kB') });
  });

  it('a server that never answers is down when the timeout is over', async () => {
    const { port } = await serve();
    const found = await look(port, { expect: 'hello', timeoutMs: 150 });
    expect(found).toMatchObject({ outcome: 'down', words: 'no answer in 150 ms (connected)' });
    expect(found.outcome === 'down' && found.latencyMs).toBeGreaterThanOrEqual(149);
  });

  it('a closed port is down at once', async () => {
    expect(await look(await freePort(), { timeoutMs: 60_000 })).toMatchObject({ outcome: 'down', words: expect.stringContaining('ECONNREFUSED') });
  });

  it('a name that does not exist is down, or unknown where the resolver cannot tell, and never up', async () => {
    expect((await look(80, { host: 'nobody.invalid' })).outcome).toMatch(/^(down|unknown)$/);
  });

  it('I3: an address that this host may not send to is unknown', async () => {
    expect(await look(80, { host: '255.255.255.255' })).toMatchObject({ outcome: 'unknown', words: expect.stringMatching(/EACCES|ENETUNREACH/) });
  });

  it('I3: a look that is aborted is unknown, before it begins and while it waits', async () => {
    const server = await serve();
    expect(await look(server.port, {}, AbortSignal.abort())).toMatchObject({ outcome: 'unknown' });
    const stop = new AbortController();
    const looking = look(server.port, { expect: 'hello', timeoutMs: 60_000 }, stop.signal);
    await until('it is connected', () => server.open() === 1);
    stop.abort();
    expect(await looking).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('stopped') });
  });

  it('I3: a process that was held up past the timeout says unknown, not down', async () => {
    const { port } = await serve();
    const looking = look(port, { expect: 'hello', timeoutMs: 50 });
    const endMs = performance.now() + 400;
    while (performance.now() < endMs);
    expect(await looking).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('held up') });
  });
});
