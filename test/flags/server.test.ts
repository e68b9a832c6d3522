import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ALL, type Bed, checkout, openBed, SHOP } from './bed.ts';

const ONE = '/ofrep/v1/evaluate/flags/recommendations';
const BULK = '/ofrep/v1/evaluate/flags';
const CONTEXT = '{"context":{"targetingKey":"u1"}}';

describe('the flag server', () => {
  let bed: Bed;
  beforeAll(async () => {
    bed = await openBed({ origins: ['https://shop.test'] });
  });
  afterAll(() => bed[Symbol.asyncDispose]());

  const post = (path: string, headers: Record<string, string> = SHOP, body: string = CONTEXT): Promise<Response> =>
    fetch(bed.server.url + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> => fetch(bed.server.url + path, { headers });

  it('answers one flag', async () => {
    const answer = await post(ONE);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      key: 'recommendations',
      value: true,
      reason: 'STATIC',
      variant: 'on',
      metadata: { service: 'checkout', level: 'full', revision: 1, score: 100, since: '2023-11-14T22:13:20.000Z' },
    });
  });

  it.each([
    ['understudy.level', 'full', 'full'],
    ['search.mode', 'semantic', 'full'],
    ['page.size', 50, 'full'],
    ['images', { quality: 'high', lazy: false }, 'full'],
  ])('answers %s', async (key, value, variant) => {
    expect(await (await post(`${BULK}/${key}`)).json()).toMatchObject({ key, value, variant });
  });

  it.each<[string, number, object, string, Record<string, string>, string]>([
    ['a body that is no JSON', 400, { key: 'recommendations', errorCode: 'PARSE_ERROR' }, ONE, SHOP, '{"context":'],
    ['an empty body', 400, { errorCode: 'PARSE_ERROR' }, ONE, SHOP, ''],
    ['a body of bytes', 400, { errorCode: 'PARSE_ERROR' }, ONE, SHOP, '\u0000\u0001\uFFFF'],
    ['a list for a body', 400, { errorCode: 'PARSE_ERROR' }, ONE, SHOP, '[]'],
    ['null for a body', 400, { errorCode: 'PARSE_ERROR' }, BULK, SHOP, 'null'],
    ['brackets without an end', 400, { errorCode: 'PARSE_ERROR' }, BULK, SHOP, '['.repeat(60_000)],
    ['a list for a context', 400, { errorCode: 'INVALID_CONTEXT' }, ONE, SHOP, '{"context":[]}'],
    ['a number for a targeting key', 400, { errorCode: 'INVALID_CONTEXT' }, BULK, SHOP, '{"context":{"targetingKey":7}}'],
    ['a key that is not encoded well', 400, { errorCode: 'PARSE_ERROR' }, `${BULK}/%E0%A4%A`, SHOP, CONTEXT],
    ['no key', 401, { errorDetails: expect.any(String) }, ONE, {}, CONTEXT],
    ['a wrong key', 401, { errorDetails: expect.any(String) }, ONE, { authorization: 'Bearer shop-secreT' }, CONTEXT],
    ['another scheme', 401, { errorDetails: expect.any(String) }, ONE, { authorization: 'Basic c2hvcC1zZWNyZXQ=' }, CONTEXT],
    ["another service's flag", 403, { errorDetails: expect.any(String) }, `/services/search${ONE}`, SHOP, CONTEXT],
    ['no service, where the key sees several', 400, { errorCode: 'GENERAL' }, ONE, ALL, CONTEXT],
    ['an unknown flag', 404, { key: 'nope', errorCode: 'FLAG_NOT_FOUND' }, `${BULK}/nope`, SHOP, CONTEXT],
    ['a name of every object', 404, { key: '__proto__', errorCode: 'FLAG_NOT_FOUND' }, `${BULK}/__proto__`, SHOP, CONTEXT],
    ['a flag of an unknown service', 404, { errorCode: 'FLAG_NOT_FOUND' }, `/services/nowhere${ONE}`, ALL, CONTEXT],
    ['another path', 404, {}, '/ofrep/v1/configuration', SHOP, CONTEXT],
  ])('refuses %s with %i', async (_, status, body, path, headers, text) => {
    const answer = await post(path, headers, text);
    expect({ status: answer.status, body: await answer.json() }).toMatchObject({ status, body });
  });

  it('refuses GET where POST evaluates', async () => {
    const answer = await get(ONE, SHOP);
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  });

  it('takes X-API-Key as well, and the service out of the path', async () => {
    expect((await post(ONE, { 'x-api-key': 'shop-secret' })).status).toBe(200);
    expect((await post(`/services/checkout${ONE}`, ALL)).status).toBe(200);
    expect((await post(`/services/checkout${ONE}`, { 'x-api-key': 'two-secret' })).status).toBe(200);
  });

  it('reads no body that is too long, announced or not', async () => {
    const long = Buffer.alloc(10 * 1024 * 1024, 32);
    const send = (headers: Record<string, string | number>): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        const request = httpRequest(bed.server.url + ONE, { method: 'POST', headers: { ...SHOP, ...headers }, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        request.on('error', reject);
        request.flushHeaders();
        // Piece by piece, as long as it is wanted.
        const piece = long.subarray(0, 65_000);
        const more = (): void => {
          if (!request.destroyed) request.write(piece, more);
        };
        more();
      });
    expect(await send({ 'content-length': long.length })).toBe(413);
    expect(await send({ 'transfer-encoding': 'chunked' })).toBe(413);
    expect((await post(ONE)).status).toBe(200);
  });

  it('answers all flags with an ETag, and 304 to whoever has them', async () => {
    const answer = await post(BULK);
    const etag = answer.headers.get('etag') ?? '';
    expect(etag).toMatch(/^"[\w-]+"$/);
    const body = (await answer.json()) as { flags: { key: string }[]; eventStreams: { endpoint: { requestUri: string } }[] };
    expect(body.flags.map(({ key }) => key)).toEqual(['recommendations', 'search.mode', 'page.size', 'images', 'understudy.level']);
    expect(body.eventStreams).toEqual([
      { type: 'sse', endpoint: { requestUri: expect.stringMatching(/^\/services\/checkout\/ofrep\/v1\/events\?/) }, inactivityDelaySec: 120 },
    ]);
    expect(JSON.stringify(body)).not.toContain('secret');
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await post(BULK, { ...SHOP, 'if-none-match': tag });
      expect([again.status, again.headers.get('etag'), await again.text()]).toEqual([304, etag, '']);
    }
    expect((await post(BULK, { ...SHOP, 'if-none-match': '"other"' })).status).toBe(200);
  });

  it('answers no flags of a service of which nothing is known yet, and where to hear of the first', async () => {
    const body = await (await post(`/services/search${BULK}`, ALL)).json();
    expect(body).toMatchObject({ flags: [], eventStreams: [{ type: 'sse' }] });
  });

  it('tells a page of a known origin that it may read, and no other page', async () => {
    const preflight = (origin: string): Promise<Response> => fetch(bed.server.url + ONE, { method: 'OPTIONS', headers: { origin } });
    const known = await preflight('https://shop.test');
    expect([known.status, known.headers.get('access-control-allow-origin')]).toEqual([204, 'https://shop.test']);
    expect(known.headers.get('access-control-allow-headers')).toContain('if-none-match');
    expect((await preflight('https://evil.test')).headers.get('access-control-allow-origin')).toBeNull();
    const answer = await post(BULK, { ...SHOP, origin: 'https://shop.test' });
    expect(answer.headers.get('access-control-expose-headers')).toContain('etag');
    expect((await post(BULK, { ...SHOP, origin: 'https://evil.test' })).headers.get('access-control-allow-origin')).toBeNull();
  });

  it('answers a flagd file to whoever may see the service', async () => {
    expect((await get('/flagd/checkout.json')).status).toBe(401);
    expect((await get('/flagd/search.json', SHOP)).status).toBe(403);
    expect((await get('/flagd/search.json', ALL)).status).toBe(404);
    const file = await (await get('/flagd/checkout.json', SHOP)).json();
    expect(file).toMatchObject({
      $schema: 'https://flagd.dev/schema/v0/flags.json',
      flags: {
        recommendations: { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'on' },
        'page.size': { state: 'ENABLED', variants: { full: 50 }, defaultVariant: 'full' },
      },
    });
  });

  it('says how it is itself, and who does not exist', async () => {
    const answer = await get('/health');
    expect(answer.headers.get('content-type')).toBe('application/health+json');
    expect(await answer.json()).toMatchObject({ status: 'pass', source: 'up', disk: 'pass' });
    expect((await get('/health/nowhere')).status).toBe(404);
    expect((await get('/')).status).toBe(404);
  });

  it.each([
    ['healthy', 200, 'pass'],
    ['degraded', 200, 'warn'],
    ['unhealthy', 503, 'fail'],
    ['unknown', 200, 'warn'],
  ] as const)('tells a load balancer of a service that is %s', async (status, code, word) => {
    const checks = { db: { critical: true, state: 'fail', words: 'refused', atMs: 0, value: 3 }, mail: { critical: false, state: 'fail', atMs: 0 } } as const;
    bed.store.putHealth({ service: 'checkout', status, words: 'because', checks });
    const short = await get('/health/checkout');
    expect(short.status).toBe(code);
    expect(await short.json()).toEqual({ status: word, serviceId: 'checkout', understudy: status });
    const long = await get('/health/checkout', SHOP);
    expect(await long.json()).toMatchObject({
      output: 'because',
      checks: { db: [{ status: 'fail', output: 'refused', observedValue: 3, critical: true }], mail: [{ status: 'warn', critical: false }] },
    });
  });
});

describe('the flag server, set otherwise', () => {
  it('answers 503 for unknown health where it is told to', async () => {
    await using bed = await openBed({ unknownIs: 503 });
    const answer = await fetch(`${bed.server.url}/health/checkout`);
    expect([answer.status, await answer.json()]).toEqual([503, { status: 'fail', serviceId: 'checkout', understudy: 'unknown' }]);
  });

  it('gives the address of the stream under its public name', async () => {
    await using bed = await openBed({ publicUrl: 'https://flags.test/base/' });
    const answer = await fetch(bed.server.url + BULK, { method: 'POST', headers: SHOP, body: CONTEXT });
    expect(await answer.json()).toMatchObject({ eventStreams: [{ url: expect.stringMatching(/^https:\/\/flags\.test\/base\/services\/checkout\/ofrep/) }] });
  });

  it('slows a key down that asks too often, and no other', async () => {
    await using bed = await openBed({ limits: { perSecond: 0.5, burst: 3 } });
    const ask = (headers: Record<string, string>): Promise<Response> =>
      fetch(bed.server.url + `/services/checkout${ONE}`, { method: 'POST', headers, body: CONTEXT });
    const codes: number[] = [];
    for (let nth = 0; nth < 5; nth += 1) codes.push((await ask(SHOP)).status);
    expect(codes).toEqual([200, 200, 200, 429, 429]);
    expect((await ask(SHOP)).headers.get('retry-after')).toBe('2');
    expect((await ask(ALL)).status).toBe(200);
  });

  it('says CACHED while the source is away, with another ETag, and STATIC once it is confirmed', async () => {
    await using bed = await openBed();
    const ask = async (): Promise<[string, string | null]> => {
      const answer = await fetch(bed.server.url + BULK, { method: 'POST', headers: SHOP, body: CONTEXT });
      const { flags } = (await answer.json()) as { flags: { reason: string; value: unknown }[] };
      return [flags.map(({ reason, value }) => `${reason} ${JSON.stringify(value)}`)[0] ?? '', answer.headers.get('etag')];
    };
    const before = await ask();
    bed.store.markSource('down');
    const away = await ask();
    expect([before[0], away[0]]).toEqual(['STATIC true', 'CACHED true']);
    expect(away[1]).not.toBe(before[1]);
    bed.store.markSource('up');
    bed.store.put(checkout(1));
    expect(await ask()).toEqual(before);
  });
});

/** Reads a stream of events until it ends; what came so far is in `text`. */
async function listen(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: () => string; ended: Promise<void>; close: () => void }> {
  const leave = new AbortController();
  const response = await fetch(url, { headers, signal: leave.signal });
  let text = '';
  const read = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) text += decoder.decode(chunk, { stream: true });
  };
  const ended = read().catch((error: unknown) => {
    // Torn away, by either side.
    if (!(error instanceof Error)) throw error;
  });
  return { status: response.status, text: () => text, ended, close: () => leave.abort() };
}

async function streamUrl(bed: Bed): Promise<string> {
  const answer = await fetch(bed.server.url + BULK, { method: 'POST', headers: SHOP, body: CONTEXT });
  const { eventStreams } = (await answer.json()) as { eventStreams: { endpoint: { requestUri: string } }[] };
  return bed.server.url + (eventStreams[0]?.endpoint.requestUri ?? '');
}

describe('the stream of events', () => {
  it('tells the present state at once, each change, and silence', async () => {
    await using bed = await openBed({ limits: { keepAliveMs: 20 } });
    const stream = await listen(await streamUrl(bed));
    await vi.waitFor(() => expect(stream.text()).toContain('"type":"refetchEvaluation"'));
    await vi.waitFor(() => expect(stream.text()).toContain(': still here'));
    bed.store.put(checkout(2, { level: 'degraded' }));
    await vi.waitFor(() => expect(stream.text().match(/refetchEvaluation/g)).toHaveLength(2));
    const answer = await fetch(bed.server.url + BULK, { method: 'POST', headers: SHOP, body: CONTEXT });
    const last =
      stream
        .text()
        .match(/data: .*/g)
        ?.at(-1) ?? '';
    expect(JSON.parse(last.slice(6))).toEqual({ type: 'refetchEvaluation', etag: answer.headers.get('etag'), lastModified: expect.any(Number) });
    stream.close();
    await stream.ended;
    await vi.waitFor(async () => expect(await (await fetch(`${bed.server.url}/health`)).json()).toMatchObject({ streams: 0 }));
  });

  it('tells nothing anew to whoever comes back and has missed nothing', async () => {
    await using bed = await openBed({ limits: { keepAliveMs: 20 } });
    const url = await streamUrl(bed);
    const first = await listen(url);
    await vi.waitFor(() => expect(first.text()).toMatch(/id: .*\ndata: .*\n/));
    const id = /id: (.*)/.exec(first.text())?.[1] ?? '';
    const again = await listen(url, { 'last-event-id': id });
    await vi.waitFor(() => expect(again.text()).toContain(': still here'));
    expect(again.text()).not.toContain('refetchEvaluation');
    first.close();
    again.close();
  });

  it('opens to a ticket of this service, or to a key, and to nothing else', async () => {
    await using bed = await openBed();
    const url = await streamUrl(bed);
    const status = async (where: string, headers: Record<string, string> = {}): Promise<number> => {
      const { status: code, close } = await listen(where, headers);
      close();
      return code;
    };
    expect(await status(url)).toBe(200);
    expect(await status(`${bed.server.url}/ofrep/v1/events`, SHOP)).toBe(200);
    expect(await status(`${bed.server.url}/ofrep/v1/events`)).toBe(401);
    expect(await status(url.replace('/services/checkout', '/services/search'))).toBe(401);
    expect(await status(url.replace('key=shop', 'key=all'))).toBe(401);
    expect(await status(`${url}x`)).toBe(401);
  });

  it('is refused where too many are open, of one key or of all', async () => {
    await using bed = await openBed({ limits: { streams: 3, streamsPerKey: 2 } });
    const open = (headers: Record<string, string>): Promise<{ status: number; close: () => void }> =>
      listen(`${bed.server.url}/services/checkout/ofrep/v1/events`, headers);
    const all = [await open(SHOP), await open(SHOP), await open(SHOP), await open(ALL), await open(ALL)];
    expect(all.map(({ status }) => status)).toEqual([200, 200, 503, 200, 503]);
    all[0]?.close();
    await vi.waitFor(async () => {
      const next = await open(SHOP);
      next.close();
      expect(next.status).toBe(200);
    });
    for (const { close } of all) close();
  });

  it('tells the last of many changes at once', async () => {
    await using bed = await openBed();
    const stream = await listen(await streamUrl(bed));
    for (let revision = 2; revision <= 5000; revision += 1) bed.store.put(checkout(revision));
    const answer = await fetch(bed.server.url + BULK, { method: 'POST', headers: SHOP, body: CONTEXT });
    await vi.waitFor(() => expect(stream.text()).toContain(JSON.stringify(answer.headers.get('etag'))));
    expect(stream.text().length).toBeLessThan(2000);
    stream.close();
  });

  it('drops a reader that does not read, and no other', async () => {
    await using bed = await openBed({ limits: { keepAliveMs: 100 } });
    const stream = await listen(await streamUrl(bed));
    const { hostname, port } = new URL(bed.server.url);
    const slow = connect(Number(port), hostname);
    slow.pause();
    slow.on('error', () => undefined);
    slow.write(`GET /ofrep/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer shop-secret\r\n\r\n`);
    const streams = async (): Promise<number> => ((await (await fetch(`${bed.server.url}/health`)).json()) as { streams: number }).streams;
    await vi.waitFor(async () => expect(await streams()).toBe(2));
    // The kernel takes some megabytes for it first.
    let revision = 2;
    const until = performance.now() + 40_000;
    while ((await streams()) === 2 && performance.now() < until) {
      for (let nth = 0; nth < 1000; nth += 1) {
        bed.store.put(checkout(revision++));
        await setImmediate();
      }
    }
    expect(await streams()).toBe(1);
    const seen = stream.text().length;
    bed.store.put(checkout(revision++));
    await vi.waitFor(() => expect(stream.text().length).toBeGreaterThan(seen));
    slow.destroy();
    stream.close();
  });
});
