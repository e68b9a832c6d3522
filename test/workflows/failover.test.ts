import { describe, expect } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { member } from '../decide/world.ts';
import { NEVER } from '../support/fake-member.ts';
import { useStage } from '../support/workflow-stage.ts';
import { SIGNED, type World } from '../support/workflow-world.ts';

const { stage, scene } = useStage();
const TWO = [member('pg-a', { port: 1 }), member('pg-b', { port: 2 })];
const THREE_ASYNC = { durability: { mode: 'async' } } as const;

/** The ids, without what changes from run to run. */
function idsOf(world: World, ...acts: string[]): string[] {
  return world.asked(...acts).map((id) => id.replace(/\/\d{10,}$/, ''));
}

describe('a failover', () => {
  scene('a crash is told by the agent: the others are frozen and asked, the best is promoted, and everybody gets a role of the next epoch', {}, async (w) => {
    await w.steady();
    const before = w.journal.length;
    w.member('pg-a').crash();
    await w.untilPrimary('pg-b');
    // The old primary's way back begins a moment after the promotion: clients come first.
    await w.until('the old primary is to follow', () => w.journal.slice(before).some(({ id }) => id.startsWith('standby/pg-a/2/')));
    const ids = w.journal.slice(before).map(({ id }) => id.replace(/\/\d{10,}$/, ''));
    const order = ['inspect/pg-b/2/1', 'promote/pg-b/2', 'first-write/pg-b/2'].map((id) => ids.indexOf(id));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(-1);
    expect(ids).toContain('primary/pg-b/2');
    expect(ids).toContain('standby/pg-a/2');
    // The others are pointed at the winner once, while it is being promoted.
    expect(ids.filter((id) => id === 'standby/pg-c/2')).toHaveLength(1);
    expect(w.journal.find(({ id }) => id === 'inspect/pg-b/2/1')?.ask).toMatchObject({ freeze: 'when-unfed' });
    expect(w.journal.find(({ id }) => id === 'promote/pg-b/2')?.ask).toMatchObject({
      proof: 'agent',
      rule: { names: ['pg-c'], count: 1 },
      electable: ['pg-c'],
    });
    const incident = await w.failover(2);
    expect(incident.outcome).toMatchObject({ outcome: 'done', primary: 'pg-b', epoch: 2 });
    expect(incident.loss.kind).toBe('none');
  });

  scene('I3: a lease that ran out is no proof: members are frozen only when quiet, and the promotion waits out its quarantine', {}, async (w) => {
    await w.steady();
    w.member('pg-a').die();
    await w.untilPrimary('pg-b');
    expect(w.journal.find(({ id }) => id === 'inspect/pg-b/2/1')?.ask).toMatchObject({ freeze: 'when-quiet' });
    expect(w.journal.find(({ id }) => id === 'promote/pg-b/2')?.ask).toMatchObject({ proof: 'lease' });
    expect((await w.failover(2)).cause.kind).toBe('lease-expired');
  });

  scene('I3: standbys that are still fed by the primary promote nobody: its role is offered to it again, and taken up at the same epoch', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    // The agent is gone for long; the database goes on, as it may while its standbys confirm it (protocol 3).
    a.loseAgent();
    Object.defineProperty(a.database, 'running', { get: () => true, set: () => {}, configurable: true });
    const status = await w.untilStatus('the incident has seen the primary live', ({ incidents }) =>
      incidents.some(({ outcome }) => outcome.startsWith('primary-lives')),
    );
    expect(status.epoch).toBe(1);
    Object.defineProperty(a.database, 'running', { value: true, writable: true, configurable: true });
    a.start();
    await w.untilPrimary('pg-a');
    expect(idsOf(w, 'promote')).toEqual([]);
    expect((await w.status()).epoch).toBe(1);
  });

  scene('I10: where Temporal itself was away, the incident says so and nothing is done', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    w.member('pg-b').away = { lastedMs: 60_000, endedAgoMs: 200 };
    a.loseAgent();
    Object.defineProperty(a.database, 'running', { get: () => true, set: () => {}, configurable: true });
    await w.untilStatus('the incident is over', ({ incidents }) =>
      incidents.some(({ outcome }) => outcome.startsWith('primary-lives: orchestrator away, nothing done: Temporal did not answer pg-b for up to 60.0 s')),
    );
    Object.defineProperty(a.database, 'running', { value: true, writable: true, configurable: true });
    a.start();
    await w.untilPrimary('pg-a');
    expect(idsOf(w, 'promote')).toEqual([]);
  });

  scene('a primary that had to fence itself while Temporal was away comes before anybody who could be promoted over it', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    for (const name of ['pg-b', 'pg-c']) w.member(name).away = { lastedMs: 60_000, endedAgoMs: 200 };
    // Its agent beats no more, and is there again by the time that it is asked.
    a.die();
    a.database.running = false;
    a.start();
    const status = await w.untilStatus(
      'it is back',
      ({ incidents, phase }) => phase === 'steady' && incidents.some(({ outcome }) => outcome.startsWith('restarted: orchestrator away')),
    );
    expect(status).toMatchObject({ epoch: 1, primary: 'pg-a' });
    expect(idsOf(w, 'promote')).toEqual([]);
  });

  scene('a primary that was seen to live and then dies unseen is missed all the same', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    a.loseAgent();
    Object.defineProperty(a.database, 'running', { get: () => true, set: () => {}, configurable: true });
    await w.untilStatus('the incident has seen the primary live', ({ incidents }) => incidents.some(({ outcome }) => outcome.startsWith('primary-lives')));
    Object.defineProperty(a.database, 'running', { value: false, writable: true, configurable: true });
    a.die();
    await w.untilPrimary('pg-b');
  });

  scene(
    'one that lives out of sight is left alone without another incident while everybody follows it, and missed as soon as somebody does not',
    {},
    async (w) => {
      await w.steady();
      const a = w.member('pg-a');
      a.loseAgent();
      Object.defineProperty(a.database, 'running', { get: () => true, set: () => {}, configurable: true });
      await w.until('its role is offered a third time', async () => {
        const { events } = await w.history();
        const offered = (events ?? []).filter(({ activityTaskScheduledEventAttributes: asked }) => asked?.activityId?.startsWith('primary/pg-a/') === true);
        return offered.length >= 3;
      });
      expect((await w.status()).incidents.map(({ outcome }) => outcome)).toEqual([expect.stringMatching(/^primary-lives/)]);
      Object.defineProperty(a.database, 'running', { value: false, writable: true, configurable: true });
      a.die();
      await w.untilPrimary('pg-b');
      expect((await w.status()).incidents).toHaveLength(2);
    },
  );

  scene('async: a crash whose promotion would lose something is answered by a start in place, at the same epoch', { ...THREE_ASYNC }, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    w.cut.add('pg-b').add('pg-c');
    a.database.at += 512;
    a.crash();
    const status = await w.untilStatus(
      'the incident is over, and the primary is back',
      ({ incidents, phase }) => phase === 'steady' && incidents.some(({ outcome }) => outcome.startsWith('restarted')),
    );
    expect(status).toMatchObject({ epoch: 1, primary: 'pg-a' });
    expect(idsOf(w, 'promote')).toEqual([]);
  });

  scene('a start in place that does not come within the limit is taken back, and the failover follows', { ...THREE_ASYNC }, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    a.database.at += 512;
    w.cut.add('pg-b').add('pg-c');
    a.always('primary', (usual) => {
      a.database.standby = true;
      return usual();
    });
    a.crash();
    await w.untilPrimary('pg-b');
    expect((await w.status()).incidents.length).toBeGreaterThan(1);
  });

  scene('I2: where nobody can be promoted without loss it asks again, and gives the role back to the old primary when that returns', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    for (const name of ['pg-b', 'pg-c']) w.member(name).database.replayPaused = true;
    a.die();
    await w.until('the question is asked anew', () => idsOf(w, 'inspect').filter((id) => id.startsWith('inspect/pg-b/2/')).length > 1);
    a.start();
    const status = await w.untilStatus('the old primary is open again', ({ primary, phase }) => primary === 'pg-a' && phase === 'steady');
    expect(status.incidents.at(-1)?.outcome).toMatch(/^restarted/);
    expect(idsOf(w, 'promote')).toEqual([]);
  });

  scene('where nobody can be promoted without loss, a person may accept the loss while the incident still asks', {}, async (w) => {
    await w.steady();
    // pg-c alone may have confirmed something.
    for (const name of ['pg-a', 'pg-c']) w.member(name).die();
    await w.untilStatus('nobody is fit', ({ words }) => words?.startsWith('nobody is promoted yet') === true);
    await expect(w.ask('failover')).rejects.toMatchObject({ cause: { type: 'Refused' } });
    await expect(w.ask('failover', { acceptLoss: true, to: 'pg-b' })).rejects.toMatchObject({ cause: { type: 'Refused' } });
    expect(await w.ask('failover', { acceptLoss: true })).toMatchObject({ incident: `failover/${w.group}/2` });
    await w.untilPrimary('pg-b');
    const incident = await w.failover(2);
    expect(incident).toMatchObject({ outcome: { outcome: 'done', primary: 'pg-b', epoch: 2 }, loss: { kind: 'at-most' } });
    expect(incident.evidence.map(({ words }) => words)).toContain(`acknowledged writes may be lost: ${SIGNED.reason}`);
  });

  scene('where the incident has ended and nobody was fit, a person who vouches for the fence and accepts the loss is heard', { ...THREE_ASYNC }, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    b.once('promote', async (usual) => {
      await usual();
      b.die();
      return NEVER;
    });
    w.member('pg-a').crash();
    const { phase } = await w.untilStatus('nobody was fit', ({ incidents }) => incidents.some(({ outcome }) => outcome.startsWith('nobody-fit')));
    expect(phase).toBe('starting');
    await expect(w.ask('switchover')).rejects.toMatchObject({ cause: { type: 'Refused', message: expect.stringContaining('takes no writes') as string } });
    await w.ask('failover', { fencedByHand: true, acceptLoss: true });
    const { primary } = await w.untilStatus('somebody else is primary', (status) => status.primary !== 'pg-b' && status.phase === 'steady');
    // The one whose process ended is well again by now, and may be it.
    expect(['pg-a', 'pg-c']).toContain(primary);
  });

  scene('a candidate that refuses its promotion costs an epoch, and the next one is promoted', {}, async (w) => {
    await w.steady();
    w.member('pg-b').once('promote', () => {
      throw new UnderstudyError('DatabaseFailed', 'it stands before the place that was counted on');
    });
    w.member('pg-a').crash();
    // pg-b alone confirms nothing more: with both answers in, pg-c is as far.
    await w.untilPrimary('pg-c');
    expect(idsOf(w, 'promote')).toEqual(['promote/pg-b/2', 'promote/pg-c/3']);
    const incident = await w.failover(2);
    expect(incident.outcome).toMatchObject({ outcome: 'done', primary: 'pg-c', epoch: 3 });
    const last = incident.elections.at(-1);
    expect(last?.input).toMatchObject({ excluded: [], refused: ['pg-b'] });
    expect(last?.verdicts.find(({ member }) => member === 'pg-b')?.words).toBe('has refused its promotion in this incident');
    await w.untilStatus('everybody follows at the new epoch', ({ members }) =>
      members.every(({ name, phase, epoch }) => name === 'pg-c' || (phase === 'following' && epoch === 3)),
    );
  });

  scene('two members: one that refused its promotion has seen the epoch, and the group goes on above it', { members: TWO }, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    b.always('promote', async (usual, ask: { epoch: number }) => {
      b.epoch = Math.max(b.epoch, ask.epoch);
      throw new UnderstudyError('DatabaseFailed', 'its disk is full');
    });
    w.member('pg-a').die();
    await w.until('the promotion is refused', () => idsOf(w, 'promote').length > 0);
    w.member('pg-a').start();
    const status = await w.untilStatus(
      'pg-a is open and pg-b follows it',
      ({ primary, phase, members }) => primary === 'pg-a' && phase === 'steady' && members.some(({ name, phase: of }) => name === 'pg-b' && of === 'following'),
      60_000,
    );
    expect(status.epoch).toBeGreaterThan(2);
    expect(w.member('pg-a').epoch).toBe(status.epoch);
  });

  scene(
    'I1, I2: a candidate that dies in its promotion counts as the lost primary of that epoch: nobody is promoted over what it alone may hold, and it goes on when it returns',
    {},
    async (w) => {
      await w.steady();
      const b = w.member('pg-b');
      b.once('promote', async (usual) => {
        await usual();
        b.die();
        return NEVER;
      });
      w.member('pg-a').crash();
      await w.untilStatus('the next incident has begun', ({ incidents }) => incidents.some(({ epoch }) => epoch === 3));
      expect((await w.failover(2)).outcome).toMatchObject({ outcome: 'failed', perhaps: { member: 'pg-b', epoch: 2 } });
      await w.until('the next one asks anew', () => w.asked('inspect').includes('inspect/pg-c/3/2'));
      b.start();
      const status = await w.untilPrimary('pg-b');
      expect(status.epoch).toBe(2);
      const third = await w.failover(3);
      expect(third.before).toMatchObject({ primary: 'pg-b', epoch: 2 });
      expect(third.outcome.outcome).toBe('restarted');
      expect(idsOf(w, 'promote')).toEqual(['promote/pg-b/2']);
    },
  );

  scene(
    'a candidate that fell silent before it opened proves that when it returns: the group goes on from the primary of before, whose last place it knows',
    { durability: { mode: 'async' } },
    async (w) => {
      await w.steady();
      const b = w.member('pg-b');
      b.once('promote', () => {
        b.die();
        return NEVER;
      });
      w.member('pg-a').crash();
      await w.untilStatus('the next incident found nobody', ({ incidents }) =>
        incidents.some(({ epoch, outcome }) => epoch === 3 && outcome.startsWith('nobody-fit')),
      );
      b.start();
      const status = await w.untilStatus('a primary is open', ({ phase }) => phase === 'steady');
      expect(status.primary).not.toBe('pg-a');
      const last = await w.failover(status.epoch);
      expect(last.before).toMatchObject({ primary: 'pg-a' });
      expect(last.outcome.outcome).toBe('done');
    },
  );

  scene(
    'a primary whose role ends at once, where nobody is fit, is offered it with pauses: no incident a moment',
    { durability: { mode: 'async' } },
    async (w) => {
      await w.steady();
      const b = w.member('pg-b');
      b.once('promote', () => {
        b.die();
        return NEVER;
      });
      w.member('pg-a').crash();
      await w.untilStatus('nobody was fit', ({ incidents }) => incidents.some(({ epoch, outcome }) => epoch === 3 && outcome.startsWith('nobody-fit')));
      b.database.directory = 'empty';
      b.start();
      const offers = (): number => w.asked('primary').filter((id) => id.startsWith('primary/pg-b/')).length;
      const before = offers();
      await w.until('it was offered the role again, three times', () => offers() >= before + 3);
      expect((await w.status()).incidents.map(({ epoch }) => epoch)).toEqual([2, 3]);
    },
  );

  scene('I1: a guard that could not be asked at the end of a promotion is no word that nothing was opened', {}, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    b.once('promote', async (usual) => {
      await usual();
      throw new UnderstudyError('GuardUnreachable', 'the guard cannot be asked');
    });
    w.member('pg-a').crash();
    await w.untilStatus('an incident has begun', ({ incidents }) => incidents.length > 0);
    const incident = await w.failover(2);
    expect(incident.outcome).toMatchObject({ outcome: 'failed', perhaps: { member: 'pg-b', epoch: 2 } });
    await w.untilStatus('a primary is open', ({ phase }) => phase === 'steady');
  });

  scene('I1: an incident that is terminated in the middle of a promotion may have opened whom it elected: nobody else is opened beside it', {}, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    b.once('promote', async (usual) => {
      const answer = await usual();
      await gate;
      return answer;
    });
    w.member('pg-a').crash();
    await w.until('the promotion is under way', () => b.database.writable);
    await w.terminate(`failover/${w.group}/2`);
    await w.untilStatus('the next incident has begun or ended', ({ incidents }) => incidents.some(({ epoch }) => epoch === 3));
    go();
    const status = await w.untilStatus('a primary is open', ({ phase }) => phase === 'steady', 60_000);
    expect(status.epoch).toBeGreaterThan(1);
    expect(status.primary).not.toBe('pg-a');
  });

  scene('cancelled before anybody is promoted it says so, and the group tries again later; cancelled afterwards it goes on', {}, async (w) => {
    await w.steady();
    const b = w.member('pg-b');
    b.once('promote', async (usual) => {
      const answer = await usual();
      await stage.client.workflow.getHandle(`failover/${w.group}/2`).cancel();
      return answer;
    });
    w.member('pg-a').crash();
    await w.untilPrimary('pg-b');
    expect((await w.failover(2)).outcome).toMatchObject({ outcome: 'done', primary: 'pg-b' });
    w.member('pg-c').once('inspect', async (usual) => {
      await stage.client.workflow.getHandle(`failover/${w.group}/3`).cancel();
      return usual();
    });
    await w.untilStatus('both others follow', ({ electable, rule }) => electable.length === 2 && rule.names.length === 2);
    b.crash();
    await w.untilStatus('it is over', ({ incidents }) => incidents.at(-1)?.outcome.includes('cancelled') === true);
    // Its database can be opened again where it is: nobody waits for the next try.
    await w.untilPrimary('pg-b');
  });

  scene(
    'a new primary that dies while its incident still waits for DNS is missed, and failed over',
    { records: [{ name: 'db.test.', type: 'A', ttlSeconds: 5, provider: 'dns' }] },
    async (w) => {
      w.publish = () => ({ outcome: 'unreachable', words: 'no answer' });
      await w.steady();
      w.member('pg-a').crash();
      await w.untilStatus('pg-b is open', ({ primary, phase }) => primary === 'pg-b' && phase === 'steady');
      await w.untilStatus('both others follow', ({ electable }) => electable.length === 2);
      w.member('pg-b').crash();
      await w.untilStatus('another is open', ({ primary, phase, epoch }) => primary !== 'pg-b' && phase === 'steady' && epoch === 3);
    },
  );

  scene('an activity of a role that somebody paused ends at once, and the role is offered again', {}, async (w) => {
    await w.steady();
    const taken = idsOf(w, 'primary').length;
    const id = w.journal.findLast(({ act, member: name }) => act === 'primary' && name === 'pg-a')?.id ?? '';
    await w.pauseActivity(id);
    await w.until('the role is taken up anew', () => idsOf(w, 'primary').length > taken);
    await w.untilPrimary('pg-a');
    expect((await w.status()).members.find(({ name }) => name === 'pg-a')?.lastEnd).toMatch(/^paused/);
    expect(idsOf(w, 'promote')).toEqual([]);
  });

  scene('a primary that has seen a later epoch than its group stops the group, with words', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    a.epoch = 9;
    a.end({ end: 'superseded', words: 'somebody else gave it an order' });
    const status = await w.untilStatus('the group has stopped', ({ phase }) => phase === 'stopped');
    expect(status.words).toContain('later epoch');
  });

  scene('news of a role that has ended changes nothing any more', {}, async (w) => {
    await w.steady();
    const order = w.journal.findLast(({ act }) => act === 'primary')?.ask as { epoch: number; turn: number };
    for (const name of ['pg-b', 'pg-c']) w.member(name).die();
    w.member('pg-a').die();
    await w.untilStatus('the role is lost', ({ members }) => members[0]?.phase !== 'open');
    await w.signalNews(`group/${w.group}`, {
      group: w.group,
      member: 'pg-a',
      epoch: 1,
      turn: order.turn,
      role: 'primary',
      phase: 'open',
      following: [],
      atMs: Date.now(),
    });
    await w.ask('pause', { untilResumed: true });
    expect((await w.status()).members[0]?.phase).not.toBe('open');
  });
});
