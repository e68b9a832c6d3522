import { describe, expect } from 'vitest';
import type { GovernAsk } from '../../src/model/act.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import { useStage } from '../support/workflow-stage.ts';
import type { World } from '../support/workflow-world.ts';

const { scene } = useStage();

const governed = (w: World): GovernAsk[] => w.journal.filter(({ act }) => act === 'govern').map(({ ask }) => ask as GovernAsk);

describe('the commit rule', () => {
  scene('I2: is recorded as strict only after it was confirmed on the primary, and as loose before it is told', {}, async (w) => {
    const recordedAt: string[] = [];
    const a = w.member('pg-a');
    a.always('govern', async (usual, ask: GovernAsk) => {
      const { rule } = await w.status();
      recordedAt.push(`${ask.confirm ? 'confirm' : 'apply'} ${ask.rule.names.join('+')}; recorded ${rule.names.join('+') || 'nothing'}`);
      return usual();
    });
    await w.steady();
    expect(recordedAt.filter((line) => line.startsWith('confirm') && line.includes('pg-b+pg-c; recorded pg-b+pg-c'))).toEqual([]);
    expect(recordedAt.some((line) => line.startsWith('confirm pg-b+pg-c'))).toBe(true);
    recordedAt.length = 0;
    w.member('pg-c').die();
    await w.untilStatus('pg-b alone confirms', ({ rule, electable }) => rule.names.join() === 'pg-b' && electable.join() === 'pg-b');
    // Tightening from "one of two" to "this one": applied, confirmed, and recorded at the end.
    expect(recordedAt.filter((line) => line.endsWith('recorded pg-b'))).toEqual([]);
    w.member('pg-c').start();
    await w.untilStatus('both confirm', ({ rule, electable }) => rule.names.length === 2 && electable.length === 2);
    // Relaxing: recorded before the primary is told.
    const apply = recordedAt.findIndex((line) => line.startsWith('apply pg-b+pg-c'));
    expect(recordedAt[apply] ?? recordedAt.find((line) => line.startsWith('confirm pg-b+pg-c'))).toMatch(/recorded pg-b\+pg-c$/);
  });

  scene(
    'with nobody left to confirm, writes block until the policy relaxes it, which is undone by itself',
    { durability: { mode: 'sync', confirm: 1, relaxAfterMs: 1500 } },
    async (w) => {
      await w.steady();
      for (const name of ['pg-b', 'pg-c']) w.member(name).die();
      const status = await w.untilStatus('it is relaxed', ({ rule }) => rule.count === 0);
      expect(status.electable).toEqual([]);
      await w.until('the primary is told', () => governed(w).at(-1)?.rule.count === 0);
      w.member('pg-b').start();
      await w.untilStatus('it is in force again', ({ rule }) => rule.count === 1 && rule.names.join() === 'pg-b');
    },
  );

  scene('with nobody left and no such policy, it stands', {}, async (w) => {
    await w.steady();
    for (const name of ['pg-b', 'pg-c']) w.member(name).die();
    await w.untilStatus('nobody could take over', ({ electable }) => electable.length === 0);
    expect((await w.status()).rule.count).toBe(1);
  });

  scene('an order that the primary cannot obey is repeated with pauses, not in a loop, and holds up nothing after it', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    a.always('govern', () => {
      throw new UnderstudyError('DatabaseUnreachable', 'no connection within 1000 ms');
    });
    const before = governed(w).length;
    w.member('pg-c').die();
    await w.until('it is tried a second time', () => governed(w).length >= before + 2);
    const first = w.journal.filter(({ act }) => act === 'govern')[before]?.atMs ?? 0;
    const second = w.journal.filter(({ act }) => act === 'govern')[before + 1]?.atMs ?? 0;
    expect(second - first).toBeGreaterThanOrEqual(900);
    a.always('govern', undefined);
    await w.untilStatus('pg-b alone confirms', ({ rule }) => rule.names.join() === 'pg-b');
  });

  scene('an excluded member confirms nothing and is not promoted; included, it is again', {}, async (w) => {
    await w.steady();
    await w.ask('exclude', { member: 'pg-b' });
    await w.untilStatus('pg-c alone counts', ({ rule, electable }) => rule.names.join() === 'pg-c' && electable.join() === 'pg-c');
    await expect(w.ask('exclude', { member: 'pg-c' })).rejects.toMatchObject({ cause: { message: expect.stringContaining('last member') as string } });
    w.member('pg-a').crash();
    await w.untilPrimary('pg-c');
    await w.ask('include', { member: 'pg-b' });
    await w.untilStatus('pg-b counts again', ({ rule, electable }) => rule.names.includes('pg-b') && electable.includes('pg-b'));
  });
});
