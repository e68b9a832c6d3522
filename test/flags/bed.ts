import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { rolldown } from 'rolldown';
import { type FlagServer, type FlagServerOptions, startFlagServer } from '../../src/flags/server.ts';
import { FlagStore } from '../../src/flags/store.ts';
import type { ServiceFlags } from '../../src/model/flag.ts';

export const SILENT = pino({ level: 'silent' });
const SECRETS: Readonly<Record<string, string>> = { SHOP: 'shop-secret', ALL: 'all-secret', TWO: 'two-secret' };
export const KEYS: FlagServerOptions['keys'] = [
  { name: 'shop', secret: { env: 'SHOP' }, services: ['checkout'] },
  { name: 'all', secret: { env: 'ALL' }, services: 'all' },
  { name: 'two', secret: { env: 'TWO' }, services: ['checkout', 'search'] },
];
export const SHOP = { authorization: 'Bearer shop-secret' };
export const ALL = { authorization: 'Bearer all-secret' };

export function checkout(revision: number, more: Partial<ServiceFlags> = {}): ServiceFlags {
  return {
    service: 'checkout',
    level: 'full',
    score: 100,
    features: { recommendations: true, 'search.mode': 'semantic', 'page.size': 50, images: { quality: 'high', lazy: false } },
    revision,
    sinceMs: 1_700_000_000_000,
    ...more,
  };
}

export interface Bed extends AsyncDisposable {
  readonly store: FlagStore;
  readonly server: FlagServer;
  readonly directory: string;
}

/** A flag server on a free port, whose source is there and has told the flags of `checkout`. */
export async function openBed(options: Partial<FlagServerOptions> = {}): Promise<Bed> {
  const directory = mkdtempSync(path.join(tmpdir(), 'flags-'));
  const store = await FlagStore.open(directory, SILENT);
  store.markSource('up');
  store.put(checkout(1));
  const server = await startFlagServer({
    listen: { host: '127.0.0.1', port: 0 },
    store,
    keys: KEYS,
    log: SILENT,
    resolveSecret: (ref) => SECRETS['env' in ref ? ref.env : ''] ?? '',
    ...options,
  });
  return {
    store,
    server,
    directory,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await store.saved();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** One file that runs by itself, in Node or in a browser's page. */
export async function bundle(entry: string, platform: 'node' | 'browser'): Promise<string> {
  const made = await rolldown({ input: path.join(import.meta.dirname, entry), platform, logLevel: 'silent' });
  const { output } = await made.generate({ format: 'esm', codeSplitting: false });
  await made.close();
  return output[0].code;
}
