import { describe, expect, it } from 'vitest';
import { decideLoss, restartInstead } from '../../src/decide/loss.ts';
import type { LossOfRoleInput, RoleEnd, StandbyNews } from '../../src/decide/loss.ts';
import { elect } from '../../src/decide/election.ts';
import type { FenceCause } from '../../src/model/role.ts';
import { async, election, frozen, group, silent, sync } from './world.ts';

const fenced = (cause: FenceCause, lsn?: string): RoleEnd => ({ end: 'fenced', cause, words: 'it said so', ...(lsn === undefined ? {} : { lsn }) });
const b: StandbyNews = { member: 'pg-b', streaming: true, flushedLsn: '0/5000000', electable: true };
const c: StandbyNews = { ...b, member: 'pg-c' };
const lost = { electable: false, streaming: false } as const;
const inAsync = { spec: group({ durability: async }) };

const table: [name: string, end: RoleEnd, more: Partial<LossOfRoleInput>, follow: string, words?: string][] = [
  ['a crash under sync is failed over at once, since that loses nothing', fenced('crashed'), {}, 'failover/crashed/agent'],
  [
    'standbys that stopped streaming when the primary died are no reason to wait for it',
    fenced('crashed'),
    {
      standbys: [
        { ...b, streaming: false },
        { ...c, streaming: false },
      ],
    },
    'failover/crashed/agent',
  ],
  ['I2: a crash under async is not started in place twice', fenced('crashed', '0/6000000'), { ...inAsync, restartsTried: 1 }, 'failover/crashed/agent'],
  [
    'I2: a crash under sync while nobody confirmed is started in place',
    fenced('crashed'),
    { rule: { names: [], count: 0 } },
    'restart',
    'no standby confirmed',
  ],
  ['a crash under async with a standby near is failed over', fenced('crashed', '0/5000100'), inAsync, 'failover/crashed/agent'],
  ['a crash under async with every standby above maxLag is started in place', fenced('crashed', '0/6000000'), inAsync, 'restart', '16 MB behind, above maxLag'],
  ['a crash under async with nothing known is failed over: the election will know', fenced('crashed'), inAsync, 'failover/crashed/agent'],
  ['a crash in a group of one is started in place', fenced('crashed'), { standbys: [] }, 'restart', 'nobody else could be promoted'],
  [
    'where starting in place has failed often, the offers are spaced out, with an alarm',
    fenced('crashed'),
    { standbys: [], restartsTried: 3 },
    'offer-again!',
    'tried 3 times',
  ],
  ['a hung database is failed over', fenced('hung'), {}, 'failover/hung/agent'],
  ['a hung database with nobody else is started again', fenced('hung'), { standbys: [] }, 'restart'],
  ['a full disk is failed over', fenced('disk-full'), {}, 'failover/disk-full/agent'],
  ['a full disk with nobody else is tried again, with an alarm', fenced('disk-full'), { standbys: [{ ...b, ...lost }] }, 'offer-again!'],
  ['a database that went read-only is failed over', fenced('read-only'), {}, 'failover/read-only/agent'],
  ['a database that does not start is failed over', fenced('not-started'), { restartsTried: 1 }, 'failover/not-started/agent'],
  ['a database out of our hands is failed over', fenced('not-ours'), {}, 'failover/not-ours/agent'],
  ['a database out of our hands with nobody else needs a person', fenced('not-ours'), { standbys: [] }, 'stop'],
  ['a primary that fenced itself for its lease is offered its role first', fenced('lease'), {}, 'restart', 'is back'],
  ['a primary that fenced itself for its lease again is failed over', fenced('lease'), { restartsTried: 1 }, 'failover/lease/agent'],
  ['a stop that was asked for is started again where nothing else follows', fenced('asked'), {}, 'restart'],
  ['I3: a lease that ran out is only that; the incident asks the members', { end: 'timed-out', kind: 'heartbeat' }, {}, 'failover/lease-expired/lease'],
  ['a role that nobody took up is the same', { end: 'timed-out', kind: 'not-taken-up' }, {}, 'failover/not-taken-up/lease'],
  [
    'a lost primary with nobody else keeps its role',
    { end: 'timed-out', kind: 'heartbeat' },
    { standbys: [{ ...b, ...lost }] },
    'restart',
    'its role waits for it',
  ],
  ['a paused activity is offered again, with an alarm', { end: 'paused', words: 'by a person' }, {}, 'offer-again!'],
  ['a superseded role is offered again without one', { end: 'superseded', words: 'a newer one' }, {}, 'offer-again'],
  ['a failure that may pass is offered again', { end: 'failed', code: 'GuardUnreachable', words: 'no socket' }, { restartsTried: 9 }, 'offer-again!'],
  [
    'a failure that does not pass by itself is offered a few times',
    { end: 'failed', code: 'ToolMissing', words: 'no pg_ctl' },
    { restartsTried: 2 },
    'offer-again!',
  ],
  ['and then needs a person', { end: 'failed', code: 'ToolMissing', words: 'no pg_ctl' }, { restartsTried: 3 }, 'stop'],
  ['a failure that nobody knows is offered again', { end: 'failed', code: 'Newer', words: 'of a newer version' }, { restartsTried: 3 }, 'offer-again!'],
  ['I1: a member that has seen a later epoch stops the group', { end: 'failed', code: 'EpochStale', words: 'epoch 7 is over' }, {}, 'stop', 'later epoch'],
  ["another cluster's member stops the group", { end: 'failed', code: 'WrongCluster', words: 'belongs to prod' }, {}, 'stop'],
];

describe('decideLoss', () => {
  for (const [name, end, more, follow, words] of table) {
    it(name, () => {
      const after = decideLoss({
        end,
        spec: group({ durability: sync }),
        rule: { names: ['pg-b', 'pg-c'], count: 1 },
        standbys: [b, c],
        restartsTried: 0,
        nowMs: 1000,
        ...more,
      });
      const told =
        after.follow === 'failover'
          ? `failover/${after.cause.kind}/${after.fencedBy}`
          : after.follow === 'offer-again' && after.alarm
            ? 'offer-again!'
            : after.follow;
      expect(told).toBe(follow);
      if (after.follow === 'failover') expect(after.cause.knownAtMs).toBe(1000);
      else expect(after.words).toContain(words ?? '');
    });
  }
});

describe('restartInstead', () => {
  const crash = { cause: 'crashed', fencedBy: 'agent', restartsTried: 0 } as const;
  const safe = elect(election());
  const lossy = elect(election({ spec: group({ durability: async }), answers: [frozen('pg-b', '0/4FFFF00'), silent('pg-c')] }));
  const nobody = elect(election({ answers: [frozen('pg-b'), silent('pg-c')] }));

  it('promotes where nothing is lost', () => expect(restartInstead({ ...crash, election: safe })).toEqual({ restart: false }));
  it('I2: starts in place where the promotion is sure to lose something', () =>
    expect(restartInstead({ ...crash, election: lossy })).toMatchObject({ restart: true, words: expect.stringContaining('up to 256 bytes') }));
  it('starts in place where nobody may be promoted', () => expect(restartInstead({ ...crash, election: nobody }).restart).toBe(true));
  it('starts in place only once', () => expect(restartInstead({ ...crash, restartsTried: 1, election: lossy }).restart).toBe(false));
  it('starts nothing on a member that is gone', () =>
    expect(restartInstead({ ...crash, cause: 'lease-expired', fencedBy: 'lease', election: nobody }).restart).toBe(false));
  it('starts nothing whose disk is full', () => expect(restartInstead({ ...crash, cause: 'disk-full', election: lossy }).restart).toBe(false));
});
