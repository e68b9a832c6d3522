import { describe, expect, it } from 'vitest';
import { elect, recordElection } from '../../src/decide/election.ts';
import type { Election, ElectionInput } from '../../src/decide/election.ts';
import { async, election, frozen, group, member, reportOf, silent, streaming, without } from './world.ts';

const asyncGroup = group({ durability: async });
const lease = { member: 'pg-a', last: { timeline: 1, lsn: '0/5000000', ageMs: 900 }, fencedBy: 'lease' } as const;
const acceptLoss = { by: 'ann', reason: 'the disk is gone' };

/** What a row expects: who is elected (or why nobody), and a piece of one member's verdict. */
type Row = [name: string, input: Partial<ElectionInput>, outcome: string, verdict?: string];

const table: Row[] = [
  [
    'I4: the most advanced wins over the preferred',
    { spec: group({ members: [member('pg-a'), member('pg-b'), member('pg-c', { priority: 9 })] }), answers: [frozen('pg-b', '0/5000100'), frozen('pg-c')] },
    'pg-b',
    'pg-b elected: received up to 0/5000100',
  ],
  ['I4: among the equally advanced, priority wins', { spec: group({ members: [member('pg-a'), member('pg-b'), member('pg-c', { priority: 9 })] }) }, 'pg-c'],
  ['among equals, the first name wins', {}, 'pg-b'],
  [
    'I4: another timeline is never promoted',
    { answers: [frozen('pg-b', '0/9000000', {}, { timeline: 2 }), frozen('pg-c')], rule: { names: ['pg-c'], count: 1 } },
    'pg-c',
    'pg-b is on timeline 2, not on 1',
  ],
  [
    'a standby that had not yet followed onto the timeline is behind, not astray',
    { oldPrimary: { member: 'pg-a', fencedBy: 'agent', last: { timeline: 2, lsn: '0/5000100' }, fork: { timeline: 1, lsn: '0/5000000' } } },
    'pg-b',
  ],
  [
    'I4: a standby that went past the fork on the old timeline is astray',
    { oldPrimary: { member: 'pg-a', fencedBy: 'agent', last: { timeline: 2, lsn: '0/5000100' }, fork: { timeline: 1, lsn: '0/4FFFFFF' } } },
    'none-fit',
    'pg-b is on timeline 1, not on 2',
  ],
  [
    'with the timeline never heard, that of the acknowledged followers counts',
    {
      oldPrimary: { member: 'pg-a', fencedBy: 'agent' },
      electable: ['pg-c'],
      rule: { names: ['pg-c'], count: 1 },
      answers: [frozen('pg-b', '0/9000000', {}, { timeline: 3 }), frozen('pg-c')],
    },
    'pg-c',
  ],
  [
    'I4: a member above the lag limit is not promoted by itself',
    { spec: asyncGroup, answers: [frozen('pg-b', '0/4FFFBFF'), silent('pg-c')] },
    'none-fit',
    'pg-b is 1 kB behind, above the limit of 1 kB',
  ],
  ['I2: async promotes exactly at the lag limit', { spec: asyncGroup, answers: [frozen('pg-b', '0/4FFFC00'), silent('pg-c')] }, 'pg-b'],
  [
    'I2: async with an unknown last place promotes nobody by itself',
    { spec: asyncGroup, oldPrimary: { member: 'pg-a', fencedBy: 'agent', last: { timeline: 1 } } },
    'loss-unknown',
  ],
  [
    'async with an unknown last place promotes when the loss is accepted',
    { spec: asyncGroup, oldPrimary: { member: 'pg-a', fencedBy: 'agent', last: { timeline: 1 } }, acceptLoss },
    'pg-b',
  ],
  [
    'I4: the lag is measured against the furthest that anybody has, not only the heartbeat',
    { spec: asyncGroup, excluded: ['pg-c'], answers: [frozen('pg-b'), frozen('pg-c', '0/5001000')] },
    'none-fit',
    'pg-b is 4 kB behind',
  ],
  ['I4: an excluded member is passed over', { excluded: ['pg-b'] }, 'pg-c', 'pg-b is excluded by an operator'],
  ['a member that has refused its promotion is passed over, and no operator is blamed', { refused: ['pg-b'] }, 'pg-c', 'pg-b has refused its promotion'],
  ["an operator's word comes before a refused promotion", { excluded: ['pg-b'], refused: ['pg-b'] }, 'pg-c', 'pg-b is excluded by an operator'],
  [
    'I2: a member that refused its promotion and is ahead may hold acknowledged writes',
    { refused: ['pg-c'], answers: [frozen('pg-b'), frozen('pg-c', '0/5000100')] },
    'furthest-unfit',
  ],
  ['a member outside the acknowledged set is passed over', { electable: ['pg-c'] }, 'pg-c', 'pg-b is not among those'],
  ['a person who vouches for the fence may promote outside the acknowledged set', { electable: [], oldPrimary: { ...lease, fencedBy: 'person' } }, 'pg-b'],
  [
    'priority 0 is never promoted by itself',
    { spec: group({ members: [member('pg-a'), member('pg-b', { priority: 0 }), member('pg-c')] }) },
    'pg-c',
    'pg-b has priority 0',
  ],
  [
    'priority 0 is promoted when asked for by name',
    { spec: group({ members: [member('pg-a'), member('pg-b', { priority: 0 }), member('pg-c')] }), target: 'pg-b' },
    'pg-b',
  ],
  [
    'I3: a silent member is not fit, and is not called down',
    { answers: [silent('pg-b'), frozen('pg-c')], rule: { names: ['pg-c'], count: 1 } },
    'pg-c',
    'pg-b gave no answer in time',
  ],
  [
    'a member that nobody asked is silent',
    { answers: [frozen('pg-c')], rule: { names: ['pg-c'], count: 1 } },
    'pg-c',
    'pg-b gave no answer in time: it was not asked',
  ],
  [
    'a member without a running database is not fit',
    { answers: [without(frozen('pg-b', '0/5000000', { trouble: 'it starts' }), 'live'), frozen('pg-c')], rule: { names: ['pg-c'], count: 1 } },
    'pg-c',
    'pg-b has no running database: it starts',
  ],
  [
    'a member that has acted on this epoch is not promoted to it again',
    { answers: [frozen('pg-b', '0/5000000', { epoch: 8 }), frozen('pg-c')] },
    'pg-c',
    'pg-b has already acted on epoch 8',
  ],
  ['I1: a later epoch than ours stops every promotion', { answers: [frozen('pg-b', '0/5000000', { epoch: 9 }), frozen('pg-c')] }, 'newer-epoch'],
  [
    'I1: nobody is promoted beside a member that can write',
    { answers: [frozen('pg-b', '0/5000000', {}, { inRecovery: false }), frozen('pg-c')] },
    'another-writable',
    'pg-b is not a standby',
  ],
  [
    'I1: the old primary that answers as writable is not dead',
    { answers: [frozen('pg-a', '0/5000000', { role: 'primary' }, { inRecovery: false }), frozen('pg-b'), frozen('pg-c')] },
    'primary-alive',
    'pg-a is the primary whose role ended',
  ],
  [
    'I3: after a timeout, a receiver fed within the lease says that the primary lives',
    { oldPrimary: lease, answers: [frozen('pg-b'), streaming('pg-c')] },
    'primary-alive',
    'pg-c still receives from pg-a',
  ],
  [
    'a receiver that has not noticed yet is no obstacle once the agent has fenced, but is not frozen',
    { answers: [frozen('pg-b'), streaming('pg-c')] },
    'not-enough-answers',
  ],
  [
    'a receiver that was not fed within the lease is only not detached',
    { oldPrimary: lease, answers: [streaming('pg-b', '0/5000000', { fedAgoMs: 1000 }), silent('pg-c')] },
    'none-fit',
    'pg-b still receives from pg-a',
  ],
  [
    'a member whose replay is paused is not fit',
    { answers: [frozen('pg-b', '0/5000000', {}, { replayPaused: true }), frozen('pg-c')] },
    'pg-c',
    'pg-b has its replay paused',
  ],
  [
    'another database system is never promoted',
    { answers: [frozen('pg-b', '0/9000000', {}, { systemId: '43' }), frozen('pg-c')], rule: { names: ['pg-c'], count: 1 }, systemId: '42' },
    'pg-c',
    'pg-b holds database system 43, not 42',
  ],
  [
    'where two systems are equally common, nobody can say which is ours',
    { answers: [frozen('pg-b', '0/9000000', {}, { systemId: '43' }), frozen('pg-c')] },
    'none-fit',
    'pg-b holds database system 43, not one that all agree on',
  ],
  [
    'an agent of another cluster is not asked to promote',
    { cluster: 'default@here', rule: { names: ['pg-c'], count: 1 }, answers: [frozen('pg-b', '0/9000000', { cluster: 'default@there' }), frozen('pg-c')] },
    'pg-c',
    'pg-b belongs to default@there',
  ],
  [
    'an answer of somebody who is no member counts for nothing',
    { answers: [frozen('pg-x', '0/9000000'), frozen('pg-b'), frozen('pg-c')] },
    'pg-b',
    'pg-x is no member',
  ],
  ['I2: one answer of two is too few where one of two confirmed', { answers: [frozen('pg-b'), silent('pg-c')] }, 'not-enough-answers'],
  ['I2: one answer of two is enough where both confirmed', { answers: [frozen('pg-b'), silent('pg-c')], rule: { names: ['pg-b', 'pg-c'], count: 2 } }, 'pg-b'],
  ['too few answers are enough when the loss is accepted', { answers: [frozen('pg-b'), silent('pg-c')], acceptLoss }, 'pg-b'],
  [
    'too few answers are enough where the end of the log is known, and reached',
    { answers: [frozen('pg-b'), silent('pg-c')], oldPrimary: { member: 'pg-a', fencedBy: 'agent', last: { timeline: 1, lsn: '0/5000000', exact: true } } },
    'pg-b',
  ],
  [
    'I2: the known end of the log, not reached, still needs the answers',
    {
      answers: [frozen('pg-b', '0/4FFFFFF'), silent('pg-c')],
      oldPrimary: { member: 'pg-a', fencedBy: 'agent', last: { timeline: 1, lsn: '0/5000000', exact: true } },
    },
    'not-enough-answers',
  ],
  [
    'I2: an unfit member that is ahead may hold acknowledged writes',
    { excluded: ['pg-c'], answers: [frozen('pg-b'), frozen('pg-c', '0/5000100')] },
    'furthest-unfit',
  ],
  [
    'an unfit member that is ahead holds nothing acknowledged where both had to confirm',
    { excluded: ['pg-c'], answers: [frozen('pg-b'), frozen('pg-c', '0/5000100')], rule: { names: ['pg-b', 'pg-c'], count: 2 } },
    'pg-b',
  ],
  ['I2: sync under no commit rule promotes nobody by itself', { rule: { names: [], count: 0 } }, 'nothing-promised'],
  [
    'sync under no commit rule promotes where the end of the log is known, and reached',
    { rule: { names: [], count: 0 }, oldPrimary: { member: 'pg-a', fencedBy: 'agent', last: { timeline: 1, lsn: '0/5000000', exact: true } } },
    'pg-b',
  ],
  ['the target is promoted over an equal of higher priority', { target: 'pg-c' }, 'pg-c'],
  ['I2: a target that is behind the furthest is refused', { target: 'pg-c', answers: [frozen('pg-b', '0/5000100'), frozen('pg-c')] }, 'target-behind'],
  [
    'a target that is behind is promoted when the loss is accepted',
    { target: 'pg-c', answers: [frozen('pg-b', '0/5000100'), frozen('pg-c')], acceptLoss },
    'pg-c',
  ],
  [
    'I4: an unfit target is refused, whoever else is fit',
    { target: 'pg-c', answers: [frozen('pg-b'), silent('pg-c')], rule: { names: ['pg-b'], count: 1 } },
    'target-unfit',
  ],
  ['I4: an accepted loss makes no other timeline fit', { acceptLoss, answers: [frozen('pg-b', '0/5000000', {}, { timeline: 2 }), silent('pg-c')] }, 'none-fit'],
  [
    'the old primary itself is never elected',
    { answers: [frozen('pg-a', '0/9000000'), silent('pg-b'), silent('pg-c')] },
    'none-fit',
    'pg-a is the primary whose role ended',
  ],
];

function outcomeOf(result: Election): string {
  return result.outcome === 'elected' ? result.member : result.why.reason;
}

describe('elect', () => {
  for (const [name, more, outcome, verdict] of table) {
    it(name, () => {
      const result = elect(election(more));
      expect(outcomeOf(result)).toBe(outcome);
      if (verdict !== undefined) expect(result.verdicts.map((one) => `${one.member} ${one.words}`).join('\n')).toContain(verdict);
    });
  }

  it('gives a verdict on every member, once, in the order of the configuration', () => {
    const { verdicts } = elect(election({ answers: [frozen('pg-c'), frozen('pg-b')] }));
    expect(verdicts.map((one) => one.member)).toEqual(['pg-a', 'pg-b', 'pg-c']);
  });

  it('says whether asking again may help', () => {
    const waits = (more: Partial<ElectionInput>): boolean => {
      const result = elect(election(more));
      if (result.outcome === 'elected') throw new Error(`elected ${result.member}`);
      return result.canWait;
    };
    expect(waits({ answers: [frozen('pg-b'), silent('pg-c')] })).toBe(true);
    expect(waits({ oldPrimary: lease, answers: [streaming('pg-b'), streaming('pg-c')] })).toBe(true);
    expect(waits({ excluded: ['pg-c'], answers: [frozen('pg-b'), frozen('pg-c', '0/5000100')] })).toBe(false);
    expect(waits({ excluded: ['pg-b', 'pg-c'] })).toBe(false);
    expect(waits({ refused: ['pg-b', 'pg-c'] })).toBe(false);
    expect(waits({ answers: [frozen('pg-b', '0/5000000', { epoch: 9 }), frozen('pg-c')] })).toBe(false);
  });

  it('I2: says what may be lost, and for how long nobody was looking', () => {
    const lossOf = (more: Partial<ElectionInput>) => {
      const result = elect(election(more));
      return result.outcome === 'elected' ? result.loss : undefined;
    };
    expect(lossOf({})).toMatchObject({ kind: 'none' });
    expect(lossOf({ spec: asyncGroup, answers: [frozen('pg-b', '0/4FFFF00'), silent('pg-c')] })).toMatchObject({ kind: 'at-most', bytes: 256, unseenMs: 200 });
    expect(lossOf({ spec: asyncGroup, oldPrimary: { member: 'pg-a', fencedBy: 'agent', last: { timeline: 1, lsn: '0/5000000', exact: true } } })).toMatchObject(
      { kind: 'none' },
    );
    expect(lossOf({ acceptLoss, answers: [frozen('pg-b', '0/4FFFF00'), silent('pg-c')] })).toMatchObject({
      kind: 'at-most',
      bytes: 256,
      words: expect.stringContaining('accepted by ann: the disk is gone'),
    });
    expect(lossOf({ acceptLoss })).toMatchObject({ kind: 'none' });
    expect(lossOf({ acceptLoss, oldPrimary: { member: 'pg-a', fencedBy: 'person' }, answers: [frozen('pg-b'), silent('pg-c')] })).toMatchObject({
      kind: 'unknown',
    });
  });

  it('names who is missing', () => {
    const result = elect(election({ answers: [frozen('pg-b'), silent('pg-c')] }));
    expect(result.words).toBe(
      'only 1 of the 2 answers needed to be sure of every acknowledged write came; missing: pg-c. Bring one of them back, or accept the loss',
    );
  });

  it('is kept whole, so that it can be decided again', () => {
    const input = election();
    const kept = recordElection(input, elect(input), 123);
    expect(kept).toMatchObject({ atMs: 123, epoch: 8, elected: 'pg-b', input });
    expect(JSON.parse(JSON.stringify(kept))).toEqual(kept);
    expect(reportOf(kept.input.answers[0] ?? silent('nobody')).member).toBe('pg-b');
  });
});
