import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FlagdFile, flagdFileOf, keepFlagdFiles } from '../../src/flags/flagd.ts';
import { FlagStore } from '../../src/flags/store.ts';
import { checkout, SILENT } from './bed.ts';

describe('flagd files', () => {
  let directory: string;
  let store: FlagStore;
  beforeEach(async () => {
    directory = mkdtempSync(path.join(tmpdir(), 'flagd-'));
    store = await FlagStore.open(path.join(directory, 'state'), SILENT);
  });
  afterEach(async () => {
    await store.saved();
    rmSync(directory, { recursive: true, force: true });
  });
  const read = (service = 'checkout'): FlagdFile => JSON.parse(readFileSync(path.join(directory, `${service}.flagd.json`), 'utf8')) as FlagdFile;

  it('have a variant for each value, and the level as a flag', () => {
    expect(flagdFileOf(checkout(3, { level: 'minimal', features: { a: false, b: { c: [1, null] } } }))).toEqual({
      $schema: 'https://flagd.dev/schema/v0/flags.json',
      flags: {
        a: { state: 'ENABLED', variants: { on: true, off: false }, defaultVariant: 'off' },
        b: { state: 'ENABLED', variants: { minimal: { c: [1, null] } }, defaultVariant: 'minimal' },
        'understudy.level': { state: 'ENABLED', variants: { minimal: 'minimal' }, defaultVariant: 'minimal' },
      },
      metadata: { service: 'checkout', level: 'minimal', revision: 3 },
    });
  });

  it('let no feature tell another level than the one that is', () => {
    expect(flagdFileOf(checkout(1, { features: { 'understudy.level': 'mine' } })).flags['understudy.level']?.variants).toEqual({ full: 'full' });
  });

  it('are written at the start, follow each change, and are left alone once stopped', async () => {
    store.put(checkout(1));
    const stop = keepFlagdFiles(store, directory, SILENT);
    await vi.waitFor(() => expect(read().metadata['revision']).toBe(1));
    for (let revision = 2; revision <= 300; revision += 1) store.put(checkout(revision));
    store.put(checkout(1, { service: 'search' }));
    await vi.waitFor(() => expect([read().metadata['revision'], read('search').metadata['service']]).toEqual([300, 'search']));
    await stop();
    store.put(checkout(301));
    await store.saved();
    expect(read().metadata['revision']).toBe(300);
  });

  it('begin with a store that knows nothing', async () => {
    const stop = keepFlagdFiles(store, directory, SILENT);
    await new Promise((resolve) => setImmediate(resolve));
    store.put(checkout(1));
    await stop();
    expect(read().metadata['revision']).toBe(1);
  });

  it('follow a service whose revisions begin anew', async () => {
    store.put(checkout(5));
    const stop = keepFlagdFiles(store, directory, SILENT);
    await vi.waitFor(() => expect(read().metadata['revision']).toBe(5));
    store.forget('checkout');
    store.put(checkout(5, { level: 'degraded' }));
    await vi.waitFor(() => expect(read().metadata['level']).toBe('degraded'));
    await stop();
  });

  it('stay in their directory, whatever a service is called', async () => {
    const lines: string[] = [];
    const log = { error: (_: object, words: string) => lines.push(words) } as unknown as typeof SILENT;
    const stop = keepFlagdFiles(store, directory, log);
    store.put(checkout(1, { service: '../outside' }));
    await stop();
    expect(lines).toEqual([expect.stringContaining('makes no file name')]);
  });

  it('are readable by everybody', async () => {
    store.put(checkout(1));
    await keepFlagdFiles(store, directory, SILENT)();
    const file = path.join(directory, 'checkout.flagd.json');
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });
});
