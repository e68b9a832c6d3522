import { describe, expect, it } from 'vitest';
import { decideFounding } from '../../src/decide/founding.ts';
import type { Answer } from '../../src/decide/election.ts';
import type { Footprint, LiveState, MemberReport } from '../../src/model/member.ts';
import { frozen, group, member, silent, without } from './world.ts';

const data = (more: Partial<Extract<Footprint, { state: 'data' }>> = {}): Footprint => ({
  state: 'data',
  systemId: '42',
  version: '15',
  timeline: 1,
  checkpointLsn: '0/4000000',
  cleanShutdown: true,
  standby: false,
  ...more,
});
/** A member whose database does not run. */
const stopped = (name: string, footprint: Footprint, more: Partial<MemberReport> = {}): Answer =>
  without(frozen(name, '0/5000000', { epoch: 0, role: 'none', footprint, ...more }), 'live');
const empty = (name: string, more: Partial<MemberReport> = {}): Answer => stopped(name, { state: 'empty' }, more);
/** A member that can write. */
const open = (name: string, more: Partial<MemberReport> = {}): Answer =>
  frozen(name, '0/5000000', { epoch: 0, role: 'primary', footprint: data(), detached: false, ...more }, { inRecovery: false });

const leased = open('pg-a', { epoch: 7, leaseLeftMs: 400 });
/** A standby that has seen epoch 8, and was not opened at it. */
const refusedAt8 = (name: string, more: Partial<MemberReport> = {}, live: Partial<LiveState> = {}): Answer =>
  frozen(name, '0/5000000', { epoch: 8, opened: 0, ...more }, live);

const preferC = group({ members: [member('pg-a'), member('pg-b'), member('pg-c', { priority: 9 })] });

const table: [name: string, answers: Answer[], begin: string, words?: string | undefined, more?: { spec?: typeof preferC; without?: string[] }][] = [
  ['all empty: the highest priority makes the database', [empty('pg-a'), empty('pg-b'), empty('pg-c')], 'found pg-c 1', undefined, { spec: preferC }],
  ['all empty: among equals, the first name makes it', [empty('pg-c'), empty('pg-b'), empty('pg-a')], 'found pg-a 1'],
  ['I3: a silent member may hold the database, so nothing is made', [empty('pg-a'), silent('pg-b'), empty('pg-c')], 'wait', 'pg-b has not answered'],
  ['nobody answers', [], 'wait', 'pg-a, pg-b, pg-c have not answered'],
  ['a person may begin without the silent', [empty('pg-a'), silent('pg-b'), empty('pg-c')], 'found pg-a 1', undefined, { without: ['pg-b'] }],
  ['an existing database that was stopped is adopted beside empty standbys', [empty('pg-a'), stopped('pg-b', data()), empty('pg-c')], 'adopt pg-b 1'],
  ['an existing database that runs is adopted beside empty standbys', [empty('pg-a'), open('pg-b'), empty('pg-c')], 'adopt pg-b 1', 'its database is running'],
  ['an existing database with its standbys is adopted', [open('pg-a'), stopped('pg-b', data({ standby: true })), empty('pg-c')], 'adopt pg-a 1'],
  [
    'a running primary under its lease is adopted at once, whoever is silent',
    [silent('pg-a'), open('pg-b', { epoch: 7, leaseLeftMs: 400 }), silent('pg-c')],
    'adopt pg-b 7',
  ],
  [
    'a running primary under its lease is adopted whatever lies on a standby',
    [open('pg-a', { epoch: 7, leaseLeftMs: 400 }), stopped('pg-b', { state: 'foreign', found: 'photos' }), stopped('pg-c', data({ systemId: '43' }))],
    'adopt pg-a 7',
  ],
  ['a running database whose lease is over waits for the silent', [silent('pg-a'), open('pg-b', { epoch: 7 }), frozen('pg-c')], 'wait'],
  [
    'the highest epoch wins: the old primary that is back is not taken',
    [
      stopped('pg-a', data(), { epoch: 6, role: 'primary' }),
      stopped('pg-b', data({ timeline: 2 }), { epoch: 7, role: 'primary' }),
      frozen('pg-c', '0/5000000', {}, { timeline: 2 }),
    ],
    'adopt pg-b 7',
  ],
  [
    'a stopped primary is adopted beside its standbys',
    [stopped('pg-a', data(), { epoch: 7, role: 'primary' }), frozen('pg-b'), frozen('pg-c')],
    'adopt pg-a 7',
    'it holds epoch 7, the highest seen',
  ],
  ['an unfinished copy beside the database is no obstacle', [open('pg-a'), stopped('pg-b', { state: 'torn', by: 'clone' }), empty('pg-c')], 'adopt pg-a 1'],
  ['I1: two members that can write are refused', [open('pg-a'), open('pg-b'), empty('pg-c')], 'refuse', 'pg-a and pg-b can both write'],
  [
    'I1: two members that can write are refused, lease or not',
    [open('pg-a', { epoch: 7, leaseLeftMs: 400 }), open('pg-b', { epoch: 6 }), empty('pg-c')],
    'refuse',
    'can both write',
  ],
  [
    'two databases that could each be primary are refused',
    [stopped('pg-a', data()), stopped('pg-b', data()), empty('pg-c')],
    'refuse',
    'pg-a and pg-b could each be the primary',
  ],
  [
    'the one that held the role is taken of two that could',
    [stopped('pg-a', data(), { epoch: 7, role: 'primary' }), stopped('pg-b', data(), { epoch: 7, role: 'standby' }), empty('pg-c')],
    'adopt pg-a 7',
  ],
  [
    'databases of different systems are refused',
    [open('pg-a'), stopped('pg-b', data({ systemId: '43', standby: true })), empty('pg-c')],
    'refuse',
    'pg-b (system 43)',
  ],
  [
    'a directory that holds something else is refused',
    [open('pg-a'), stopped('pg-b', { state: 'foreign', found: 'photos' }), empty('pg-c')],
    'refuse',
    'pg-b (holds photos)',
  ],
  ['only unfinished copies are refused', [stopped('pg-a', { state: 'torn', by: 'clone' }), empty('pg-b'), empty('pg-c')], 'refuse', 'unfinished copy'],
  [
    'I2: an epoch that was seen without any database left is refused, not begun anew',
    [empty('pg-a', { epoch: 7 }), empty('pg-b'), empty('pg-c')],
    'refuse',
    'epoch 7 has been seen',
  ],
  ['only standbys are refused: nobody says which was the primary', [frozen('pg-a'), frozen('pg-b'), frozen('pg-c')], 'refuse', "every copy is a standby's"],
  [
    'I2: a primary of an epoch that is over is refused',
    [stopped('pg-a', data(), { epoch: 7, role: 'primary' }), frozen('pg-b', '0/5000000', { epoch: 8 }), frozen('pg-c')],
    'refuse',
    'pg-a could be primary, but has seen only epoch 7, and pg-b epoch 8',
  ],
  [
    'I1: a running primary of an epoch that is over is refused, lease or not',
    [open('pg-a', { epoch: 7, leaseLeftMs: 400 }), frozen('pg-b', '0/5000000', { epoch: 8 }), silent('pg-c')],
    'refuse',
    'epoch 8',
  ],
  [
    'a running primary goes on above the epoch that its standbys have merely seen: of a promotion that was refused',
    [leased, refusedAt8('pg-b'), refusedAt8('pg-c')],
    'adopt pg-a 9',
    'pg-b, pg-c have seen epoch 8',
  ],
  ['a standby that was opened at an earlier epoch than that is no obstacle', [leased, refusedAt8('pg-b', { opened: 5 }), frozen('pg-c')], 'adopt pg-a 9'],
  [
    'a standby that is stopped since its refused promotion is no obstacle',
    [leased, stopped('pg-b', data({ standby: true }), { epoch: 8, opened: 0 }), frozen('pg-c')],
    'adopt pg-a 9',
  ],
  ['I3: but a silent member may have been promoted at that epoch', [leased, refusedAt8('pg-b'), silent('pg-c')], 'wait', 'pg-c may have been promoted'],
  [
    "I3: nor does a person's word about the silent help there",
    [leased, refusedAt8('pg-b'), silent('pg-c')],
    'wait',
    'pg-c may have been promoted',
    { without: ['pg-c'] },
  ],
  ['I1: nor where one may have been opened at it', [leased, refusedAt8('pg-b', { opened: 8 }), frozen('pg-c')], 'refuse', 'epoch 8'],
  ['I1: nor where one was opened after the primary, and has seen more since', [leased, refusedAt8('pg-b', { epoch: 9, opened: 8 }), frozen('pg-c')], 'refuse'],
  ['I1: nor where one holds a lease', [leased, refusedAt8('pg-b', { leaseLeftMs: 400 }), frozen('pg-c')], 'refuse'],
  ["I1: nor where one holds a primary's role", [leased, refusedAt8('pg-b', { role: 'primary' }), frozen('pg-c')], 'refuse'],
  ['I2: nor where one is on another timeline', [leased, refusedAt8('pg-b', {}, { timeline: 2 }), frozen('pg-c')], 'refuse'],
  ['I2: nor where one is of another system', [leased, refusedAt8('pg-b', {}, { systemId: '43' }), frozen('pg-c')], 'refuse'],
  ['I2: nor where one would start as a primary', [leased, stopped('pg-b', data(), { epoch: 8, opened: 0 }), frozen('pg-c')], 'refuse'],
  ['I2: nor where one is empty by now', [leased, empty('pg-b', { epoch: 8, opened: 0 }), frozen('pg-c')], 'refuse'],
  [
    'I4: a standby on a later timeline than the primary is refused',
    [stopped('pg-a', data(), { epoch: 7, role: 'primary' }), frozen('pg-b', '0/5000000', {}, { timeline: 3 }), frozen('pg-c')],
    'refuse',
    'pg-b (timeline 3) is later',
  ],
  ['agents of different clusters are refused', [empty('pg-a'), empty('pg-b', { cluster: 'x' }), empty('pg-c')], 'refuse', 'pg-b (x)'],
];

describe('decideFounding', () => {
  for (const [name, answers, begin, words, more] of table) {
    it(name, () => {
      const founding = decideFounding({ spec: group(), answers, ...more });
      expect(founding.begin === 'found' || founding.begin === 'adopt' ? `${founding.begin} ${founding.primary} ${founding.epoch}` : founding.begin).toBe(begin);
      expect(founding.words).toContain(words ?? '');
    });
  }

  it('decides the same in whatever order the answers come', () => {
    for (const [, answers, , , more] of table) {
      expect(decideFounding({ spec: group(), answers: [...answers].reverse(), ...more })).toEqual(decideFounding({ spec: group(), answers, ...more }));
    }
  });
});
