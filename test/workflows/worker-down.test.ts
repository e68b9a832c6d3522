import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { useStage } from '../support/workflow-stage.ts';
import type { World } from '../support/workflow-world.ts';

const { stage, scene } = useStage();

/** Whether a member's database has stopped, looked at every few milliseconds. */
function watchStops(w: World, name: string): { readonly stops: () => number; end(): void } {
  let stops = 0;
  const timer = setInterval(() => {
    if (!w.member(name).database.writable) stops += 1;
  }, 5);
  return { stops: () => stops, end: () => clearInterval(timer) };
}

describe('I10: with every workflow worker down', () => {
  scene('primaries keep serving and renewing, and what happens meanwhile is decided when one is back', {}, async (w) => {
    await w.steady();
    await w.untilStatus('the rule is settled', ({ rule }) => rule.names.length === 2);
    await stage.stopWorker();
    const watch = watchStops(w, 'pg-a');
    await pause(2 * w.spec.leaseMs);
    watch.end();
    expect(watch.stops()).toBe(0);
    w.member('pg-a').crash();
    await stage.startWorker();
    await w.untilPrimary('pg-b');
    // Killed at each further step, too: the worker goes, and comes back.
    w.member('pg-c').once('promote', async (usual) => {
      await stage.stopWorker();
      void stage.startWorker();
      return usual();
    });
    await w.untilStatus('both others follow', ({ electable, rule }) => electable.length === 2 && rule.names.length === 2);
    await w.ask('exclude', { member: 'pg-a' });
    await w.untilStatus('pg-c alone counts', ({ electable }) => electable.join() === 'pg-c');
    w.member('pg-b').crash();
    await w.untilPrimary('pg-c');
  });
});
