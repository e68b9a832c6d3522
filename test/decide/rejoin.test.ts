import { describe, expect, it } from 'vitest';
import { decideRejoin, judgeStanding, type RejoinInput } from '../../src/decide/rejoin.ts';
import type { Footprint } from '../../src/model/member.ts';

const data = (over: Partial<Extract<Footprint, { state: 'data' }>> = {}): Footprint => ({
  state: 'data',
  systemId: '77',
  version: '15',
  timeline: 1,
  checkpointLsn: '0/3000028',
  cleanShutdown: true,
  standby: false,
  ...over,
});
const upstream: RejoinInput['upstream'] = { systemId: '77', timeline: 2, forks: [{ timeline: 1, endLsn: '0/30000A0' }] };
const at = (lsn: string, timeline = 1) => ({ timeline, lsn });

const table: [name: string, input: Partial<RejoinInput> & { footprint: Footprint }, how: string, why: RegExp][] = [
  ['an empty directory is cloned into', { footprint: { state: 'empty' } }, 'clone', /empty/],
  ['what a torn rewind left is cloned over', { footprint: { state: 'torn', by: 'rewind' } }, 'clone', /rewind was not finished/],
  ['what a torn clone left is cloned over', { footprint: { state: 'torn', by: 'clone' } }, 'clone', /clone was not finished/],
  ['a directory that holds something else is never overwritten', { footprint: { state: 'foreign', found: 'photos' } }, 'refuse', /photos/],
  ['another system is never overwritten', { footprint: data({ systemId: '78' }), endOfLog: at('0/30000A0') }, 'refuse', /another system/],
  ['another system is never overwritten, not even a standby of it', { footprint: data({ systemId: '78', standby: true }) }, 'refuse', /another system/],
  ['a log that ends exactly at the fork follows', { footprint: data(), endOfLog: at('0/30000A0') }, 'follow', /not past/],
  ['a log that ends before the fork follows', { footprint: data(), endOfLog: at('0/3000000') }, 'follow', /not past/],
  ['one byte past the fork is rewound', { footprint: data(), endOfLog: at('0/30000A1') }, 'rewind', /past 0\/30000A0/],
  [
    'places compare as numbers, not as text',
    { footprint: data(), endOfLog: at('0/FFFFFFFF'), upstream: { ...upstream, forks: [{ timeline: 1, endLsn: '1/0' }] } },
    'follow',
    /not past/,
  ],
  ['an unknown end is rewound, since pg_rewind can tell', { footprint: data({ cleanShutdown: false }) }, 'rewind', /not known/],
  ['without hints a rewind becomes a clone', { footprint: data(), endOfLog: at('0/4000000'), ownHints: false }, 'clone', /wal_log_hints/],
  ["a standby's copy on the same timeline needs nothing", { footprint: data({ timeline: 2, standby: true }) }, 'nothing', /same|own|upstream's timeline 2/],
  ['a standby that ends before the fork needs nothing', { footprint: data({ standby: true }), endOfLog: at('0/3000000') }, 'nothing', /not past/],
  ['a standby that went past the fork is rewound', { footprint: data({ standby: true }), endOfLog: at('0/4000000') }, 'rewind', /past/],
  [
    'a second primary of the same timeline is cloned over, since a rewind would see no difference',
    { footprint: data({ timeline: 2 }), endOfLog: at('0/4000000', 2) },
    'clone',
    /cannot be told apart/,
  ],
  ['a timeline that the upstream lacks is rewound', { footprint: data({ timeline: 3 }), endOfLog: at('0/4000000', 3) }, 'rewind', /does not have/],
  [
    "a timeline beside the upstream's history is rewound",
    {
      footprint: data({ timeline: 2 }),
      endOfLog: at('0/4000000', 2),
      upstream: { systemId: '77', timeline: 3, forks: [{ timeline: 1, endLsn: '0/30000A0' }] },
    },
    'rewind',
    /not in the upstream's history/,
  ],
  [
    'two timelines back, the fork of its own counts',
    {
      footprint: data(),
      endOfLog: at('0/30000A0'),
      upstream: {
        systemId: '77',
        timeline: 3,
        forks: [
          { timeline: 1, endLsn: '0/30000A0' },
          { timeline: 2, endLsn: '0/5000000' },
        ],
      },
    },
    'follow',
    /timeline 1/,
  ],
];

describe('decideRejoin', () => {
  for (const [name, input, how, why] of table) {
    it(name, () => {
      const verdict = decideRejoin({ endOfLog: undefined, upstream, ownHints: true, ...input });
      expect(verdict.how).toBe(how);
      expect(verdict.why).toMatch(why);
    });
  }
});

describe('judgeStanding', () => {
  const upstream2 = { timeline: 2, forks: [{ timeline: 1, endLsn: '0/30000A0' }], keepsFrom: '0/3000000' };
  const cases: [name: string, lsn: string, before: string | undefined, timeline: number, how: string | undefined][] = [
    ['what stands before the fork may still follow', '0/30000A0', '0/30000A0', 1, undefined],
    ['what has gone past it never can', '0/30000A1', undefined, 1, 'rewind'],
    ['what stands where the oldest log begins can follow', '0/3000000', '0/3000000', 2, undefined],
    ['what stands before it, and stood there before, has lost its place', '0/2FFFFFF', '0/2FFFFFF', 2, 'clone'],
    ['what stands before it is asked once more', '0/2FFFFFF', undefined, 2, undefined],
    ['what moves without its upstream is fed from an archive', '0/2FFFFFF', '0/2000000', 2, undefined],
  ];
  it.each(cases)('%s', (_, lsn, before, timeline, how) => {
    const standing = judgeStanding({ timeline, lsn, before, upstream: upstream2 });
    expect(standing?.how).toBe(how);
    if (how === 'clone')
      expect(standing?.why).toBe('it has lost its place: its log was let go (it stands at 0/2FFFFFF, and the upstream has none from before 0/3000000)');
  });

  it('what stands on a timeline that the upstream has passed by, and does not come from, can never follow', () => {
    const passed = { timeline: 3, forks: [{ timeline: 1, endLsn: '0/30000A0' }] };
    expect(judgeStanding({ timeline: 2, lsn: '0/3000050', before: undefined, upstream: passed })?.how).toBe('rewind');
  });

  it('an upstream that does not say what it keeps is believed to keep it', () => {
    expect(judgeStanding({ timeline: 2, lsn: '0/1', before: '0/1', upstream: { timeline: 2, forks: [] } })).toBeUndefined();
  });
});
