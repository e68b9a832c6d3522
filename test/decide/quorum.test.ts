import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideQuorum } from '../../src/decide/quorum.ts';
import type { Opinion, QuorumRule } from '../../src/decide/quorum.ts';
import type { Verdict } from '../../src/model/verdict.ts';

const NOW = 100_000;
const RULE: QuorumRule = { downShare: 2 / 3, staleAfterMs: 10_000 };

/** One mark an observer: `+` up, `-` down, `?` does not know, `b` blind and would say down, `o` said down long ago, `.` never heard. */
function opinionsOf(marks: string): { observers: string[]; opinions: Opinion[] } {
  const observers = Array.from(marks).map((_mark, index) => `o${index}`);
  const verdicts: Record<string, Verdict> = { '+': 'up', '?': 'unknown' };
  const opinions = Array.from(marks).flatMap((mark, index): Opinion[] => {
    if (mark === '.') return [];
    const heardAtMs = mark === 'o' ? NOW - 10_001 : NOW - 10_000;
    return [{ observer: `o${index}`, verdict: verdicts[mark] ?? 'down', heardAtMs, ...(mark === 'b' ? { blind: 'its references fail too' } : {}) }];
  });
  return { observers, opinions };
}

const table: [name: string, marks: string, verdict: Verdict, words: string, rule?: Partial<QuorumRule>][] = [
  ['all say up', '+++', 'up', '3 of 3 observers say up'],
  ['two of three are two thirds', '--+', 'down', '2 of 3 observers say down, and 2 are enough'],
  ['I3: silence from one observer changes no verdict', '-++', 'up', '1 of 3 observers say down, and 2 would have to'],
  ['one of two who see is not enough', '-+.', 'up', '1 of 3 observers say down, and 2 would have to'],
  ['both of two who see are, where that is two thirds of all', '--.', 'down', '2 of 3'],
  ['I3: two of four stay a minority when one of the others loses its sight', '--b+', 'up', '2 of 4 observers say down, and 3 would have to'],
  ['I3: where nobody says up and too few say down, nothing is known', '---..', 'unknown', '3 of 5 observers say down, 4 would have to, and nobody says up'],
  ['I3: a blind observer abstains, whatever it says', 'bb+', 'unknown', '1 of 3 observers see it, and 2 must'],
  ['I3: what was said long ago counts no more', 'oo-', 'unknown', '1 of 3'],
  ['I3: whoever does not know speaks for nobody', '??-', 'unknown', '1 of 3'],
  ['I3: nobody was ever heard', '...', 'unknown', '0 of 3'],
  ['a single observer decides where it is the only one', '-', 'down', '1 of 1'],
  ['three of five are not two thirds', '---++', 'up', '3 of 5 observers say down, and 4 would have to'],
  ['where half is enough, they are', '---++', 'down', '3 are enough', { downShare: 0.5 }],
  ['where all must agree, one is enough to keep it', '----+', 'up', '5 would have to', { downShare: 1 }],
  ['where one of three is enough, one decides', '-..', 'down', '1 of 3', { least: 1, downShare: 0.3 }],
];

describe('decideQuorum', () => {
  for (const [name, marks, verdict, words, rule] of table)
    it(name, () => {
      const quorum = decideQuorum({ ...opinionsOf(marks), rule: { ...RULE, ...rule }, nowMs: NOW });
      expect(quorum.verdict).toBe(verdict);
      expect(quorum.words).toContain(words);
    });

  it('says who abstains, and why', () => {
    expect(decideQuorum({ ...opinionsOf('b.o?'), rule: RULE, nowMs: NOW }).abstains).toEqual([
      { observer: 'o0', words: 'is blind: its references fail too' },
      { observer: 'o1', words: 'has said nothing yet' },
      { observer: 'o2', words: 'was last heard 10 s ago' },
      { observer: 'o3', words: 'does not know' },
    ]);
  });

  it('I3: nobody is called down because somebody lost its sight, or said up instead', () => {
    const anyMarks = fc.array(fc.constantFrom('+', '-', '?', 'b', 'o', '.'), { minLength: 1, maxLength: 7 });
    const anyRule = fc.record({ downShare: fc.double({ min: 0.01, max: 1, noNaN: true }), staleAfterMs: fc.constant(10_000) });
    fc.assert(
      fc.property(anyMarks, fc.nat(), fc.constantFrom('?', 'b', 'o', '.', '+'), anyRule, (marks, at, lost, rule) => {
        const verdictOf = (of: readonly string[]): Verdict => decideQuorum({ ...opinionsOf(of.join('')), rule, nowMs: NOW }).verdict;
        const before = verdictOf(marks);
        if (!marks.includes('-')) expect(before).not.toBe('down');
        const index = at % marks.length;
        // Who sees again may well complete those who say down.
        if (lost === '+' && marks[index] !== '-') return;
        if (before !== 'down') expect(verdictOf([...marks.slice(0, index), lost, ...marks.slice(index + 1)])).not.toBe('down');
      }),
    );
  });
});
