import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { PostgresProbeConfig } from '../../src/model/probe.ts';
import { openProbe } from '../../src/probes/index.ts';
import type { Look } from '../../src/probes/probe.ts';
import { describePostgres, freePort, TestGroup, until } from '../support/postgres.ts';
import { flood, startTcp } from '../support/probe-servers.ts';
import type { ProbeServer } from '../support/probe-servers.ts';

const never = new AbortController().signal;
const servers: ProbeServer[] = [];

async function serve(...args: Parameters<typeof startTcp>): Promise<ProbeServer> {
  const server = await startTcp(...args);
  servers.push(server);
  return server;
}

const look = (port: number, values: Partial<PostgresProbeConfig> = {}, signal = never): Promise<Look> =>
  openProbe(
    { type: 'postgres', host: '127.0.0.1', port, database: 'postgres', login: { user: 'postgres' }, expect: 'any', timeoutMs: 10_000, ...values },
    () => '',
  ).look(signal);

describePostgres('the postgres probe', (bin) => {
  let group: TestGroup;
  beforeAll(async () => {
    group = await TestGroup.make(bin, ['pg-a', 'pg-b']);
    await group.openAll();
  });
  afterAll(() => group.close());

  it('a primary and a standby are up where they are expected, and down where the other is', async () => {
    const [primary, standby] = [group.member(0).spec.port, group.member(1).spec.port];
    expect(await look(primary)).toEqual({ outcome: 'up', latencyMs: expect.any(Number), words: 'primary' });
    expect(await look(primary, { expect: 'primary' })).toMatchObject({ outcome: 'up' });
    expect(await look(standby, { expect: 'standby' })).toMatchObject({ outcome: 'up', words: 'standby' });
    expect(await look(standby, { expect: 'primary' })).toMatchObject({ outcome: 'down', words: expect.stringContaining('is a standby, not a primary') });
  });

  it('I3: an account that is refused is our own trouble; a database that is not there is down', async () => {
    const { port } = group.member(0).spec;
    expect(await look(port, { login: { user: 'nobody_here' } })).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('28000') });
    expect(await look(port, { database: 'none' })).toMatchObject({ outcome: 'down', words: expect.stringContaining('3D000') });
  });
});

describe('the postgres probe where no database answers', () => {
  afterEach(async () => {
    for (const server of servers) await until('nothing stays open', () => server.open() === 0);
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  it('a closed port, one that hangs up, and what is not PostgreSQL are down', async () => {
    expect(await look(await freePort())).toMatchObject({ outcome: 'down', words: expect.stringContaining('ECONNREFUSED') });
    expect(await look((await serve((socket) => socket.end())).port)).toMatchObject({
      outcome: 'down',
      words: expect.stringContaining('closed the connection'),
    });
    expect(await look((await serve((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))).port, { timeoutMs: 300 })).toMatchObject({ outcome: 'down' });
    expect(await look((await serve(flood)).port, { timeoutMs: 1000 })).toMatchObject({ outcome: 'down' });
  });

  it('a server that never answers is down when the timeout is over', async () => {
    expect(await look((await serve()).port, { timeoutMs: 150 })).toMatchObject({ outcome: 'down', words: 'no answer in 150 ms (signing in)' });
  });

  it('I3: an address that this host may not send to, and a look that is aborted, are unknown', async () => {
    expect(await look(5432, { host: '255.255.255.255' })).toMatchObject({ outcome: 'unknown' });
    const server = await serve();
    const stop = new AbortController();
    const looking = look(server.port, { timeoutMs: 60_000 }, stop.signal);
    await until('it is connected', () => server.open() === 1);
    stop.abort();
    expect(await looking).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('stopped') });
  });
});
