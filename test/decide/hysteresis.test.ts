import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isInDoubt, judge } from '../../src/decide/hysteresis.ts';
import type { Standing } from '../../src/decide/hysteresis.ts';
import type { Verdict } from '../../src/model/verdict.ts';

const COUNTS = { rise: 2, fall: 3, blind: 3 };
const OF = { '+': 'up', '-': 'down', '?': 'unknown' } as const;

/** Looks as marks, and the verdict after each as marks: `+` up, `-` down, `?` unknown. */
function verdicts(looks: string): string {
  let standing: Standing | undefined;
  let told = '';
  Array.from(looks).forEach((mark, index) => {
    standing = judge(standing, { outcome: OF[mark as '+'] }, COUNTS, index);
    told += mark === '' ? '' : Object.entries(OF).find(([, verdict]) => verdict === standing?.verdict)![0];
  });
  return told;
}

const table: [name: string, looks: string, told: string][] = [
  ['the first look counts at once', '+', '+'],
  ['and so does a bad one', '-', '-'],
  ['three bad looks in a row are down', '+---', '+++-'],
  ['two are not', '+--++', '+++++'],
  ['two good ones are up again', '---++', '----+'],
  ['what fails two times of three is down in the end, though never three in a row', '+--+--', '+++++-'],
  ['what fails every other time is not', '+-+-+-+-', '++++++++'],
  ['I3: looks that saw nothing speak neither way', '+-?-?-', '+++++-'],
  ['I3: three of them in a row are unknown, not down', '+???', '+++?'],
  ['I3: at the beginning nothing is known', '?', '?'],
  ['the first look that sees something counts at once after that, too', '??-', '??-'],
  ['after a blindness it is as it was, as soon as it is seen so', '+????+', '+++??+'],
  ['I3: after a blindness one bad look is not yet down', '+???-', '+++??'],
  ['but three are', '+???---', '+++???-'],
];

describe('judge', () => {
  for (const [name, looks, told] of table) it(name, () => expect(verdicts(looks)).toBe(told));

  it('a verdict says since when, and why', () => {
    const up = judge(undefined, { outcome: 'up' }, COUNTS, 5);
    const down = [6, 7, 8].reduce((standing, nowMs) => judge(standing, { outcome: 'down', words: `refused at ${nowMs}` }, COUNTS, nowMs), up);
    expect(down).toMatchObject({ verdict: 'down', sinceMs: 8, words: 'refused at 8' });
  });

  it('is in doubt while something speaks against it, and only then', () => {
    const up = judge(undefined, { outcome: 'up' }, COUNTS, 0);
    const shaken = judge(up, { outcome: 'down' }, COUNTS, 1);
    expect([up, shaken, judge(shaken, { outcome: 'up' }, COUNTS, 2)].map(isInDoubt)).toEqual([false, true, false]);
    expect(isInDoubt(judge(up, { outcome: 'unknown' }, COUNTS, 1))).toBe(true);
  });

  it('I3: no looks that saw nothing ever make a verdict of down', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom<Verdict>('up', 'down', 'unknown')), (looks) => {
        let standing: Standing | undefined;
        for (const [index, outcome] of looks.entries()) {
          const before = standing?.verdict;
          standing = judge(standing, { outcome }, COUNTS, index);
          if (standing.verdict === 'down' && before !== 'down') expect(outcome).toBe('down');
          if (standing.verdict === 'up' && before !== 'up') expect(outcome).toBe('up');
        }
      }),
    );
  });
});
