import type { Watched } from '../../src/agent/metrics.ts';

/** A member on which nothing has happened yet. */
export const IDLE: Watched = {
  guard: { status: { guardPid: process.pid, fence: 'kernel', realtime: true, nowMs: 0, database: { state: 'stopped' }, lease: null } },
  state: { state: { cluster: 'c/default', highestEpoch: 0 } },
  feed: { everFed: false },
  fedAgoMs: () => 0,
};
