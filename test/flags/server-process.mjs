// A flag server in a process of its own, for the tests that kill it and for load.mjs. It takes its flags by IPC: `{put}`, `{source}`.
import { pino } from 'pino';
import { startFlagServer } from '../../src/flags/server.ts';
import { FlagStore } from '../../src/flags/store.ts';

const { directory, port, limits } = JSON.parse(process.argv[2]);
const log = pino({ level: 'silent' });
const store = await FlagStore.open(directory, log);
const { url } = await startFlagServer({
  listen: { host: '127.0.0.1', port },
  store,
  limits,
  log,
  keys: [{ name: 'shop', secret: { env: 'SHOP_KEY' }, services: ['checkout'] }],
});
process.on('message', ({ put, source }) => {
  if (source !== undefined) store.markSource(source);
  if (put !== undefined) store.put(put);
  void store.saved().then(() => process.send({ done: true }));
});
process.on('disconnect', () => process.exit());
process.send({ url });
