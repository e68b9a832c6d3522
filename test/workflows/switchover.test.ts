import { describe, expect } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { NEVER } from '../support/fake-member.ts';
import { useStage } from '../support/workflow-stage.ts';
import type { World } from '../support/workflow-world.ts';

const { stage, scene } = useStage();

function idsOf(world: World, ...acts: string[]): string[] {
  return world.asked(...acts).map((id) => id.replace(/\/\d{10,}$/, ''));
}

/** The old primary is open again, everybody follows it, and nobody is left at another epoch. */
async function untilGivenBack(w: World): Promise<void> {
  const status = await w.untilStatus(
    'pg-a is open again, and both others follow',
    ({ primary, phase, members, incidents }) =>
      primary === 'pg-a' &&
      phase === 'steady' &&
      incidents.every(({ endedAtMs }) => endedAtMs !== undefined) &&
      members.every(({ name, phase: of }) => of === (name === 'pg-a' ? 'open' : 'following')),
  );
  expect(status.members.map(({ epoch }) => epoch)).toEqual(status.members.map(() => status.epoch));
}

describe('a switchover', () => {
  scene(
    'checks, checkpoints, stops the old primary in order, promotes once, and only then publishes',
    { records: [{ name: 'db.test.', type: 'SRV', ttlSeconds: 5, provider: 'dns' }] },
    async (w) => {
      await w.steady();
      await w.until('the first primary is published', () => w.published.length > 0);
      const before = w.journal.length;
      await w.ask('switchover', { to: 'pg-c' });
      const status = await w.untilPrimary('pg-c');
      expect(status.epoch).toBe(2);
      const incident = await w.switchover(2);
      const ids = w.journal.slice(before).map(({ id }) => id.replace(/\/\d{10,}$/, ''));
      const order = ['inspect/pg-c/1/check', 'checkpoint/pg-c/1', 'step-down/pg-a/2', 'promote/pg-c/2', 'first-write/pg-c/2'].map((id) => ids.indexOf(id));
      expect(order).toEqual(order.toSorted((a, b) => a - b));
      expect(order).not.toContain(-1);
      expect(ids.filter((id) => id.startsWith('promote/'))).toEqual(['promote/pg-c/2']);
      expect(w.journal.find(({ id }) => id === 'promote/pg-c/2')?.ask).toMatchObject({ proof: 'agent', fromLsn: w.member('pg-a').database.lsn });
      await w.untilStatus('the old primary follows the new one', ({ members }) => members[0]?.role === 'standby' && members[0].phase === 'following');
      expect(w.published.at(-1)?.record).toMatchObject({ epoch: 2, values: [`0 0 3 127.0.0.1.`] });
      expect(incident.outcome).toMatchObject({ outcome: 'done', primary: 'pg-c' });
      expect(incident.loss.kind).toBe('none');
    },
  );

  scene('to a target that is not fit is refused before anything is touched: nobody is asked to stop, and every role goes on', {}, async (w) => {
    await w.steady();
    w.member('pg-b').database.replayPaused = true;
    const roles = idsOf(w, 'primary', 'standby').length;
    await w.ask('switchover', { to: 'pg-b' });
    await w.untilStatus('it is refused', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('refused') === true);
    const status = await w.status();
    expect(status).toMatchObject({ primary: 'pg-a', epoch: 1, phase: 'steady' });
    expect(idsOf(w, 'checkpoint', 'stepDown', 'promote')).toEqual([]);
    expect(idsOf(w, 'primary', 'standby')).toHaveLength(roles);
  });

  scene('that meets a primary which has just crashed is refused, and the crash is answered as any other', {}, async (w) => {
    await w.steady();
    w.member('pg-b').once('inspect', async (usual) => {
      w.member('pg-a').crash();
      return usual();
    });
    await w.ask('switchover', { to: 'pg-b' });
    const status = await w.untilStatus(
      'somebody is primary again',
      ({ epoch, phase, incidents }) => phase === 'steady' && epoch > 1 && incidents.filter(({ endedAtMs }) => endedAtMs !== undefined).length === 2,
    );
    expect(status.primary).not.toBe('pg-a');
    expect(status.incidents.map(({ outcome }) => outcome.split(':')[0])).toEqual(['refused', 'done']);
  });

  scene('I6: a stop that was not in order gives the role back, and nobody is promoted', {}, async (w) => {
    await w.steady();
    w.member('pg-a').once('stepDown', async (usual) => ({ ...((await usual()) as object), clean: false }));
    await w.ask('switchover', { to: 'pg-b' });
    await untilGivenBack(w);
    expect(idsOf(w, 'promote')).toEqual([]);
    expect((await w.switchover(2)).outcome).toMatchObject({ outcome: 'given-back', primary: 'pg-a' });
  });

  scene('I6: a stop that fails gives the role back', {}, async (w) => {
    await w.steady();
    w.member('pg-a').once('stepDown', () => {
      throw new UnderstudyError('DatabaseFailed', 'it does not stop');
    });
    await w.ask('switchover', { to: 'pg-b' });
    await w.untilStatus('it is over', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('given-back') === true);
    await untilGivenBack(w);
    expect(idsOf(w, 'promote')).toEqual([]);
  });

  scene('I6: a target that refuses its promotion gives the old primary its role back, above the epoch that the target has seen', {}, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    b.once('promote', (_usual, ask: { epoch: number }) => {
      b.epoch = ask.epoch;
      throw new UnderstudyError('DatabaseFailed', 'it stands before the place that was counted on');
    });
    await w.ask('switchover', { to: 'pg-b' });
    await w.untilStatus('it is over', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('given-back') === true);
    await untilGivenBack(w);
    expect((await w.status()).epoch).toBe(3);
    expect((await w.switchover(2)).steps.map(({ name }) => name)).toContain('give-back');
  });

  scene('a target that dies in its promotion may have opened: it is no switchover any more, and counts as a lost primary', {}, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    b.once('promote', async (usual) => {
      await usual();
      b.die();
      return NEVER;
    });
    await w.ask('switchover', { to: 'pg-b' });
    await w.untilStatus('a failover follows', ({ incidents }) => incidents.at(-1)?.id === `failover/${w.group}/3`);
    expect((await w.switchover(2)).outcome).toMatchObject({ outcome: 'failed', perhaps: { member: 'pg-b', epoch: 2 } });
    b.start();
    await w.untilPrimary('pg-b');
  });

  scene('I6: cancelled while the old primary stops, it gives the role back', {}, async (w) => {
    await w.steady();
    w.member('pg-a').once('stepDown', async (usual) => {
      await stage.client.workflow.getHandle(`switchover/${w.group}/2`).cancel();
      return usual();
    });
    await w.ask('switchover', { to: 'pg-b' });
    await w.untilStatus('it is over', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('given-back') === true);
    await untilGivenBack(w);
    expect(idsOf(w, 'promote')).toEqual([]);
  });

  scene(
    'cancelled while the target is being promoted, it goes on: the target is the primary',
    { records: [{ name: 'db.test.', type: 'A', ttlSeconds: 5, provider: 'dns' }] },
    async (w) => {
      await w.steady();
      w.member('pg-b').once('promote', async (usual) => {
        const answer = await usual();
        await stage.client.workflow.getHandle(`switchover/${w.group}/2`).cancel();
        return answer;
      });
      await w.ask('switchover', { to: 'pg-b' });
      await w.untilPrimary('pg-b');
      expect((await w.switchover(2)).outcome).toMatchObject({ outcome: 'done', primary: 'pg-b' });
      expect(w.published.at(-1)?.record.epoch).toBe(2);
    },
  );

  scene('whose old primary dies before it has stopped gives a role back that nobody takes up: the failover follows by itself', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    a.once('stepDown', () => {
      a.die();
      return NEVER;
    });
    await w.ask('switchover', { to: 'pg-b' });
    await w.untilStatus('somebody else is primary', ({ primary, phase }) => primary !== 'pg-a' && phase === 'steady', 60_000);
    expect((await w.status()).incidents.map(({ outcome }) => outcome.split(':')[0])).toEqual(['given-back', 'done']);
  });
});
