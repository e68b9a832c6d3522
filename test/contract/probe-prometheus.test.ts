import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openProbe } from '../../src/probes/index.ts';
import type { Look } from '../../src/probes/probe.ts';
import { describeWithPart, program } from '../support/part.ts';
import { freePort, until } from '../support/postgres.ts';
import { flood, listen, startTcp } from '../support/probe-servers.ts';
import type { ProbeServer } from '../support/probe-servers.ts';

const never = new AbortController().signal;

async function look(port: number, query: string, timeoutMs = 10_000, signal = never): Promise<Look> {
  const probe = openProbe({ type: 'prometheus', url: `http://127.0.0.1:${port}/`, query, timeoutMs }, () => '');
  try {
    return await probe.look(signal);
  } finally {
    await probe.close();
  }
}

describeWithPart(program('prometheus', 'prometheus'), 'the prometheus probe', (paths) => {
  const dir = mkdtempSync(path.join(tmpdir(), 'understudy-probe-'));
  let server: ChildProcess;
  let port: number;

  beforeAll(async () => {
    port = await freePort();
    const config = path.join(dir, 'prometheus.yml');
    writeFileSync(config, `scrape_configs:\n  - job_name: self\n    scrape_interval: 200ms\n    static_configs: [{ targets: ['127.0.0.1:${port}'] }]\n`);
    const args = [`--config.file=${config}`, `--storage.tsdb.path=${path.join(dir, 'data')}`, `--web.listen-address=127.0.0.1:${port}`];
    server = spawn(paths['prometheus']!, args, { stdio: 'ignore' });
    await until('prometheus has scraped itself', async () => (await look(port, 'up{job="self"}')).outcome === 'up', 50_000);
  });
  afterAll(async () => {
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true });
  });

  const table: [query: string, expected: object][] = [
    ['up{job="self"}', { outcome: 'up', value: 1, latencyMs: expect.any(Number) }],
    ['scalar(vector(2.5))', { outcome: 'up', value: 2.5 }],
    ['absent_series', { outcome: 'unknown', words: expect.stringContaining('no such series') }],
    ['prometheus_http_requests_total', { outcome: 'unknown', words: expect.stringContaining('where one is needed') }],
    ['vector(0) / 0', { outcome: 'unknown', words: expect.stringContaining('NaN') }],
    ['"text"', { outcome: 'unknown' }],
    ['up[5m]', { outcome: 'unknown' }],
    ['sum(', { outcome: 'unknown', words: expect.stringContaining('answered 400') }],
  ];
  it.each(table)('%s', async (query, expected) => {
    expect(await look(port, query)).toMatchObject(expected);
  });
});

describe('I3: where Prometheus does not answer, nobody is down', () => {
  const servers: ProbeServer[] = [];
  const kept = async (server: Promise<ProbeServer>): Promise<ProbeServer> => {
    servers.push(await server);
    return server;
  };
  afterEach(async () => {
    for (const server of servers) await until('nothing stays open', () => server.open() === 0);
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  it('a closed port, garbage, an error page and 10 MB are unknown', async () => {
    expect(await look(await freePort(), 'up')).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('ECONNREFUSED') });
    const garbage = await kept(startTcp((socket) => socket.write('garbage\r\n\r\n')));
    expect(await look(garbage.port, 'up')).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('not HTTP') });
    const page = await kept(listen(createServer((_request, response) => void response.writeHead(502).end('<html>'))));
    expect(await look(page.port, 'up')).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('answered 502') });
    const long = await kept(listen(createServer((_request, response) => flood(response))));
    expect(await look(long.port, 'up')).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('larger than 1 MB') });
  });

  it('no answer in time, and a look that is aborted, are unknown', async () => {
    const silent = await kept(startTcp());
    expect(await look(silent.port, 'up', 150)).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('no answer in 150 ms') });
    await until('it is closed', () => silent.open() === 0);
    const stop = new AbortController();
    const looking = look(silent.port, 'up', 60_000, stop.signal);
    await until('it is connected', () => silent.open() === 1);
    stop.abort();
    expect(await looking).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('stopped') });
  });
});
