import { describe, expect, it } from 'vitest';
import * as operator from '../../src/decide/operator.ts';
import type { OperatorView, Refused } from '../../src/decide/operator.ts';
import type { Answer } from '../../src/decide/election.ts';
import { DAY_MS } from '../../src/decide/hold.ts';
import type { GroupStatus } from '../../src/model/status.ts';
import { async, frozen, group, groupStatus, member, silent, without } from './world.ts';

const NOW = 1_800_000_000_000;
const ann = { by: 'ann', reason: 'new kernel' };
const excluded = (...names: string[]): Partial<GroupStatus> => ({
  members: groupStatus().members.map((one) => (names.includes(one.name) ? { ...one, excluded: { by: 'bob', reason: 'slow disk' } } : one)),
});
const view = (status: Partial<GroupStatus> = {}, spec = group()): OperatorView => ({ spec, status: groupStatus(status), nowMs: NOW });
const open: Partial<GroupStatus> = {
  phase: 'incident',
  incidents: [{ id: 'failover/orders/8', kind: 'failover', epoch: 8, cause: 'crashed', outcome: 'running', startedAtMs: NOW }],
};
const paused: Partial<GroupStatus> = { phase: 'paused', paused: { by: 'bob', reason: 'new disks' } };

const waiting: Partial<GroupStatus> = { phase: 'starting', primary: null };
const withoutC = { ...ann, without: ['pg-c'] };
const empty = (name: string): Answer => without(frozen(name, '0/5000000', { epoch: 0, role: 'none', footprint: { state: 'empty' } }), 'live');
/** One whose next start would be as a primary. */
const database = (name: string): Answer => {
  const footprint = { state: 'data', systemId: '42', version: '15', timeline: 1, checkpointLsn: '0/4000000', cleanShutdown: true, standby: false } as const;
  return without(frozen(name, '0/5000000', { epoch: 0, role: 'none', footprint }), 'live');
};

const { refuseApproval, refuseBegin, refuseExclude, refuseFailover, refuseInclude, refuseOverride, refusePause, refuseResume, refuseSpec, refuseSwitchover } =
  operator;

const table: [name: string, refused: Refused | undefined, rule: string | undefined, words?: string][] = [
  ['a failover is taken', refuseFailover(ann, view()), undefined],
  ['a failover to a follower is taken', refuseFailover({ ...ann, to: 'pg-b' }, view()), undefined],
  ['a failover is taken while paused: a pause holds back only what happens by itself', refuseFailover(ann, view(paused)), undefined],
  ['a failover without a name is refused', refuseFailover({ by: ' ', reason: 'x' }, view()), 'no-name'],
  ['a failover without a reason is refused', refuseFailover({ by: 'ann', reason: '' }, view()), 'no-reason'],
  ['a failover before the group has begun is refused', refuseFailover(ann, view({ phase: 'starting', primary: null })), 'not-begun'],
  ['a failover while the first primary is being made is refused', refuseFailover(ann, view({ phase: 'starting', founding: true })), 'not-begun'],
  ['a failover of a primary that is gone is taken: that is what it is for', refuseFailover(ann, view({ phase: 'starting' })), undefined],
  ['a switchover of a primary that is gone is refused, and names the way', refuseSwitchover(ann, view({ phase: 'starting' })), 'not-open', 'pg-a'],
  ['a second failover at once is refused, and names the first', refuseFailover(ann, view(open)), 'incident-open', 'failover/orders/8'],
  ['a failover to a stranger is refused, and names the members', refuseFailover({ ...ann, to: 'pg-x' }, view()), 'unknown-member', 'pg-a, pg-b, pg-c'],
  ['a failover to the primary is refused', refuseFailover({ ...ann, to: 'pg-a' }, view()), 'already-primary'],
  ['I4: a failover to an excluded member is refused', refuseFailover({ ...ann, to: 'pg-b' }, view(excluded('pg-b'))), 'excluded'],
  ['I4: a failover to one that does not follow is refused', refuseFailover({ ...ann, to: 'pg-b' }, view({ electable: ['pg-c'] })), 'not-electable', '(pg-c)'],
  [
    'a person who vouches for the fence may name one that did not follow',
    refuseFailover({ ...ann, to: 'pg-b', fencedByHand: true }, view({ electable: [] })),
    undefined,
  ],
  ['a failover with everybody excluded is refused', refuseFailover(ann, view(excluded('pg-b', 'pg-c'))), 'no-standby'],
  ['a failover in a group of one is refused', refuseFailover(ann, view({}, group({ members: [member('pg-a')] }))), 'no-standby'],
  ['a switchover is taken', refuseSwitchover({ ...ann, to: 'pg-c' }, view()), undefined],
  ['a switchover while paused is refused, and names the way', refuseSwitchover(ann, view(paused)), 'paused', 'bob has paused orders: new disks'],
  ['a switchover during an incident is refused', refuseSwitchover(ann, view(open)), 'incident-open'],
  ['a switchover to one that does not follow is refused', refuseSwitchover({ ...ann, to: 'pg-b' }, view({ electable: [] })), 'not-electable', '(nobody)'],
  ['a pause with an end is taken', refusePause({ ...ann, untilMs: NOW + 1 }, view()), undefined],
  ['a pause of thirty days is taken', refusePause({ ...ann, untilMs: NOW + 30 * DAY_MS }, view()), undefined],
  ['a longer pause is refused', refusePause({ ...ann, untilMs: NOW + 30 * DAY_MS + 1 }, view()), 'pause-too-long'],
  ['a pause until it is resumed is taken where it is said', refusePause({ ...ann, untilResumed: true }, view()), undefined],
  ['a pause without an end is refused where it is not said', refusePause(ann, view()), 'no-end'],
  ['a pause that is over is refused', refusePause({ ...ann, untilMs: NOW }, view()), 'end-in-the-past'],
  ['a pause without a reason is refused', refusePause({ by: 'ann', reason: ' ', untilMs: NOW + 1 }, view()), 'no-reason'],
  ['what is paused is resumed', refuseResume(ann, view(paused)), undefined],
  ['what is not paused is not resumed', refuseResume(ann, view()), 'not-paused'],
  ['a standby is excluded', refuseExclude({ ...ann, member: 'pg-b' }, view()), undefined],
  ['a stranger is not excluded', refuseExclude({ ...ann, member: 'pg-x' }, view()), 'unknown-member'],
  ['the primary is not excluded', refuseExclude({ ...ann, member: 'pg-a' }, view()), 'is-primary'],
  ['an excluded member is not excluded again', refuseExclude({ ...ann, member: 'pg-b' }, view(excluded('pg-b'))), 'already-excluded'],
  [
    'I2: the last that confirms commits is not excluded',
    refuseExclude({ ...ann, member: 'pg-b' }, view({ electable: ['pg-b'] })),
    'last-electable',
    'writes would block',
  ],
  [
    'I2: the last that confirms commits is not excluded, the other being excluded already',
    refuseExclude({ ...ann, member: 'pg-b' }, view(excluded('pg-c'))),
    'last-electable',
  ],
  [
    'the last standby under async is excluded',
    refuseExclude({ ...ann, member: 'pg-b' }, view({ electable: ['pg-b'] }, group({ durability: async }))),
    undefined,
  ],
  ['an excluded member is included', refuseInclude({ ...ann, member: 'pg-b' }, view(excluded('pg-b'))), undefined],
  ['a member that is not excluded is not included', refuseInclude({ ...ann, member: 'pg-b' }, view()), 'not-excluded'],
  ['I7: what is held back is let go', refuseOverride(ann, view({ held: { rule: 'min-interval', words: 'x', override: 'y' } })), undefined],
  ['I7: where nothing is held back there is nothing to override', refuseOverride(ann, view()), 'not-held'],
  ['a group that waits for a silent member begins without it', refuseBegin(withoutC, view(waiting), [empty('pg-a'), empty('pg-b'), silent('pg-c')]), undefined],
  ['a silent member that nobody asked is silent', refuseBegin(withoutC, view(waiting), [empty('pg-a'), empty('pg-b')]), undefined],
  [
    'I3: a group does not begin without one who answered',
    refuseBegin(withoutC, view(waiting), [empty('pg-a'), silent('pg-b'), empty('pg-c')]),
    'has-answered',
    'pg-c',
  ],
  [
    'I3: nor while another is silent that nobody named',
    refuseBegin(withoutC, view(waiting), [empty('pg-a'), silent('pg-b'), silent('pg-c')]),
    'not-clear',
    'pg-b has not answered',
  ],
  [
    'I1: nor where two of the others could be the primary',
    refuseBegin(withoutC, view(waiting), [database('pg-a'), database('pg-b'), silent('pg-c')]),
    'not-clear',
    'could each be the primary',
  ],
  [
    'I2: nor where the others are standbys, of whom nobody says which was the primary',
    refuseBegin(withoutC, view(waiting), [frozen('pg-a'), frozen('pg-b'), silent('pg-c')]),
    'not-clear',
    "every copy is a standby's",
  ],
  ['a group that has begun does not begin', refuseBegin(withoutC, view(), [silent('pg-c')]), 'already-begun', 'pg-a is its primary'],
  ['a group does not begin before anybody was asked', refuseBegin(withoutC, view(waiting), undefined), 'not-asked'],
  ['a group does not begin without a stranger', refuseBegin({ ...ann, without: ['pg-x'] }, view(waiting), []), 'unknown-member'],
  ['a group does not begin without nobody', refuseBegin({ ...ann, without: [] }, view(waiting), []), 'no-member'],
  ['a group does not begin without what is no name', refuseBegin({ ...ann, without: 'pg-c' } as never, view(waiting), []), 'no-member'],
  ['a group does not begin without a reason', refuseBegin({ ...withoutC, reason: '' }, view(waiting), []), 'no-reason'],
  ['an approval is heard during an incident', refuseApproval(ann, view(open)), undefined],
  ['an approval without an incident is refused', refuseApproval(ann, view()), 'no-incident'],
  ['another policy is taken', refuseSpec(group({ policy: { ...group().policy, maxPerDay: 9 } }), view(open)), undefined],
  ['other members are not taken during an incident', refuseSpec(group({ members: [...group().members, member('pg-d')] }), view(open)), 'incident-open'],
  [
    'removing the primary is refused',
    refuseSpec(group({ members: [member('pg-b'), member('pg-c')] }), view()),
    'unsafe-change',
    'members.pg-a: it is the primary',
  ],
  ['another name is refused', refuseSpec(group({ name: 'other' }), view()), 'unsafe-change', 'name: a group cannot be renamed'],
];

describe("the operators' words", () => {
  for (const [name, refused, rule, words] of table) {
    it(name, () => {
      expect(refused?.rule).toBe(rule);
      expect(refused?.words ?? '').toContain(words ?? '');
    });
  }
});
