import { describe, expect } from 'vitest';
import { NEVER } from '../support/fake-member.ts';
import { useStage } from '../support/workflow-stage.ts';
import { SIGNED, type World } from '../support/workflow-world.ts';

const { scene } = useStage();

async function ruleOf(asked: Promise<unknown>): Promise<string> {
  const error = await asked.then(
    () => undefined,
    (reason: unknown) => reason as { cause?: { details?: { rule?: string }[] } },
  );
  return error?.cause?.details?.[0]?.rule ?? 'not refused';
}

/** A database that was there before Understudy. */
function holds(w: World, name: string): void {
  Object.assign(w.member(name).database, { directory: 'data', running: false, standby: false });
}

describe('a group begins', () => {
  scene('with empty directories everywhere: the first by priority makes the database, and the others copy it', {}, async (w) => {
    await w.steady();
    const { primary, epoch, words } = await w.status();
    expect({ primary, epoch, words }).toEqual({ primary: 'pg-a', epoch: 1, words: undefined });
    expect(w.journal.filter(({ act }) => act === 'primary').map(({ member, ask }) => [member, (ask as { found: boolean }).found])).toEqual([['pg-a', true]]);
  });

  scene('with one database that was there: it is adopted, whatever the priorities', {}, async (w) => {
    holds(w, 'pg-c');
    await w.start();
    await w.untilPrimary('pg-c');
    expect(w.journal.find(({ act }) => act === 'primary')?.ask).toMatchObject({ found: false });
  });

  scene('only when a silent member has answered, since it may hold the database: until then it says whom it waits for', {}, async (w) => {
    holds(w, 'pg-b');
    await w.start({ agents: ['pg-a', 'pg-c'] });
    const { phase, words } = await w.untilStatus('it says whom it waits for', (status) => status.words !== undefined);
    expect(phase).toBe('starting');
    expect(words).toContain('pg-b');
    expect(w.asked('primary')).toEqual([]);
    w.member('pg-b').start();
    const after = await w.untilPrimary('pg-b');
    expect(after.words).toBeUndefined();
  });

  scene('not where two members could each be the primary: nothing is touched until a person has chosen', {}, async (w) => {
    holds(w, 'pg-a');
    holds(w, 'pg-b');
    await w.start();
    const { words } = await w.untilStatus('it has stopped', ({ phase }) => phase === 'stopped');
    expect(words).toContain('could each be the primary');
    expect(w.asked('primary', 'standby')).toEqual([]);
    w.member('pg-b').database.directory = 'empty';
    await w.untilPrimary('pg-a');
  });

  scene('beside running members after its workflow was terminated: it adopts the highest epoch, and the primary goes on without a stop', {}, async (w) => {
    await w.steady();
    await w.ask('switchover', { to: 'pg-b' });
    await w.untilPrimary('pg-b');
    await w.untilStatus('everybody follows', ({ electable }) => electable.length === 2);
    let stops = 0;
    const { database } = w.member('pg-b');
    const watch = setInterval(() => {
      if (!database.writable) stops += 1;
    }, 5);
    await w.terminate(`group/${w.group}`);
    await w.start();
    const status = await w.untilPrimary('pg-b');
    clearInterval(watch);
    expect(status.epoch).toBe(2);
    expect(stops).toBe(0);
    expect(w.asked('promote')).toHaveLength(1);
  });

  scene('beside a running primary and a standby that has seen the epoch of a refused promotion: it goes on above it, without a stop', {}, async (w) => {
    await w.steady();
    let stops = 0;
    const a = w.member('pg-a');
    const watch = setInterval(() => {
      if (!a.database.writable) stops += 1;
    }, 5);
    w.member('pg-b').epoch = 4;
    await w.terminate(`group/${w.group}`);
    await w.start();
    const status = await w.untilStatus('everybody follows', ({ phase, electable }) => phase === 'steady' && electable.length === 2);
    clearInterval(watch);
    expect(status).toMatchObject({ primary: 'pg-a', epoch: 5 });
    expect(stops).toBe(0);
    expect(a.epoch).toBe(5);
  });

  scene('I1: not beside a standby that may have been opened at a later epoch: it stops, and says who has seen what', {}, async (w) => {
    await w.steady();
    Object.assign(w.member('pg-b'), { epoch: 4, opened: 4 });
    await w.terminate(`group/${w.group}`);
    await w.start();
    const { words } = await w.untilStatus('it has stopped', ({ phase }) => phase === 'stopped');
    expect(words).toContain('pg-b epoch 4');
  });

  scene('I1: not while an incident of the run that it was reset from may still promote a member: it waits for its end', {}, async (w) => {
    await w.steady();
    for (const name of ['pg-b', 'pg-c']) w.member(name).once('inspect', () => NEVER);
    w.member('pg-a').crash();
    await w.until('the others are asked', () => w.asked('inspect').includes('inspect/pg-c/2/1'));
    const offered = w.asked('primary').length;
    await w.reset();
    await w.untilStatus('it says what it waits for', ({ words }) => words?.includes(`failover/${w.group}/2, begun by a former run`) === true);
    expect(w.asked('primary')).toHaveLength(offered);
    await w.untilStatus('it has begun', ({ phase }) => phase === 'steady');
    expect((await w.failover(2)).outcome.outcome).not.toBe('running');
  });

  scene('reset in the middle of a promotion, it takes up whom that has opened, before the lease of the promotion is over', {}, async (w) => {
    await w.steady();
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const b = w.member('pg-b');
    b.once('promote', async (usual) => {
      await gate;
      return usual();
    });
    w.member('pg-a').crash();
    await w.until('the promotion is ordered', () => w.asked('promote').length === 1);
    await w.reset();
    await w.until('the new run has asked everybody', () => w.asked('inspect').includes('inspect/pg-a/0/begin-1'));
    go();
    const status = await w.untilStatus('it has taken up the one that was promoted', ({ phase }) => phase === 'steady');
    expect(status).toMatchObject({ primary: 'pg-b', epoch: 2 });
  });

  scene("without a silent member by a person's word, where the others leave no doubt; the one left out joins when it is back", {}, async (w) => {
    await w.start({ agents: ['pg-a', 'pg-b'] });
    await w.untilStatus('it says whom it waits for', ({ words }) => words?.includes('understudy begin') === true);
    expect(await ruleOf(w.ask('begin', { without: ['pg-b'] }))).toBe('has-answered');
    expect(await ruleOf(w.ask('begin', {}))).toBe('no-member');
    expect(w.asked('primary')).toEqual([]);
    expect(await w.ask('begin', { without: ['pg-c'] })).toContain('begins without pg-c');
    await w.untilPrimary('pg-a');
    expect(await ruleOf(w.ask('begin', { without: ['pg-c'] }))).toBe('already-begun');
    w.member('pg-c').start();
    await w.untilStatus('pg-c follows', ({ members }) => members.some(({ name, phase }) => name === 'pg-c' && phase === 'following'));
  });

  scene('without a silent member by a signal, too, in whichever run it is heard', {}, async (w) => {
    await w.start({ agents: ['pg-a', 'pg-b'], input: { eventsARun: 20 } });
    await w.until('a second run asks', async () => {
      const { runId, raw } = await w.handle.describe();
      return raw.workflowExecutionInfo?.firstRunId !== undefined && raw.workflowExecutionInfo.firstRunId !== runId;
    });
    await w.untilStatus('it says whom it waits for', ({ words }) => words?.includes('pg-c') === true);
    await w.handle.signal('begin', { ...SIGNED, without: ['pg-c'] });
    await w.untilPrimary('pg-a');
  });

  scene('where no member ever answers it goes on asking in one run after another, so that its history does not fill up', {}, async (w) => {
    await w.start({ agents: [], input: { eventsARun: 20 } });
    await w.until('a second run asks', async () => {
      const { runId, raw } = await w.handle.describe();
      return raw.workflowExecutionInfo?.firstRunId !== undefined && raw.workflowExecutionInfo.firstRunId !== runId;
    });
    for (const name of ['pg-a', 'pg-b', 'pg-c']) w.member(name).start();
    await w.untilPrimary('pg-a');
  });
});
