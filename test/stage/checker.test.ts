import { fc, it as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { findDuplicates, findLost, findOvertaken, findZombieLooks, judgeFaults, judgeMembers, longestGapMs } from '../../src/stage/checker.ts';
import type { MemberAnswer } from '../../src/stage/checker.ts';
import type { ReaderLook } from '../../src/stage/reader-log.ts';
import type { Acknowledgement } from '../../src/stage/writer-log.ts';

const MS = 1e6;
const ack = (id: number, atMs: number, port: number, by = 'w'): Acknowledgement => ({ by, id, ns: atMs * MS, port });
const rowsOf = (writes: readonly Acknowledgement[]) => writes.map(({ by, id }) => ({ by, id }));

describe('the checker of timelines', () => {
  const on = (id: number, atMs: number, port: number, timeline: number): Acknowledgement => ({ ...ack(id, atMs, port), timeline });
  const look = (askedMs: number, atMs: number, port: number, timeline: number, open = true): ReaderLook => ({
    askedNs: askedMs * MS,
    ns: atMs * MS,
    port,
    open,
    timeline,
  });

  it('I1: finds what a member acknowledged after another one had on a later timeline, whoever noted it first', () => {
    expect(findOvertaken([on(1, 0, 1, 1), on(3, 30, 1, 1), on(2, 20, 2, 2), on(4, 40, 2, 2)]).map(({ id }) => id)).toEqual([3]);
  });

  it('I1: finds two members that acknowledge on one timeline', () => {
    expect(findOvertaken([on(1, 0, 1, 1), on(2, 10, 2, 1)]).map(({ id }) => id)).toEqual([2]);
  });

  it('finds nothing where the role went there and back', () => {
    expect(findOvertaken([on(1, 0, 1, 1), on(2, 10, 2, 2), on(3, 20, 1, 3), on(4, 30, 1, 3)])).toEqual([]);
  });

  it('I1: finds a member that says that it is open, asked after another one was open on a later timeline', () => {
    expect(findZombieLooks([look(0, 5, 1, 1), look(10, 15, 2, 2), look(20, 25, 1, 1), look(30, 35, 1, 0, false)]).map(({ ns }) => ns / MS)).toEqual([25]);
  });

  it('does not accuse a member whose answer was long on its way', () => {
    expect(findZombieLooks([look(0, 25, 1, 1), look(10, 15, 2, 2)])).toEqual([]);
  });
});

describe('the checker of rows', () => {
  const writes = [ack(1, 0, 1), ack(2, 10, 1), ack(3, 20, 2)];

  it('I2: names each acknowledged write that is not there', () => {
    expect(findLost(writes, rowsOf(writes).slice(0, 2)).map((write) => write.id)).toEqual([3]);
  });

  it('does not miss a write that was never acknowledged, nor count one that is there', () => {
    expect(findLost(writes, [...rowsOf(writes), { by: 'w', id: 4 }])).toEqual([]);
  });

  it('tells two writers with the same number apart', () => {
    expect(findLost([ack(1, 0, 1, 'pinned')], [{ by: 'w', id: 1 }])).toHaveLength(1);
    expect(
      findDuplicates([
        { by: 'w', id: 1 },
        { by: 'pinned', id: 1 },
      ]),
    ).toEqual([]);
  });

  it('finds what was applied twice', () => {
    expect(
      findDuplicates([
        { by: 'w', id: 1 },
        { by: 'w', id: 2 },
        { by: 'w', id: 1 },
      ]),
    ).toEqual(['w:1']);
  });

  property.prop([fc.uniqueArray(fc.nat(500)), fc.array(fc.nat(500))])('I2: lost is exactly what was acknowledged less what is there', (ids, there) => {
    const lost = findLost(
      ids.map((id) => ack(id, id, 1)),
      there.map((id) => ({ by: 'w', id })),
    ).map((write) => write.id);
    expect(lost).toEqual(ids.filter((id) => !there.includes(id)));
  });
});

describe('the checker of faults', () => {
  // Writes each 10 ms by member 1; the fault at 105 ms; member 2 from 400 ms on.
  const before = Array.from({ length: 11 }, (_, i) => ack(i, i * 10, 1));
  const after = Array.from({ length: 20 }, (_, i) => ack(100 + i, 400 + i * 10, 2));
  const fault = { name: 'S1', t0Ns: 105 * MS, oldPort: 1 };

  it('measures the gap between the last acknowledgement before and the first after', () => {
    const [verdict] = judgeFaults([fault], [...before, ...after], [], []);
    expect(verdict).toMatchObject({ gapMs: 300, firstWriteMs: 295, newPort: 2, lateAcknowledgements: 0, lost: 0 });
  });

  it('counts a stall after the takeover as the gap where it is longer, since clients feel that one', () => {
    const [verdict] = judgeFaults([fault], [...before, ...after, ack(200, 1_100, 2)], [], []);
    expect(verdict).toMatchObject({ gapMs: 510, firstWriteMs: 295 });
  });

  it('counts no stall that belongs to the next fault', () => {
    const second = { name: 'S2', t0Ns: 595 * MS, oldPort: 2 };
    const verdicts = judgeFaults([fault, second], [...before, ...after, ack(200, 9_000, 3)], [], []);
    expect(verdicts.map((verdict) => verdict.gapMs)).toEqual([300, 8_410]);
  });

  it('I1: counts what the old primary acknowledges after the new one has begun', () => {
    const zombie = [ack(1, 104, 1, 'pinned'), ack(2, 401, 1, 'pinned'), ack(3, 60_000, 1, 'pinned')];
    const [verdict] = judgeFaults([fault], [...before, ...after], zombie, []);
    expect(verdict?.lateAcknowledgements).toBe(2);
  });

  it('I1: takes the first acknowledgement of any writer as the beginning of the new primary', () => {
    const early = [ack(1, 200, 2, 'pinned'), ack(2, 300, 1, 'pinned')];
    const [verdict] = judgeFaults([fault], [...before, ...after], early, []);
    expect(verdict?.lateAcknowledgements).toBe(1);
  });

  it('does not hold the second fault against the first, when the role comes back', () => {
    const second = { name: 'S4', t0Ns: 595 * MS, oldPort: 2 };
    const back = Array.from({ length: 5 }, (_, i) => ack(300 + i, 700 + i * 10, 1));
    const verdicts = judgeFaults([fault, second], [...before, ...after, ...back], [], []);
    expect(verdicts.map((verdict) => verdict.lateAcknowledgements)).toEqual([0, 0]);
    expect(verdicts[1]).toMatchObject({ newPort: 1, gapMs: 110 });
  });

  it('puts a lost write down to the fault that lost it', () => {
    const second = { name: 'S4', t0Ns: 595 * MS, oldPort: 2 };
    const lost = [before[10], after[3], ack(99, 450, 1, 'pinned')].filter((write) => write !== undefined);
    const verdicts = judgeFaults([fault, second], [...before, ...after], [], lost);
    expect(verdicts.map((verdict) => verdict.lost)).toEqual([2, 1]);
  });

  it('measures the gap of a primary that was started again in its place, and calls none of its writes late', () => {
    const again = Array.from({ length: 10 }, (_, i) => ack(100 + i, 900 + i * 10, 1));
    const [verdict] = judgeFaults([fault], [...before, ack(50, 106, 1), ...again], [ack(1, 950, 1, 'pinned')], []);
    expect(verdict).toMatchObject({ gapMs: 794, firstWriteMs: 795, newPort: 1, lateAcknowledgements: 0 });
  });

  it('claims no gap where nobody else has ever answered', () => {
    const [verdict] = judgeFaults([fault], before, [], []);
    expect(verdict?.gapMs).toBeUndefined();
    expect(verdict?.firstWriteMs).toBeUndefined();
  });

  it('knows no gap between fewer than two', () => {
    expect(longestGapMs([])).toBeUndefined();
    expect(longestGapMs([5])).toBeUndefined();
    expect(longestGapMs([0, 5 * MS, 6 * MS])).toBe(5);
  });
});

describe('the checker of members', () => {
  const answer = (member: string, over: Partial<MemberAnswer> = {}): MemberAnswer => ({
    member,
    inRecovery: true,
    timeline: 2,
    rowCount: 10,
    fingerprint: 'x',
    ...over,
  });
  const table: [name: string, answers: MemberAnswer[], wrong: RegExp | undefined][] = [
    ['one open, the same rows, one timeline: all is well', [answer('pg-a', { inRecovery: false }), answer('pg-b')], undefined],
    ['I1: two open are named', [answer('pg-a', { inRecovery: false }), answer('pg-b', { inRecovery: false })], /pg-a, pg-b are/],
    ['none open is wrong', [answer('pg-a'), answer('pg-b')], /none is/],
    ['another timeline is wrong', [answer('pg-a', { inRecovery: false }), answer('pg-b', { timeline: 1 })], /pg-b 1/],
    ['other rows are wrong, even as many', [answer('pg-a', { inRecovery: false }), answer('pg-b', { fingerprint: 'y' })], /different rows/],
  ];
  for (const [name, answers, wrong] of table) {
    it(name, () => {
      const found = judgeMembers(answers);
      if (wrong === undefined) expect(found).toEqual([]);
      else expect(found.join('; ')).toMatch(wrong);
    });
  }
});
