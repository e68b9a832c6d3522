import { describe, expect, it } from 'vitest';
import { archiverTrouble, decideReadiness, leftBehind } from '../../src/decide/readiness.ts';
import type { ReadinessInput } from '../../src/decide/readiness.ts';
import { async, frozen, group, member, reportOf, silent, streaming, without } from './world.ts';

const primary = reportOf(streaming('pg-a', '0/5000000', { role: 'primary', leaseLeftMs: 700 }, { inRecovery: false, receiver: { state: 'none' } }));
const held = (rule: 'paused' | 'incident-open' | 'min-interval') => ({ held: true, rule, words: 'because', override: 'understudy something orders' }) as const;
const preferC = group({ members: [member('pg-a'), member('pg-b'), member('pg-c', { priority: 9 })] });

const archiving = (waiting: number, oldestWaitsMs: number, failing: boolean) =>
  reportOf(
    streaming(
      'pg-a',
      '0/5000000',
      { role: 'primary', leaseLeftMs: 700 },
      { inRecovery: false, receiver: { state: 'none' }, archiver: { waiting, oldestWaitsMs, failing } },
    ),
  );

const table: [name: string, more: Partial<ReadinessInput>, target: string, words?: string][] = [
  ['the first name among equals', {}, 'pg-b'],
  ['the preferred, though a few bytes behind', { spec: preferC, answers: [streaming('pg-b'), streaming('pg-c', '0/4FFFF00')] }, 'pg-c'],
  ['the least lag among equally preferred', { answers: [streaming('pg-b', '0/4FFFF00'), streaming('pg-c')] }, 'pg-c'],
  ['the named target, whoever is preferred', { spec: preferC, target: 'pg-b' }, 'pg-b'],
  ['a named target of priority 0', { spec: group({ members: [member('pg-a'), member('pg-b', { priority: 0 })] }), target: 'pg-b' }, 'pg-b'],
  ['the rate limit holds back no person', { hold: held('min-interval') }, 'pg-b'],
  [
    'a receiver that the primary sees, whatever it calls its upstream',
    {
      primary: reportOf(
        streaming(
          'pg-a',
          '0/5000000',
          { role: 'primary', leaseLeftMs: 700 },
          {
            inRecovery: false,
            receiver: { state: 'none' },
            followers: [{ name: 'pg-b', state: 'streaming', flushedLsn: '0/5000000', replayedLsn: '0/5000000', confirms: true, holdsSlot: true }],
          },
        ),
      ),
      answers: [streaming('pg-b', '0/5000000', {}, { receiver: { state: 'streaming', from: 'other.example', stamp: '1' } }), silent('pg-c')],
    },
    'pg-b',
  ],
  ['refused while an incident is open', { hold: held('incident-open') }, '!incident-open', 'because'],
  ['refused while paused', { hold: held('paused') }, '!paused', 'because'],
  ['refused where the primary has no lease', { primary: { ...primary, leaseLeftMs: 0 } }, '!primary-not-open', 'its guard holds no lease'],
  [
    'refused where the primary is in recovery',
    { primary: reportOf(streaming('pg-a', '0/5000000', { role: 'primary', leaseLeftMs: 700 })) },
    '!primary-not-open',
    'it is in recovery',
  ],
  [
    'refused where the primary does not answer for its database',
    { primary: reportOf(without(streaming('pg-a', '0/5000000', { role: 'primary', leaseLeftMs: 700, trouble: 'it starts' }), 'live')) },
    '!primary-not-open',
    'understudy failover orders',
  ],
  ['refused where the target is the primary', { target: 'pg-a' }, '!already-primary'],
  ['refused where the target is unknown', { target: 'pg-x' }, '!unknown-member', 'pg-a, pg-b, pg-c'],
  ['I2: refused under sync while no standby confirms', { rule: { names: [], count: 0 } }, '!no-standby-confirms'],
  [
    'refused while the archiver fails, since it would hold up the stop',
    { primary: archiving(1, 500, true) },
    '!archiver-stuck',
    'pg-a fails to archive (1 segment waits',
  ],
  [
    'refused while the archiver hangs',
    { primary: archiving(2, 60_000, false) },
    '!archiver-stuck',
    'archives nothing any more (2 segments wait to be archived, the oldest for 60 s)',
  ],
  ['refused while much is left to archive', { primary: archiving(17, 900, false) }, '!archiver-stuck', 'is behind with archiving (17 segments'],
  ['an archiver that is at work is no reason', { primary: archiving(16, 59_999, false) }, 'pg-b'],
  ['a failure with nothing left to archive is over', { primary: archiving(0, 0, true) }, 'pg-b'],
  [
    'a target that has much to replay is not taken, though it has received it all',
    { target: 'pg-b', answers: [streaming('pg-b', '0/5000000', {}, { replayedLsn: '0/4FFE000' })] },
    '!target-not-fit',
    'pg-b has 8 kB to replay before it could open, above the limit of 4 kB',
  ],
  ['async needs no standby that confirms', { spec: group({ durability: async }), rule: { names: [], count: 0 } }, 'pg-b'],
  ['I3: a silent target is not taken', { target: 'pg-b', answers: [silent('pg-b'), streaming('pg-c')] }, '!target-not-fit', 'pg-b gave no answer in time'],
  [
    'I4: a target above the lag limit is not taken',
    { target: 'pg-b', answers: [streaming('pg-b', '0/4FFEFFF'), streaming('pg-c')] },
    '!target-not-fit',
    'pg-b is 4 kB behind, above the limit of 4 kB',
  ],
  [
    'I4: a target whose replay is paused is not taken',
    { target: 'pg-b', answers: [streaming('pg-b', '0/5000000', {}, { replayPaused: true })] },
    '!target-not-fit',
    'replay paused',
  ],
  [
    'I4: a target on another timeline is not taken',
    { target: 'pg-b', answers: [streaming('pg-b', '0/5000000', {}, { timeline: 2 })] },
    '!target-not-fit',
    'is on timeline 2, the primary on 1',
  ],
  [
    'I4: a target of another system is not taken',
    { target: 'pg-b', answers: [streaming('pg-b', '0/5000000', {}, { systemId: '43' })] },
    '!target-not-fit',
    'another database system',
  ],
  ['I4: an excluded target is not taken', { target: 'pg-b', excluded: ['pg-b'] }, '!target-not-fit', 'excluded'],
  ['a target outside the acknowledged set is not taken', { target: 'pg-b', electable: [] }, '!target-not-fit', 'acknowledged'],
  [
    'a target that streams from elsewhere is not taken',
    { target: 'pg-b', answers: [streaming('pg-b', '0/5000000', {}, { receiver: { state: 'streaming', from: 'pg-c', stamp: '1' } })] },
    '!target-not-fit',
    'but from pg-c',
  ],
  [
    'a target whose receiver only starts is not taken',
    { target: 'pg-b', answers: [streaming('pg-b', '0/5000000', {}, { receiver: { state: 'starting', from: 'pg-a', stamp: '1' } })] },
    '!target-not-fit',
  ],
  ['a detached target is not taken', { target: 'pg-b', answers: [frozen('pg-b')] }, '!target-not-fit', 'receiver detached'],
  [
    'a target that has seen a later epoch is not taken',
    { target: 'pg-b', answers: [streaming('pg-b', '0/5000000', { epoch: 8 })] },
    '!target-not-fit',
    'epoch 8',
  ],
  [
    'a target of another cluster is not taken',
    { target: 'pg-b', answers: [streaming('pg-b', '0/5000000', { cluster: 'x' })] },
    '!target-not-fit',
    'belongs to x',
  ],
  [
    "priority 0 is not taken unnamed; each member's reason is told",
    { spec: group({ members: [member('pg-a'), member('pg-b', { priority: 0 }), member('pg-c')] }), answers: [streaming('pg-b'), silent('pg-c')] },
    '!nobody-fit',
    'pg-b has priority 0 and takes over only when asked for by name; pg-c gave no answer',
  ],
];

describe('decideReadiness', () => {
  for (const [name, more, target, words] of table) {
    it(name, () => {
      const ready = decideReadiness({
        spec: group(),
        primary,
        answers: [streaming('pg-b'), streaming('pg-c')],
        rule: { names: ['pg-b', 'pg-c'], count: 1 },
        electable: ['pg-b', 'pg-c'],
        excluded: [],
        hold: { held: false },
        ...more,
      });
      expect(ready.ready ? ready.target : `!${ready.rule}`).toBe(target);
      if (!ready.ready) expect(ready.words).toContain(words ?? '');
    });
  }
});

describe('what a switchover leaves behind', () => {
  it('names the logical slots that nothing carries over', () => {
    const slot = (name: string, more: object) => ({ name, active: false, retainedBytes: 0, ...more });
    expect(leftBehind({ slots: [slot('understudy_pg_b', {}), slot('cdc', { logical: true }), slot('carried', { logical: true, failover: true })] })).toEqual([
      'cdc',
    ]);
  });

  it('a member of an older version that says nothing of its archiver is taken at its word', () => {
    expect(archiverTrouble({})).toBeUndefined();
  });
});
