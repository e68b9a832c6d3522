import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { useStage } from '../support/workflow-stage.ts';
import { SIGNED, type World } from '../support/workflow-world.ts';

const { scene } = useStage();

async function runIdOf(w: World): Promise<string> {
  return (await w.handle.describe()).runId;
}

/** Whether a member's database has stopped, looked at every few milliseconds. */
function watchStops(w: World, name: string): { readonly stops: () => number; end(): void } {
  let stops = 0;
  const timer = setInterval(() => {
    if (!w.member(name).database.writable) stops += 1;
  }, 5);
  return { stops: () => stops, end: () => clearInterval(timer) };
}

describe('a group that lives for years', () => {
  scene(
    'continues as new under load, and no member loses its role',
    { records: [{ name: 'db.test.', type: 'A', ttlSeconds: 5, provider: 'dns' }] },
    async (w) => {
      w.publish = () => ({ outcome: 'unreachable', words: 'no answer' });
      await w.steady({ input: { eventsARun: 120 } });
      await w.ask('exclude', { member: 'pg-c' });
      const first = await runIdOf(w);
      const watch = watchStops(w, 'pg-a');
      // Words that change nothing, as many as it takes.
      const old = w.journal.find(({ act }) => act === 'primary')?.ask as { turn: number };
      await w.until(
        'it has continued as new twice',
        async () => {
          await w.signalNews(`group/${w.group}`, {
            group: w.group,
            member: 'pg-a',
            epoch: 1,
            turn: old.turn - 1,
            role: 'primary',
            phase: 'open',
            following: [],
            atMs: Date.now(),
          });
          const { raw, runId } = await w.handle.describe();
          return (
            runId !== first &&
            raw.workflowExecutionInfo?.firstRunId === first &&
            w.journal.filter(({ act, member }) => act === 'primary' && member === 'pg-a').length >= 3
          );
        },
        60_000,
      );
      const status = await w.untilStatus(
        'all is as it was',
        ({ phase, members }) => phase === 'steady' && members.slice(1).every(({ phase: of }) => of === 'following'),
      );
      watch.end();
      expect(watch.stops()).toBe(0);
      expect(status).toMatchObject({ primary: 'pg-a', epoch: 1, incidents: [] });
      expect(status.members[2]?.excluded).toEqual(SIGNED);
      // What had not been published yet is not forgotten.
      w.publish = (ask) => {
        w.published.push(ask);
        return { outcome: 'applied', words: 'written', publishedAtMs: Date.now(), verifiedAtMs: Date.now() };
      };
      await w.until('the new run publishes', () => w.published.length > 0);
      w.member('pg-a').crash();
      await w.untilPrimary('pg-b');
    },
  );

  scene('continues as new while a failover is held back, and still waits for the member and for the hold', {}, async (w) => {
    await w.steady({ input: { eventsARun: 60 } });
    await w.ask('pause', { untilResumed: true });
    w.member('pg-a').die();
    await w.untilStatus('it is held back', ({ held }) => held?.rule === 'paused');
    const before = await runIdOf(w);
    await w.until('it has continued as new', async () => {
      await w.handle.signal('include', { ...SIGNED, member: 'pg-b' });
      return (await runIdOf(w)) !== before;
    });
    expect((await w.status()).held?.rule).toBe('paused');
    await w.ask('resume');
    await w.untilStatus('somebody else is primary', ({ primary, phase }) => primary !== 'pg-a' && phase === 'steady');
  });

  scene('idle, adds no event to its history', {}, async (w) => {
    await w.steady();
    await w.untilAtRest();
    const count = async (): Promise<number> => (await w.history()).events?.length ?? 0;
    const before = await count();
    const beats = w.spec.leaseMs;
    await pause(2 * beats);
    expect(await count()).toBe(before);
  });

  scene('in trouble for long, rests too: a stopped group, and one whose only primary is dead, wait for words, not for time', {}, async (w) => {
    await w.steady();
    w.member('pg-a').always('govern', () => {
      throw new UnderstudyError('DatabaseUnreachable', 'no connection');
    });
    for (const name of ['pg-b', 'pg-c']) w.member(name).die();
    w.member('pg-a').epoch = 9;
    w.member('pg-a').end({ end: 'superseded', words: 'somebody else gave it an order' });
    await w.untilStatus(
      'it has stopped',
      ({ phase, members }) => phase === 'stopped' && members.slice(1).every(({ phase: of }) => of === 'silent' || of === 'waiting'),
    );
    const before = (await w.history()).events?.length;
    await pause(3000);
    expect((await w.history()).events?.length).toBe(before);
  });

  scene('told of nothing by a group that was terminated, an incident brings its promotion to an end, and the next group finds it', {}, async (w) => {
    await w.steady();
    w.member('pg-b').once('promote', async (usual) => {
      await w.terminate(`group/${w.group}`);
      return usual();
    });
    w.member('pg-a').crash();
    await w.until('the promotion is done', () => w.member('pg-b').database.writable || w.asked('first-write').length > 0);
    await w.start();
    const incident = await w.failover(2);
    expect(incident.outcome).toMatchObject({ outcome: 'done', primary: 'pg-b' });
    const status = await w.untilStatus('somebody is primary', ({ phase }) => phase === 'steady', 60_000);
    expect(status.primary).toBe('pg-b');
  });
});
