import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HttpProbeConfig } from '../../src/model/probe.ts';
import { openProbe } from '../../src/probes/index.ts';
import type { Look, Probe } from '../../src/probes/probe.ts';
import { Authority, OPENSSL } from '../support/certificates.ts';
import { describeWithPart } from '../support/part.ts';
import { freePort, until } from '../support/postgres.ts';
import { flood, listen, startTcp } from '../support/probe-servers.ts';
import type { ProbeServer } from '../support/probe-servers.ts';

const never = new AbortController().signal;
const probes: Probe[] = [];
const servers: ProbeServer[] = [];

async function kept(server: Promise<ProbeServer>): Promise<ProbeServer> {
  servers.push(await server);
  return server;
}
const serve = (answer: RequestListener): Promise<ProbeServer> => kept(listen(createServer(answer)));
const serveText = (text: string, status = 200): Promise<ProbeServer> => serve((_request, response) => void response.writeHead(status).end(text));

function open(port: number, values: Partial<HttpProbeConfig> = {}): Probe {
  const probe = openProbe({ type: 'http', url: `http://127.0.0.1:${port}/healthz`, timeoutMs: 10_000, ...values }, () => '');
  probes.push(probe);
  return probe;
}
const look = (port: number, values: Partial<HttpProbeConfig> = {}, signal = never): Promise<Look> => open(port, values).look(signal);

async function nothingStaysOpen(): Promise<void> {
  await Promise.all(probes.splice(0).map((probe) => probe.close()));
  for (const server of servers) await until('nothing stays open', () => server.open() === 0);
  await Promise.all(servers.splice(0).map((server) => server.stop()));
}

describe('the http probe', () => {
  afterEach(nothingStaysOpen);

  it('a success is up; its method, path and headers are those that were given', async () => {
    const { port } = await serve((request, response) => {
      const asked = `${request.method} ${request.url} ${request.headers.host} ${String(request.headers['x-ask'])}`;
      response.writeHead(asked === 'POST /healthz shop.test yes' ? 204 : 400).end();
    });
    expect(await look(port, { method: 'POST', headers: { host: 'shop.test', 'x-ask': 'yes' } })).toEqual({ outcome: 'up', latencyMs: expect.any(Number) });
    expect(await look(port)).toMatchObject({ outcome: 'down', words: `127.0.0.1:${port}: answered 400` });
  });

  const statuses: [status: number, wanted: HttpProbeConfig['status'], outcome: Look['outcome']][] = [
    [200, undefined, 'up'],
    [299, undefined, 'up'],
    [302, undefined, 'down'],
    [302, [302], 'up'],
    [404, [200, [400, 404]], 'up'],
    [405, [200, [400, 404]], 'down'],
    [503, undefined, 'down'],
  ];
  it.each(statuses)('status %i where %j is wanted is %s', async (status, wanted, outcome) => {
    const { port } = await serve((_request, response) => void response.writeHead(status, { location: '/elsewhere' }).end());
    expect((await look(port, wanted === undefined ? {} : { status: wanted })).outcome).toBe(outcome);
  });

  const bodies: [body: string, values: Partial<HttpProbeConfig>, expected: object][] = [
    ['all is well', { body: { contains: 'well', matches: '^all\\b' } }, { outcome: 'up' }],
    ['all is ill', { body: { contains: 'well' } }, { outcome: 'down', words: expect.stringContaining('does not contain "well"') }],
    ['not all', { body: { matches: '^all' } }, { outcome: 'down', words: expect.stringContaining('does not match') }],
    ['{"a":{"b":[1,"ok"]}}', { json: { path: 'a.b.1', equals: 'ok' } }, { outcome: 'up' }],
    ['{"a":null}', { json: { path: 'a', equals: null } }, { outcome: 'up' }],
    ['{"a":1}', { json: { path: 'a', equals: 2 } }, { outcome: 'down', words: expect.stringContaining('a is 1, not 2') }],
    ['{"a":1}', { json: { path: 'toString' } }, { outcome: 'down', words: expect.stringContaining('not in its body') }],
    ['{"a":5}', { json: { path: 'a', above: 4, below: 6 } }, { outcome: 'up' }],
    ['{"a":5}', { json: { path: 'a', above: 5 } }, { outcome: 'down', words: expect.stringContaining('not above 5') }],
    ['{"a":5}', { json: { path: 'a', below: 5 } }, { outcome: 'down', words: expect.stringContaining('not below 5') }],
    ['{"a":"5"}', { json: { path: 'a', above: 1 } }, { outcome: 'down', words: expect.stringContaining('no number') }],
    ['<html>', { json: { path: 'a' } }, { outcome: 'down', words: expect.stringContaining('no JSON') }],
    ['{"q":{"depth":12.5}}', { read: 'q.depth' }, { outcome: 'up', value: 12.5 }],
    ['{"q":{}}', { read: 'q.depth' }, { outcome: 'unknown', words: expect.stringContaining('q.depth is missing') }],
  ];
  it.each(bodies)('body %s under %j', async (body, values, expected) => {
    expect(await look((await serveText(body)).port, values)).toMatchObject(expected);
  });

  it('10 MB are not read: a status alone is judged, a body is not', async () => {
    const { port } = await serve((_request, response) => flood(response));
    expect(await look(port)).toMatchObject({ outcome: 'up' });
    expect(await look(port, { body: { contains: 'y' } })).toMatchObject({ outcome: 'down', words: expect.stringContaining('larger than 1 MB') });
  });

  it('a server that takes the connection and never answers, or stops in its body, is down when the timeout is over', async () => {
    const silent = await kept(startTcp());
    expect(await look(silent.port, { timeoutMs: 150 })).toMatchObject({ outcome: 'down', words: 'no answer in 150 ms (waiting for the answer)' });
    const halting = await serve((_request, response) => void response.writeHead(200, { 'content-length': '10' }).write('some'));
    expect(await look(halting.port, { timeoutMs: 150 })).toMatchObject({ outcome: 'down', words: 'no answer in 150 ms (reading the body)' });
  });

  it('a closed port, what is not HTTP, and an answer that breaks off are down', async () => {
    expect(await look(await freePort())).toMatchObject({ outcome: 'down', words: expect.stringContaining('ECONNREFUSED') });
    const garbage = await kept(startTcp((socket) => socket.write('\u0000\u0001 garbage\r\n\r\n')));
    expect(await look(garbage.port)).toMatchObject({ outcome: 'down', words: expect.stringContaining('not HTTP') });
    const broken = await serve((request, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('some', () => request.socket.destroy());
    });
    expect(await look(broken.port)).toMatchObject({ outcome: 'down', words: expect.stringContaining('ECONNRESET') });
  });

  it('I3: an address that this host may not send to, and a look that is aborted, are unknown', async () => {
    expect(await look(80, { url: 'http://255.255.255.255/' })).toMatchObject({ outcome: 'unknown' });
    const stop = new AbortController();
    const server = await kept(startTcp());
    const looking = look(server.port, { timeoutMs: 60_000 }, stop.signal);
    await until('it is connected', () => server.open() === 1);
    stop.abort();
    expect(await looking).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('stopped') });
  });

  it('one connection serves look after look, and one that the server closed meanwhile is no failure', async () => {
    let connections = 0;
    let asked = 0;
    const server = createServer((request, response) => {
      asked += 1;
      // The third request meets a connection that is closed under it, as an idle one is.
      if (asked === 3) request.socket.resetAndDestroy();
      else response.end('ok');
    });
    server.on('connection', () => (connections += 1));
    const { port } = await kept(listen(server));
    const probe = open(port);
    for (const seen of [1, 1, 2]) {
      expect(await probe.look(never)).toMatchObject({ outcome: 'up' });
      expect(connections).toBe(seen);
    }
  });

  it('a url or a pattern that is none is refused when the probe is opened', () => {
    expect(() => open(1, { url: 'ftp://somewhere/' })).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }));
    expect(() => open(1, { body: { matches: '(' } })).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }));
  });
});

describeWithPart(OPENSSL, 'the http probe over TLS', () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'understudy-probe-'));
  const ca = path.join(dir, 'ca.pem');
  let url: string;

  beforeAll(() => {
    new Authority(dir).issue('server');
  });
  afterEach(nothingStaysOpen);
  afterAll(() => rmSync(dir, { recursive: true }));

  const serveTls = async (): Promise<number> => {
    const options = { cert: readFileSync(path.join(dir, 'server.pem')), key: readFileSync(path.join(dir, 'server.key')) };
    const { port } = await kept(listen(createHttpsServer(options, (_request, response) => void response.end('ok'))));
    url = `https://127.0.0.1:${port}/`;
    return port;
  };

  it('a certificate of the authority that is named is up, while it lasts long enough', async () => {
    const port = await serveTls();
    expect(await look(port, { url, tls: { ca, expiresWithinMs: 3_600_000 } })).toMatchObject({ outcome: 'up' });
    expect(await look(port, { url, tls: { ca, serverName: 'temporal.test' } })).toMatchObject({ outcome: 'up' });
    const short = open(port, { url, tls: { ca, expiresWithinMs: 7 * 86_400_000 } });
    // The second look finds it on the connection that is kept.
    for (const _look of [1, 2]) expect(await short.look(never)).toMatchObject({ outcome: 'down', words: expect.stringContaining('its certificate ends on') });
  });

  it('another authority and another name are down', async () => {
    const port = await serveTls();
    expect(await look(port, { url })).toMatchObject({ outcome: 'down', words: expect.stringContaining('certificate that is not accepted') });
    expect(await look(port, { url, tls: { ca, serverName: 'other.test' } })).toMatchObject({
      outcome: 'down',
      words: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
  });

  it('a server without TLS is down, and a missing authority file is our own trouble', async () => {
    const plain = await serveText('ok');
    expect(await look(plain.port, { url: `https://127.0.0.1:${plain.port}/` })).toMatchObject({ outcome: 'down', words: expect.stringContaining('TLS') });
    expect(await look(plain.port, { url: `https://127.0.0.1:${plain.port}/`, tls: { ca: path.join(dir, 'none.pem') } })).toMatchObject({ outcome: 'unknown' });
  });
});
