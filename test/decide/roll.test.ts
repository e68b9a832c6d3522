import { describe, expect, it } from 'vitest';
import { explainRoll, nextRollStep, orderOfRoll, refuseRoll, ROLL_PATIENCE_MS } from '../../src/decide/roll.ts';
import type { GroupStatus, IncidentLine, MemberStatus, Roll, RollAct } from '../../src/model/status.ts';
import { group, member } from './world.ts';

const NOW_MS = 1_000_000;
const SIGNED = { by: 'ada', reason: 'a minor upgrade' } as const;
const spec = group({ members: [member('pg-a'), member('pg-b', { priority: 1 }), member('pg-c', { priority: 2 })] });

function of(name: string, phase: MemberStatus['phase'], more: Partial<MemberStatus> = {}): MemberStatus {
  return { name, role: phase === 'open' ? 'primary' : 'standby', epoch: 7, phase, ...more };
}

function status(more: Partial<GroupStatus> = {}): GroupStatus {
  return {
    group: 'orders',
    epoch: 7,
    phase: 'steady',
    primary: 'pg-a',
    rule: { names: ['pg-b', 'pg-c'], count: 1 },
    electable: ['pg-b', 'pg-c'],
    members: [of('pg-a', 'open'), of('pg-b', 'following'), of('pg-c', 'following')],
    incidents: [],
    observeOnly: false,
    specHash: 'h',
    ...more,
  };
}

function roll(more: Partial<Roll> = {}): Roll {
  return { id: 'roll/orders/1', ...SIGNED, startedAtMs: NOW_MS - 1000, left: ['pg-b', 'pg-c', 'pg-a'], incidents: [], done: [], ...more };
}

const line = (id: string, more: Partial<IncidentLine> = {}): IncidentLine => ({
  id,
  kind: 'switchover',
  epoch: 8,
  cause: 'operator',
  outcome: 'running',
  startedAtMs: NOW_MS - 500,
  ...more,
});
const acting = (act: RollAct['act'], name: string, more: Partial<RollAct> = {}): { now: RollAct } => ({
  now: { act, member: name, sinceMs: NOW_MS - 100, ...more },
});
const next = (of_: Roll, at: GroupStatus = status(), nowMs = NOW_MS) => nextRollStep({ roll: of_, spec, status: at, nowMs });

describe('what a rolling restart does next', () => {
  const oneAway = status({
    members: [of('pg-a', 'open'), of('pg-b', 'starting'), of('pg-c', 'following')],
    electable: ['pg-c'],
    rule: { names: ['pg-c'], count: 1 },
  });
  it.each<[string, Roll, GroupStatus, object]>([
    ['restarts the first standby', roll(), status(), { step: 'restart', member: 'pg-b' }],
    ['nothing while an agent is at it', roll(acting('restart', 'pg-b')), status(), { step: 'none' }],
    ['waits for it to follow', roll(acting('follow', 'pg-b')), oneAway, { step: 'wait', untilMs: NOW_MS - 100 + ROLL_PATIENCE_MS }],
    ['takes it as done once it follows', roll(acting('follow', 'pg-b', { words: '15.1 -> 15.2' })), status(), { step: 'member-done', words: '15.1 -> 15.2' }],
    ['waits for who does not follow before the next', roll({ left: ['pg-c', 'pg-a'] }), oneAway, { step: 'wait', words: 'pg-b does not follow pg-a now' }],
    [
      'I2: waits for who follows and does not confirm yet, since commits would wait for the next one alone',
      roll({ left: ['pg-c', 'pg-a'] }),
      status({ rule: { names: ['pg-c'], count: 1 } }),
      { step: 'wait', words: 'pg-b does not confirm commits yet' },
    ],
    ['waits while paused, without an end', roll(), status({ paused: { ...SIGNED } }), { step: 'wait', words: 'ada has paused orders: a minor upgrade' }],
    ['hands the role to the highest priority', roll({ left: ['pg-a'] }), status(), { step: 'switchover', member: 'pg-a', to: 'pg-c' }],
    [
      'hands it to nobody who is excluded',
      roll({ left: ['pg-a'] }),
      status({ members: [of('pg-a', 'open'), of('pg-b', 'following'), of('pg-c', 'following', { excluded: SIGNED })] }),
      { step: 'switchover', to: 'pg-b' },
    ],
    [
      'waits for its switchover',
      roll({ left: ['pg-a'], incidents: ['s'], ...acting('switchover', 'pg-a', { to: 'pg-c', incident: 's' }) }),
      status({ phase: 'incident', incidents: [line('s')] }),
      { step: 'wait' },
    ],
    [
      'goes on once the other one is the primary, though clients are still being settled',
      roll({ left: ['pg-a'], incidents: ['s'], ...acting('switchover', 'pg-a', { to: 'pg-c', incident: 's' }) }),
      status({ primary: 'pg-c', epoch: 8, incidents: [line('s')] }),
      { step: 'handed-over', member: 'pg-a' },
    ],
    [
      'I6: stops where the role was given back',
      roll({ left: ['pg-a'], incidents: ['s'], ...acting('switchover', 'pg-a', { to: 'pg-c', incident: 's' }) }),
      status({ incidents: [line('s', { outcome: 'given-back: it could not be stopped', endedAtMs: NOW_MS })] }),
      { step: 'stop', words: 'pg-a did not hand its role to pg-c: given-back: it could not be stopped' },
    ],
    ['stops at one that has left the group', roll({ left: ['pg-z'] }), status(), { step: 'stop', words: 'pg-z is no member of orders any more' }],
    ['stops where an incident began meanwhile', roll(), status({ incidents: [line('failover/orders/8')] }), { step: 'stop' }],
    ['is not stopped by an incident of before', roll(), status({ incidents: [line('old', { startedAtMs: 1, endedAtMs: 2 })] }), { step: 'restart' }],
    [
      'stops where the group has stopped',
      roll(),
      status({ phase: 'stopped', words: 'two can write' }),
      { step: 'stop', words: 'orders is stopped: two can write' },
    ],
    ['ends', roll({ left: [], done: [{ member: 'pg-b', words: '', atMs: 1 }] }), status(), { step: 'done', words: 'pg-b restarted' }],
  ])('%s', (_, of_, at, expected) => {
    expect(next(of_, at)).toMatchObject(expected);
  });

  it('stops where a restarted member has not followed for too long', () => {
    expect(next(roll(acting('follow', 'pg-b')), oneAway, NOW_MS + ROLL_PATIENCE_MS)).toMatchObject({ step: 'stop' });
  });

  it('goes through the standbys first', () => {
    expect(orderOfRoll(spec, 'pg-b', undefined)).toEqual(['pg-a', 'pg-c', 'pg-b']);
    expect(orderOfRoll(spec, 'pg-b', ['pg-b', 'pg-c'])).toEqual(['pg-c', 'pg-b']);
  });

  it('says how it stands', () => {
    expect(explainRoll(roll({ done: [{ member: 'pg-b', words: '', atMs: 1 }], left: ['pg-c', 'pg-a'], ...acting('restart', 'pg-c') }))).toBe(
      'restarted: pg-b; pg-c is being restarted; left: pg-c, pg-a',
    );
  });
});

describe('who asks for a rolling restart', () => {
  const refused = (ask: object, at: GroupStatus = status()) => refuseRoll({ ...SIGNED, ...ask }, { spec, status: at, nowMs: NOW_MS })?.rule;
  it.each<[string, object, GroupStatus, string | undefined]>([
    ['is let go on where all is well', {}, status(), undefined],
    ['says why', { reason: '' }, status(), 'no-reason'],
    ['names members that there are', { members: ['pg-z'] }, status(), 'unknown-member'],
    ['gives a list', { members: 'pg-b' }, status(), 'unknown-member'],
    ['waits for an incident', {}, status({ phase: 'incident' }), 'incident-open'],
    ['waits for the end of a pause', {}, status({ paused: { ...SIGNED }, phase: 'paused' }), 'paused'],
    ['waits for the one that is under way', {}, status({ roll: roll() }), 'roll-open'],
    ['may come after one that has ended', {}, status({ roll: roll({ ended: { outcome: 'stopped', words: '', atMs: 1 } }) }), undefined],
    ['waits until everybody follows', {}, status({ electable: ['pg-b'] }), 'not-following'],
  ])('%s', (_, ask, at, rule) => {
    expect(refused(ask, at)).toBe(rule);
  });

  it('is refused a primary whose role nobody could take', () => {
    const nobody = group({ members: spec.members.map((one) => (one.name === 'pg-a' ? one : { ...one, priority: 0 })) });
    expect(refuseRoll(SIGNED, { spec: nobody, status: status(), nowMs: NOW_MS })?.rule).toBe('no-standby');
    expect(refuseRoll({ ...SIGNED, members: ['pg-b'] }, { spec: nobody, status: status(), nowMs: NOW_MS })).toBeUndefined();
  });
});
