import { describe, expect } from 'vitest';
import type { GroupSpec } from '../../src/model/group.ts';
import { member } from '../decide/world.ts';
import { useStage } from '../support/workflow-stage.ts';
import { SIGNED, type World } from '../support/workflow-world.ts';

const { scene } = useStage();

async function refusedBy(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
  } catch (error) {
    const { cause } = error as { cause?: { type?: string; details?: { rule?: string }[] } };
    if (cause?.type === 'Refused') return cause.details?.[0]?.rule ?? 'no rule';
    throw error;
  }
  return 'not refused';
}

const stops = (w: World): string[] => w.asked('promote', 'stepDown');

describe('an operator', () => {
  scene('is refused with the rule that refuses, and a refusal leaves no trace in the history', {}, async (w) => {
    await w.steady();
    const before = await w.untilAtRest();
    const table: [word: string, ask: object, rule: string][] = [
      ['failover', { by: '' }, 'no-name'],
      ['failover', { reason: 7 }, 'no-name'],
      ['failover', { to: 'pg-z' }, 'unknown-member'],
      ['failover', { to: 'pg-a' }, 'already-primary'],
      ['switchover', { to: 'pg-z' }, 'unknown-member'],
      ['pause', {}, 'no-end'],
      ['pause', { untilMs: 5 }, 'end-in-the-past'],
      ['resume', {}, 'not-paused'],
      ['exclude', { member: 'pg-a' }, 'is-primary'],
      ['exclude', { member: 'pg-z' }, 'unknown-member'],
      ['include', { member: 'pg-b' }, 'not-excluded'],
      ['override', {}, 'not-held'],
      ['change', {}, 'unsafe-change'],
      ['change', { spec: { ...w.spec, members: [{ name: 'pg-a' }] } }, 'unsafe-change'],
      ['change', { spec: { ...w.spec, policy: {} } }, 'unsafe-change'],
      ['change', { spec: { ...w.spec, name: 'another' } }, 'unsafe-change'],
      ['change', { spec: { ...w.spec, members: w.spec.members.slice(1) } }, 'unsafe-change'],
    ];
    const found: [string, object, string][] = [];
    for (const [word, ask] of table) found.push([word, ask, await refusedBy(w.ask(word, ask))]);
    expect(found).toEqual(table);
    expect(await w.deeds()).toEqual(before);
  });

  scene('can say the same words by signal; what is refused then is shown, and what is misshapen stops nothing', {}, async (w) => {
    await w.steady();
    await w.handle.signal('pause');
    await w.handle.signal('change', SIGNED);
    await w.handle.signal('change', { ...SIGNED, spec: { ...w.spec, durability: {} } });
    await w.handle.signal('news');
    await w.handle.signal('resume', SIGNED);
    const { words } = await w.untilStatus('the refusal is shown', (status) => status.words !== undefined);
    expect(words).toContain('not-paused');
    await w.handle.signal('pause', { ...SIGNED, untilResumed: true });
    await w.untilStatus('it is paused', ({ phase }) => phase === 'paused');
    await w.handle.signal('resume', SIGNED);
    await w.untilStatus('it is resumed', ({ phase }) => phase === 'steady');
    await w.handle.signal('exclude', { ...SIGNED, member: 'pg-b' });
    await w.untilStatus('pg-b is excluded', ({ members, rule }) => members[1]?.excluded?.by === SIGNED.by && rule.names.join() === 'pg-c');
    await w.handle.signal('include', { ...SIGNED, member: 'pg-b' });
    await w.untilStatus('pg-b counts again', ({ rule, electable }) => rule.names.length === 2 && electable.length === 2);
    await w.handle.signal('switchover', { ...SIGNED, to: 'pg-b' });
    await w.untilPrimary('pg-b');
    await w.untilStatus('everybody follows', ({ rule, electable }) => rule.names.length === 2 && electable.length === 2);
    await w.handle.signal('failover', { ...SIGNED, to: 'pg-c' });
    await w.untilPrimary('pg-c');
  });

  scene('who fails a healthy primary over has it fenced first, and only then another promoted', {}, async (w) => {
    await w.steady();
    let wasWritable: boolean | undefined;
    w.member('pg-b').once('promote', (usual) => {
      wasWritable = w.member('pg-a').database.writable;
      return usual();
    });
    const { words, incident } = await w.ask<{ words: string; incident?: string }>('failover', { to: 'pg-b' });
    expect({ words, incident }).toEqual({ words: 'pg-a is being fenced first', incident: undefined });
    await w.untilPrimary('pg-b');
    expect(wasWritable).toBe(false);
    const { actor, cause } = await w.failover(2);
    expect(actor).toEqual({ kind: 'person', name: SIGNED.by, reason: SIGNED.reason });
    expect(cause.kind).toBe('operator');
  });

  scene('who vouches for the fence is not made to wait for a member that does not answer, and is on record', {}, async (w) => {
    await w.steady();
    w.member('pg-a').die();
    await w.ask('failover', { fencedByHand: true });
    await w.untilPrimary('pg-b');
    expect(w.journal.find(({ act }) => act === 'promote')?.ask).toMatchObject({ proof: 'person' });
    expect((await w.failover(2)).actor).toMatchObject({ name: SIGNED.by });
  });

  scene('cannot begin a second incident beside one that may still promote somebody', {}, async (w) => {
    await w.steady();
    let go: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    w.member('pg-b').once('inspect', async (usual) => {
      await gate;
      return usual();
    });
    await w.ask('switchover', { to: 'pg-b' });
    expect(await refusedBy(w.ask('failover'))).toBe('incident-open');
    expect(await refusedBy(w.ask('switchover'))).toBe('incident-open');
    expect(await refusedBy(w.ask('change', { spec: { ...w.spec, leaseMs: 5000 } }))).toBe('incident-open');
    go();
    await w.untilStatus('it is over', ({ incidents }) => incidents.every(({ endedAtMs }) => endedAtMs !== undefined));
  });
});

describe('a change of the configuration', () => {
  scene('takes up a group that had stopped: what stopped it may be what was put right', {}, async (w) => {
    await w.steady();
    const a = w.member('pg-a');
    a.epoch = 9;
    a.end({ end: 'superseded', words: 'somebody else gave it an order' });
    await w.untilStatus('it has stopped', ({ phase, words }) => phase === 'stopped' && words?.includes('later epoch') === true);
    a.epoch = 1;
    await w.ask('change', { spec: { ...w.spec, policy: { ...w.spec.policy, maxPerDay: 5 } } });
    const status = await w.untilPrimary('pg-a');
    expect(status.words).toBeUndefined();
  });

  scene('of lease, policy and durability demotes nobody: roles go on under it', {}, async (w) => {
    await w.steady();
    const spec: GroupSpec = { ...w.spec, leaseMs: 2600, policy: { ...w.spec.policy, minIntervalMs: 777_000 }, durability: { mode: 'async' } };
    const answer = await w.ask<string>('change', { spec });
    expect(answer).toContain('leaseMs: 2000 -> 2600');
    await w.untilStatus('it is in force', ({ phase, rule }) => phase === 'steady' && rule.count === 0);
    await w.until('the role has the new lease', () => w.journal.some(({ act, ask }) => act === 'primary' && (ask as { leaseMs: number }).leaseMs === 2600));
    const status = await w.untilPrimary('pg-a');
    expect(status).toMatchObject({ epoch: 1, incidents: [] });
    expect(stops(w)).toEqual([]);
    expect(status.members.every(({ lastEnd }) => lastEnd === undefined)).toBe(true);
    expect(await w.ask('change', { spec })).toBe('nothing to change');
  });

  scene('that adds a member has it follow; one that removes it lets it go, and never orders it anything again', {}, async (w) => {
    await w.steady();
    w.add('pg-d');
    await w.ask('change', { spec: { ...w.spec, members: [...w.spec.members, member('pg-d', { port: 4 })] } });
    await w.untilStatus('all three confirm', ({ rule, electable }) => rule.names.length === 3 && electable.length === 3);
    await w.ask('change', { spec: w.spec });
    await w.untilStatus('two confirm', ({ rule, members }) => rule.names.join() === 'pg-b,pg-c' && members.length === 3);
    const asked = w.journal.filter(({ member: name }) => name === 'pg-d').length;
    w.member('pg-a').crash();
    await w.untilPrimary('pg-b');
    expect(w.journal.filter(({ member: name }) => name === 'pg-d')).toHaveLength(asked);
  });
});
