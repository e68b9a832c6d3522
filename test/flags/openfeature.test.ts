import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { type Client, OpenFeature } from '@openfeature/server-sdk';
import { type Provider as WebProvider, OpenFeature as WebOpenFeature } from '@openfeature/web-sdk';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ServiceFlags } from '../../src/model/flag.ts';
import { describeWithPart, program } from '../support/part.ts';
import { bundle, checkout, openBed } from './bed.ts';

const SHOP_HEADERS: [string, string][] = [['Authorization', 'Bearer shop-secret']];
const DEGRADED: Partial<ServiceFlags> = { level: 'degraded', features: { ...checkout(0).features, recommendations: false } };

async function serverClient(baseUrl: string, headers = SHOP_HEADERS): Promise<Client> {
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
  return OpenFeature.getClient();
}

afterEach(async () => {
  await OpenFeature.close();
  await WebOpenFeature.close();
});

describe('the official server SDK', () => {
  it('reads every type, with reason, variant and metadata', async () => {
    await using bed = await openBed();
    const client = await serverClient(bed.server.url);
    expect(await client.getBooleanDetails('recommendations', false)).toMatchObject({
      value: true,
      reason: 'STATIC',
      variant: 'on',
      flagMetadata: { revision: 1 },
    });
    expect(await client.getStringDetails('understudy.level', 'none')).toMatchObject({ value: 'full', variant: 'full' });
    expect(await client.getNumberDetails('page.size', 0)).toMatchObject({ value: 50 });
    expect(await client.getObjectDetails('images', {})).toMatchObject({ value: { quality: 'high', lazy: false } });
  });

  it('takes the default where the flag is unknown, of another type, or the key is wrong', async () => {
    await using bed = await openBed();
    const client = await serverClient(bed.server.url);
    expect(await client.getBooleanDetails('nope', true)).toMatchObject({ value: true, reason: 'ERROR', errorCode: 'FLAG_NOT_FOUND' });
    expect(await client.getBooleanDetails('page.size', true)).toMatchObject({ value: true, errorCode: 'TYPE_MISMATCH' });
    const stranger = await serverClient(bed.server.url, [['Authorization', 'Bearer wrong']]);
    expect(await stranger.getBooleanDetails('recommendations', false)).toMatchObject({ value: false, reason: 'ERROR' });
    const elsewhere = await serverClient(`${bed.server.url}/services/search`);
    expect(await elsewhere.getBooleanDetails('recommendations', false)).toMatchObject({ value: false, reason: 'ERROR' });
  });

  it('hears CACHED while the source is away', async () => {
    await using bed = await openBed();
    const client = await serverClient(`${bed.server.url}/services/checkout`);
    bed.store.markSource('down');
    expect(await client.getBooleanDetails('recommendations', false)).toMatchObject({ value: true, reason: 'CACHED' });
  });
});

describe('the official web SDK, in Node', () => {
  it('reads all flags at once, and what has changed when it asks again', async () => {
    await using bed = await openBed();
    const provider = new OFREPWebProvider({
      baseUrl: bed.server.url,
      headers: SHOP_HEADERS,
      pollInterval: 20,
      changeDetection: 'polling',
      cacheMode: 'disabled',
    });
    // Its declarations say `hooks?: … | undefined`, which the SDK's do not.
    await WebOpenFeature.setProviderAndWait(provider as unknown as WebProvider);
    const client = WebOpenFeature.getClient();
    expect(client.getBooleanDetails('recommendations', false)).toMatchObject({ value: true, reason: 'STATIC', variant: 'on' });
    expect(client.getObjectValue('images', {})).toEqual({ quality: 'high', lazy: false });
    bed.store.put(checkout(2, DEGRADED));
    await vi.waitFor(() => expect(client.getStringValue('understudy.level', 'none')).toBe('degraded'));
    expect(client.getBooleanValue('recommendations', true)).toBe(false);
  });
});

interface Heard {
  readonly event: string;
  readonly value: string;
  readonly reason: string;
  readonly shown: string;
  readonly atMs: number;
}

describeWithPart(program('chromium', 'chromium'), 'the official web SDK, in a browser', ({ chromium }) => {
  it('hears of changes by the stream of events, and how soon is printed', async () => {
    const script = await bundle('page.mjs', 'browser');
    const heard: Heard[] = [];
    const pages = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://x');
      if (url.pathname === '/heard') heard.push({ ...(Object.fromEntries(url.searchParams) as unknown as Omit<Heard, 'atMs'>), atMs: performance.now() });
      if (url.pathname === '/page.js') response.writeHead(200, { 'content-type': 'text/javascript' }).end(script);
      else response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><script type="module" src="/page.js"></script>');
    });
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
    const bed = await openBed({ origins: [origin] });
    const profile = mkdtempSync(path.join(tmpdir(), 'chromium-'));
    const browser = spawn(
      chromium as string,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        `--user-data-dir=${profile}`,
        '--remote-debugging-port=0',
        `${origin}/?baseUrl=${bed.server.url}`,
      ],
      { stdio: 'ignore', env: { ...process.env, http_proxy: '', https_proxy: '' } },
    );
    try {
      await vi.waitFor(() => expect(heard.map(({ event, value, reason }) => [event, value, reason])).toContainEqual(['ready', 'full', 'STATIC']), {
        timeout: 40_000,
      });
      const health = async (): Promise<unknown> => (await fetch(`${bed.server.url}/health`)).json();
      await vi.waitFor(async () => expect(await health()).toMatchObject({ streams: 1 }), { timeout: 20_000 });
      const tookMs: number[] = [];
      for (let revision = 2; revision <= 11; revision += 1) {
        const changedMs = performance.now();
        bed.store.put(checkout(revision, revision % 2 === 0 ? DEGRADED : {}));
        const wanted = revision % 2 === 0 ? ['degraded', 'false'] : ['full', 'true'];
        const last = (): Heard | undefined => heard.at(-1);
        await vi.waitFor(() => expect([last()?.value, last()?.shown]).toEqual(wanted), { timeout: 10_000, interval: 5 });
        tookMs.push((last()?.atMs ?? Number.POSITIVE_INFINITY) - changedMs);
      }
      tookMs.sort((one, other) => one - other);
      // No poll would be that soon: the web SDK's own comes after seconds, if at all.
      expect(tookMs[0]).toBeLessThan(1000);
      process.stdout.write(`a changed flag in a browser: median ${Math.round(tookMs[5] ?? Number.NaN)} ms of ${tookMs.length}\n`);
      bed.store.markSource('down');
      await vi.waitFor(() => expect(heard.at(-1)).toMatchObject({ value: 'full', reason: 'CACHED' }), { timeout: 10_000 });
    } finally {
      const gone = once(browser, 'exit');
      browser.kill('SIGKILL');
      await gone;
      pages.closeAllConnections();
      pages.close();
      await bed[Symbol.asyncDispose]();
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    }
  });
});

describe('a flag server that is killed', () => {
  it('goes on from the last known flags, calls them STALE, and takes no older ones', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'flags-'));
    const program_ = path.join(directory, 'server.mjs');
    writeFileSync(program_, await bundle('server-process.mjs', 'node'));
    const kept = path.join(directory, 'state');
    const start = async (port: number): Promise<{ child: ChildProcess; url: string }> => {
      const child = fork(program_, [JSON.stringify({ directory: kept, port })], { env: { ...process.env, SHOP_KEY: 'shop-secret' }, execArgv: [] });
      const [message] = (await once(child, 'message')) as [{ url: string }];
      return { child, url: message.url };
    };
    const say = async (child: ChildProcess, message: object): Promise<void> => {
      child.send(message);
      await once(child, 'message');
    };
    const kill = async (child: ChildProcess): Promise<void> => {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    };
    let { child, url } = await start(0);
    try {
      const client = await serverClient(url);
      const port = Number(new URL(url).port);
      await say(child, { source: 'up', put: checkout(7, DEGRADED) });
      expect(await client.getStringDetails('understudy.level', 'none')).toMatchObject({ value: 'degraded', reason: 'STATIC' });
      await kill(child);
      expect(await client.getStringDetails('understudy.level', 'none')).toMatchObject({ value: 'none', reason: 'ERROR' });
      ({ child, url } = await start(port));
      expect(await client.getStringDetails('understudy.level', 'none')).toMatchObject({ value: 'degraded', reason: 'STALE' });
      await say(child, { source: 'up', put: checkout(6) });
      expect(await client.getStringDetails('understudy.level', 'none')).toMatchObject({ value: 'degraded', reason: 'STALE' });
      await say(child, { put: checkout(8) });
      expect(await client.getStringDetails('understudy.level', 'none')).toMatchObject({ value: 'full', reason: 'STATIC' });
      // In the middle of writing, again and again: what is found afterwards is always whole, and never older than what was known to be kept.
      let sure = 8;
      for (let round = 0; round < 5; round += 1) {
        for (let nth = 1; nth <= 200; nth += 1) child.send({ put: checkout(sure + nth) });
        await once(child, 'message');
        await kill(child);
        ({ child } = await start(port));
        const { reason, flagMetadata } = await client.getStringDetails('understudy.level', 'none');
        expect(reason).toBe('STALE');
        expect(flagMetadata['revision']).toBeGreaterThan(sure);
        sure = Number(flagMetadata['revision']);
        await say(child, { source: 'up' });
      }
    } finally {
      await kill(child);
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
