import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FlagStore } from '../../src/flags/store.ts';
import type { ServiceFlags } from '../../src/model/flag.ts';

const log = pino({ level: 'silent' });
const at = (revision: number, more: Partial<ServiceFlags> = {}): ServiceFlags => ({
  service: 'checkout',
  level: 'full',
  features: { recommendations: revision % 2 === 0 },
  revision,
  sinceMs: 1_700_000_000_000,
  ...more,
});

describe('the store of flags', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'flags-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('knows nothing before anything was told', async () => {
    const store = await FlagStore.open(directory, log);
    expect(store.services()).toEqual([]);
    expect(store.get('checkout')).toBeUndefined();
    expect(store.health('checkout')).toBeUndefined();
  });

  it('is fresh while its source is there, cached once that has gone, and fresh again only when it is confirmed', async () => {
    const store = await FlagStore.open(directory, log);
    const told: string[] = [];
    store.subscribe((service) => told.push(`${service} ${store.get(service)?.freshness}`));
    store.markSource('up');
    expect(store.put(at(1))).toBe('changed');
    store.markSource('down');
    store.markSource('up');
    expect(store.get('checkout')?.freshness).toBe('cached');
    expect(store.put(at(1))).toBe('confirmed');
    expect(store.put(at(1))).toBe('confirmed');
    expect(told).toEqual(['checkout fresh', 'checkout cached', 'checkout fresh']);
  });

  it('keeps a later revision from an older one, also over a restart', async () => {
    const store = await FlagStore.open(directory, log);
    store.markSource('up');
    store.put(at(7));
    expect(store.put(at(6, { level: 'offline' }))).toBe('older');
    await store.saved();
    const next = await FlagStore.open(directory, log);
    next.markSource('up');
    expect(next.get('checkout')).toEqual({ flags: at(7), freshness: 'stale' });
    expect(next.put(at(6, { level: 'offline' }))).toBe('older');
    expect(next.get('checkout')).toEqual({ flags: at(7), freshness: 'stale' });
    expect(next.put(at(7))).toBe('confirmed');
    expect(next.get('checkout')).toEqual({ flags: at(7), freshness: 'fresh' });
  });

  it('takes what another cache says as stale, and makes nothing older by it', async () => {
    const store = await FlagStore.open(directory, log);
    store.markSource('up');
    store.put(at(1));
    store.put(at(1), false);
    expect(store.get('checkout')?.freshness).toBe('fresh');
    store.put(at(2), false);
    expect(store.get('checkout')).toEqual({ flags: at(2), freshness: 'stale' });
  });

  it('writes the last of many changes', async () => {
    const store = await FlagStore.open(directory, log);
    for (let revision = 0; revision <= 500; revision += 1) store.put(at(revision));
    await store.saved();
    expect((await FlagStore.open(directory, log)).get('checkout')?.flags.revision).toBe(500);
  });

  it('forgets a service, also on the disk', async () => {
    const store = await FlagStore.open(directory, log);
    store.put(at(1));
    store.forget('checkout');
    await store.saved();
    expect((await FlagStore.open(directory, log)).services()).toEqual([]);
  });

  it.each([
    ['half of it', (text: string) => text.slice(0, text.length / 2)],
    ['another version', (text: string) => text.replace('"version":1', '"version":9')],
    ['a wrong type', (text: string) => text.replace('"revision":1', '"revision":"one"')],
    ['nothing', () => ''],
  ])('sets a file aside that holds %s', async (_, spoil) => {
    const store = await FlagStore.open(directory, log);
    store.put(at(1));
    await store.saved();
    const file = path.join(directory, 'flags.json');
    const spoilt = spoil(readFileSync(file, 'utf8'));
    writeFileSync(file, spoilt);
    expect((await FlagStore.open(directory, log)).services()).toEqual([]);
    expect(readFileSync(`${file}.damaged`, 'utf8')).toBe(spoilt);
  });

  it('refuses a file that others could have written', async () => {
    const store = await FlagStore.open(directory, log);
    store.put(at(1));
    await store.saved();
    chmodSync(path.join(directory, 'flags.json'), 0o666);
    await expect(FlagStore.open(directory, log)).rejects.toMatchObject({ code: 'UnsafeFiles' });
  });

  it('goes on, and says so, where the disk refuses', async () => {
    const store = await FlagStore.open(directory, log);
    rmSync(directory, { recursive: true });
    store.put(at(1));
    await store.saved();
    expect(store.diskError).toContain('ENOENT');
    expect(store.get('checkout')?.flags.revision).toBe(1);
  });

  it('calls the health of a service unknown while nobody tells it', async () => {
    const store = await FlagStore.open(directory, log);
    store.put(at(1));
    expect(store.health('checkout')?.status).toBe('unknown');
    store.markSource('up');
    store.putHealth({ service: 'checkout', status: 'unhealthy', words: 'db: fails', checks: {} });
    expect(store.health('checkout')?.status).toBe('unhealthy');
    store.markSource('down');
    expect(store.health('checkout')).toMatchObject({ status: 'unknown', words: expect.stringContaining('unhealthy: db: fails') });
  });
});
