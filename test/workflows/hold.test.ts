import { WorkflowNotFoundError } from '@temporalio/common';
import { describe, expect } from 'vitest';
import type { Policy } from '../../src/model/group.ts';
import type { Incident } from '../../src/model/incident.ts';
import { useStage } from '../support/workflow-stage.ts';
import { SIGNED, spec, type World } from '../support/workflow-world.ts';

const { stage, scene } = useStage();
const HOUR_MS = 3_600_000;

function policy(more: Partial<Policy>): { policy: Policy } {
  return { policy: { ...spec().policy, ...more } };
}

/** A first failover, so that the next one comes too soon. */
async function failedOverOnce(w: World): Promise<void> {
  await w.steady();
  w.member('pg-a').crash();
  await w.untilPrimary('pg-b');
  await w.untilStatus('both others follow', ({ electable, rule }) => electable.length === 2 && rule.names.length === 2);
}

describe('what holds a failover back', () => {
  scene(
    'I7: a failover inside minInterval waits, says why and for how long, and an override lifts that for this one',
    policy({ minIntervalMs: HOUR_MS }),
    async (w) => {
      await failedOverOnce(w);
      await expect(w.ask('override')).rejects.toMatchObject({ cause: { type: 'Refused' } });
      w.member('pg-b').die();
      const { held, phase } = await w.untilStatus('it is held back', (status) => status.held !== undefined);
      expect(phase).toBe('held');
      expect(held).toMatchObject({ rule: 'min-interval', override: `understudy override ${w.group}` });
      expect((held?.untilMs ?? 0) - Date.now()).toBeGreaterThan(HOUR_MS / 2);
      expect(w.asked('promote')).toHaveLength(1);
      await w.ask('override');
      const after = await w.untilStatus(
        'somebody else is primary, and may be followed by another',
        ({ primary, phase: of, electable }) => primary !== 'pg-b' && of === 'steady' && electable.length > 0,
      );
      expect(after.held).toBeUndefined();
      // It was for one failover.
      w.member(after.primary ?? '').die();
      await w.untilStatus('the next one is held back again', (status) => status.held !== undefined);
    },
  );

  scene('I7: what held it back has an end, and then it goes on by itself', policy({ minIntervalMs: 9000 }), async (w) => {
    await failedOverOnce(w);
    w.member('pg-b').die();
    await w.untilStatus('it is held back', (status) => status.held?.rule === 'min-interval');
    await w.untilStatus('somebody else is primary', ({ primary, phase }) => primary !== 'pg-b' && phase === 'steady');
  });

  scene('a primary that returns while its failover is held back goes on at the same epoch', policy({ minIntervalMs: HOUR_MS }), async (w) => {
    await failedOverOnce(w);
    w.member('pg-b').die();
    await w.untilStatus('it is held back', (status) => status.held !== undefined);
    w.member('pg-b').start();
    const status = await w.untilPrimary('pg-b');
    expect(status).toMatchObject({ epoch: 2 });
    expect(status.held).toBeUndefined();
  });

  scene(
    'I1: an order that was waiting while a failover was held back is gone when another is promoted, however the member returns',
    policy({ minIntervalMs: HOUR_MS }),
    async (w) => {
      await failedOverOnce(w);
      w.member('pg-b').die();
      await w.untilStatus('it is held back', (status) => status.held !== undefined);
      // Another lease: its role is offered anew, beside the order that nobody has taken up.
      await w.ask('change', { spec: { ...w.spec, leaseMs: w.spec.leaseMs + 100 } });
      await w.ask('override');
      await w.untilStatus('somebody else is primary', ({ primary, phase }) => primary !== 'pg-b' && phase === 'steady');
      const asked = w.journal.length;
      w.member('pg-b').start();
      await w.untilStatus('it follows', ({ members }) => members[1]?.phase === 'following');
      expect(w.journal.slice(asked).filter(({ member, act }) => member === 'pg-b' && act === 'primary')).toEqual([]);
    },
  );

  scene('paused: nothing is promoted; resumed: it is', {}, async (w) => {
    await w.steady();
    await w.ask('pause', { untilResumed: true });
    expect((await w.status()).phase).toBe('paused');
    w.member('pg-a').die();
    const { held } = await w.untilStatus('it is held back', (status) => status.held !== undefined);
    expect(held).toMatchObject({ rule: 'paused', words: expect.stringContaining(SIGNED.reason) as string });
    // The rate limit is not what holds it.
    await w.ask('override');
    expect((await w.status()).held?.rule).toBe('paused');
    expect(w.asked('promote')).toEqual([]);
    await w.ask('resume');
    await w.untilStatus('somebody else is primary', ({ primary, phase }) => primary !== 'pg-a' && phase === 'steady');
  });

  scene('a pause has an end', {}, async (w) => {
    await w.steady();
    await w.ask('pause', { untilMs: Date.now() + 6000 });
    w.member('pg-a').die();
    await w.untilStatus('it is held back', (status) => status.held?.rule === 'paused');
    const status = await w.untilStatus('somebody else is primary', ({ primary, phase }) => primary !== 'pg-a' && phase === 'steady');
    expect(status.paused).toBeUndefined();
  });

  scene(
    'a start in place that takes long is not given up while nobody may be promoted by itself',
    { durability: { mode: 'async' }, ...policy({ restartWithinMs: 1500 }) },
    async (w) => {
      await w.steady();
      await w.ask('pause', { untilResumed: true });
      const a = w.member('pg-a');
      let recovered: () => void = () => {};
      a.recovery = new Promise((resolve) => {
        recovered = resolve;
      });
      for (const name of ['pg-b', 'pg-c']) w.cut.add(name);
      // A promotion would be held back, and the member may come back meanwhile.
      a.crash();
      await w.until('its role is taken up anew', () => w.asked('primary').length === 2);
      const dueMs = Date.now() + 3000;
      await w.until('it would have been given up', () => Date.now() > dueMs);
      recovered();
      const status = await w.untilStatus('it is open', ({ members }) => members[0]?.phase === 'open');
      expect(status).toMatchObject({ epoch: 1, primary: 'pg-a' });
      expect(w.asked('primary')).toHaveLength(2);
    },
  );

  scene('observing: it says whom it would have promoted and why, and promotes nobody; the primary may come back', policy({ mode: 'observe' }), async (w) => {
    await w.steady();
    w.member('pg-a').die();
    await w.untilStatus('it has said so', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('observed') === true);
    expect((await w.failover(2)).outcome).toMatchObject({
      outcome: 'observed',
      wouldPromote: 'pg-b',
      words: expect.stringContaining('no heartbeat') as string,
    });
    expect(w.asked('promote')).toEqual([]);
    w.member('pg-a').start();
    await w.untilPrimary('pg-a');
  });
});

describe('approval', () => {
  const required = policy({ approval: 'required', approvalWithinMs: HOUR_MS });
  const incident = (w: World) => stage.client.workflow.getHandle(`failover/${w.group}/2`);
  const untilAsked = (w: World): Promise<void> =>
    w.until('a person is asked', async () => {
      try {
        return (await incident(w).query<Incident>('incident')).steps.some(({ name }) => name === 'approval');
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    });

  scene('given by update: members are asked anew, and the best is promoted', required, async (w) => {
    await w.steady();
    w.member('pg-a').crash();
    await untilAsked(w);
    expect(w.asked('promote')).toEqual([]);
    await expect(incident(w).executeUpdate('approve', { args: [{ by: 'ada' }] })).rejects.toMatchObject({ cause: { type: 'Refused' } });
    await incident(w).executeUpdate('approve', { args: [SIGNED] });
    await w.untilPrimary('pg-b');
    expect(w.asked('inspect')).toContain('inspect/pg-b/2/2');
    expect((await w.failover(2)).evidence.map(({ words }) => words)).toContain(`ada approved: ${SIGNED.reason}`);
  });

  scene('given by signal, after one that says nothing', required, async (w) => {
    await w.steady();
    w.member('pg-a').crash();
    await untilAsked(w);
    await incident(w).signal('approve');
    await incident(w).signal('approve', { by: 7 });
    await incident(w).signal('approve', SIGNED);
    await w.untilPrimary('pg-b');
  });

  scene('declined: nobody is promoted, and the primary may come back', required, async (w) => {
    await w.steady();
    w.member('pg-a').die();
    await untilAsked(w);
    await incident(w).signal('decline', SIGNED);
    await w.untilStatus('it is over', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('not-approved') === true);
    expect(w.asked('promote')).toEqual([]);
    w.member('pg-a').start();
    await w.untilPrimary('pg-a');
  });

  scene('is not asked of a person who asked for the failover', required, async (w) => {
    await w.steady();
    await w.ask('failover', { to: 'pg-c' });
    await w.untilPrimary('pg-c');
  });
});
