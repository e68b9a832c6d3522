import { describe, expect } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { member } from '../decide/world.ts';
import { useStage } from '../support/workflow-stage.ts';
import type { World } from '../support/workflow-world.ts';

const { scene } = useStage();

/** How far apart one member's standby's roles were offered, in milliseconds. */
function pauses(w: World, name: string): number[] {
  const at = w.journal.filter((one) => one.member === name && one.act === 'standby').map(({ atMs }) => atMs);
  return at.slice(1).map((one, i) => one - (at[i] ?? 0));
}

describe('a standby', () => {
  scene('that fails is offered its role again, later each time, until it follows', {}, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    b.always('standby', () => {
      throw new UnderstudyError('CloneFailed', 'no space left on the device');
    });
    const before = pauses(w, 'pg-b').length;
    b.end({ end: 'failed', words: 'the database ended 4 times' });
    await w.until('it is offered three times more', () => pauses(w, 'pg-b').length >= before + 3);
    const [first, second, third] = pauses(w, 'pg-b').slice(before);
    expect(second).toBeGreaterThanOrEqual(1900);
    expect(third).toBeGreaterThanOrEqual(3900);
    expect(first).toBeDefined();
    expect((await w.status()).members[1]).toMatchObject({ phase: 'waiting', lastEnd: expect.stringContaining('no space left') as string });
    b.always('standby', undefined);
    await w.untilStatus('it follows', ({ members }) => members[1]?.phase === 'following');
    expect((await w.status()).primary).toBe('pg-a');
  });

  scene("I1: that had failed, and is promoted before its next offer was due, keeps the primary's role when that comes due", {}, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    // It streams on, and can be promoted, though its role fails.
    for (let i = 0; i < 3; i += 1) {
      b.once('standby', () => {
        throw new UnderstudyError('DatabaseFailed', 'the control connection is lost');
      });
    }
    b.end({ end: 'failed', words: 'the control connection is lost' });
    await w.until('its next offer is some seconds away', () => pauses(w, 'pg-b').length >= 3);
    const dueMs = Date.now() + 8000;
    w.member('pg-a').crash();
    await w.untilPrimary('pg-b');
    expect(Date.now()).toBeLessThan(dueMs);
    await w.until('the offer would have been due', () => Date.now() > dueMs + 500);
    expect(b.database.writable).toBe(true);
    expect((await w.untilPrimary('pg-b')).members[1]).toMatchObject({ role: 'primary', phase: 'open' });
    expect(w.journal.findLast(({ member: name, act }) => name === 'pg-b' && (act === 'standby' || act === 'primary'))?.act).toBe('primary');
  });

  scene('whose node dies finds its role waiting when it returns', {}, async (w) => {
    await w.steady();
    const c = w.member('pg-c');
    c.die();
    await w.untilStatus('it is silent', ({ members }) => members[2]?.phase === 'waiting' && members[2].lastEnd?.startsWith('silent') === true);
    expect(w.asked('promote')).toEqual([]);
    c.start();
    await w.untilStatus('it follows', ({ members }) => members[2]?.phase === 'following');
  });

  scene('that fails and is taken out of the configuration is never ordered anything again', {}, async (w) => {
    await w.steady();
    const c = w.member('pg-c');
    c.always('standby', () => {
      throw new UnderstudyError('CloneFailed', 'no space left on the device');
    });
    c.end({ end: 'failed', words: 'the database ended 4 times' });
    await w.until('it has failed twice', () => pauses(w, 'pg-c').length >= 2);
    await w.ask('change', { spec: { ...w.spec, members: w.spec.members.slice(0, 2) } });
    const asked = pauses(w, 'pg-c').length;
    const dueMs = Date.now() + 4500;
    await w.until('its next offer would have been due', () => Date.now() > dueMs);
    expect(pauses(w, 'pg-c')).toHaveLength(asked);
    expect((await w.status()).members.map(({ name }) => name)).toEqual(['pg-a', 'pg-b']);
  });

  scene(
    'that has seen a later epoch than its group refuses, says so, and is healed by the next incident',
    { members: [member('pg-a', { port: 1 }), member('pg-b', { port: 2 }), member('pg-c', { port: 3 })] },
    async (w) => {
      await w.steady();
      const c = w.member('pg-c');
      c.epoch = 5;
      c.end({ end: 'failed', words: 'the database ended 4 times' });
      const status = await w.untilStatus('it has refused', ({ members }) => members[2]?.lastEnd?.includes('has acted on epoch 5') === true);
      expect(status.primary).toBe('pg-a');
      await w.ask('switchover', { to: 'pg-b' });
      const after = await w.untilStatus(
        'everybody follows the new primary',
        ({ primary, phase, members }) =>
          primary === 'pg-b' && phase === 'steady' && members.every(({ name, phase: of }) => name === 'pg-b' || of === 'following'),
      );
      expect(after.epoch).toBe(6);
    },
  );
});
