import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { defaultRules, scoreOf } from '../../src/decide/score.ts';
import type { Readings, ScoreRule } from '../../src/decide/score.ts';

const RULES = defaultRules('db', ['mail', 'maps', 'tax', 'pay']);
const readings = (cpu: number, memory: number, down: string[] = []): Readings => ({
  values: { cpu, memory },
  checks: Object.fromEntries(['db', 'mail', 'maps', 'tax', 'pay'].map((name) => [name, down.includes(name) ? 'down' : 'up'])),
});

// Each sum is worked out by hand from the rules of the issue: CPU and memory -20 above 80 %, -10 above 60 %; database -30; outside services -20 in proportion.
const table: [name: string, readings: Readings, score: number][] = [
  ['nothing is wrong', readings(20, 30), 100],
  ['a limit itself is not above it', readings(60, 80), 90],
  ['CPU over 60 %', readings(61, 30), 90],
  ['CPU over 80 %: 20, not 20 and 10', readings(81, 30), 80],
  ['memory the same', readings(20, 80.1), 80],
  ['both over 80 %', readings(99, 99), 60],
  ['the database is down', readings(20, 30, ['db']), 70],
  ['one of four outside services is down: a quarter of 20', readings(20, 30, ['maps']), 95],
  ['three of four', readings(20, 30, ['maps', 'mail', 'tax']), 85],
  ['everything at once: 100 - 20 - 20 - 30 - 20', readings(100, 100, ['db', 'mail', 'maps', 'tax', 'pay']), 10],
];

describe('scoreOf', () => {
  for (const [name, of, score] of table) it(name, () => expect(scoreOf(RULES, of)).toMatchObject({ known: true, score }));

  it('says what took points away', () => {
    expect(scoreOf(RULES, readings(81.26, 10, ['db', 'tax']))).toMatchObject({
      minus: [
        { of: 'cpu', points: 20, words: 'cpu is 81.3, above 80' },
        { of: 'db', points: 30, words: 'db fails' },
        { of: 'tax', points: 5, words: '1 of 4 fail' },
      ],
    });
  });

  it('makes no score where a reading is missing, and names each', () => {
    expect(scoreOf(RULES, { values: { cpu: Number.NaN }, checks: { db: 'up', mail: 'up', maps: 'down', tax: 'up' } })).toEqual({
      known: false,
      missing: ['cpu', 'memory', 'pay'],
      words: 'no reading of cpu, memory, pay',
    });
  });

  it('never falls below nothing', () => {
    const harsh: ScoreRule[] = [
      { rule: 'check', of: 'db', minus: 80 },
      { rule: 'check', of: 'mail', minus: 80 },
    ];
    expect(scoreOf(harsh, { values: {}, checks: { db: 'down', mail: 'down' } })).toMatchObject({ score: 0 });
  });

  it('is never better for one more thing that fails, or for a higher reading', () => {
    const percent = fc.double({ min: 0, max: 100, noNaN: true });
    const downs = fc.subarray(['db', 'mail', 'maps', 'tax', 'pay']);
    const points = (of: Readings): number => {
      const score = scoreOf(RULES, of);
      return score.known ? score.score : Number.NaN;
    };
    fc.assert(
      fc.property(percent, percent, percent, downs, downs, (cpu, higher, memory, down, more) => {
        const least = Math.min(cpu, higher);
        expect(points(readings(Math.max(cpu, higher), memory, [...down, ...more]))).toBeLessThanOrEqual(points(readings(least, memory, down)));
      }),
    );
  });
});
