import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { alertWindows, decideBurn, errorBudget } from '../../src/decide/burn.ts';
import type { BurnInput, Burning } from '../../src/decide/burn.ts';
import { addSample, noSamples, totalsOver } from '../../src/decide/samples.ts';
import type { Sample, Samples, Totals } from '../../src/decide/samples.ts';
import { budgetOf } from '../../src/model/objective.ts';
import type { Objective, ObjectiveWindow } from '../../src/model/objective.ts';
import { DAY_MS, MINUTE_MS, NOW_MS, objective } from '../decide/watched.ts';

const anyWindow: fc.Arbitrary<ObjectiveWindow> = fc.oneof(
  fc.integer({ min: 7, max: 92 }).map((days) => ({ rolling: days * DAY_MS })),
  fc.record({ calendar: fc.constantFrom('week', 'month', 'quarter'), timeZone: fc.constantFrom('UTC', 'Asia/Kolkata', 'America/Havana') }),
);
const anyObjective: fc.Arbitrary<Objective> = fc
  .record({
    target: fc.constantFrom(0.5, 0.9, 0.99, 0.999, 0.9995, 0.999999),
    window: anyWindow,
    minimumEvents: fc.constantFrom(0, 0, 1, 100, 10_000),
  })
  .map(({ target, ...more }) => objective(target, more));

/** Of one look: how many minutes after the one before; how many events, and which share of them was bad. */
const anyLook = fc.record({
  after: fc.oneof(
    { weight: 12, arbitrary: fc.constant(1) },
    { weight: 2, arbitrary: fc.integer({ min: 2, max: 90 }) },
    { weight: 1, arbitrary: fc.integer({ min: 91, max: 3000 }) },
  ),
  total: fc.oneof({ weight: 1, arbitrary: fc.constant(0) }, { weight: 5, arbitrary: fc.integer({ min: 1, max: 1000 }) }),
  bad: fc.oneof(fc.constant(0), fc.constant(1), fc.double({ min: 0, max: 0.1, noNaN: true })),
});
/** The last look may be long ago. */
const anyLooks: fc.Arbitrary<Sample[]> = fc
  .tuple(fc.array(anyLook, { maxLength: 120, size: 'max' }), fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400 })))
  .map(([looks, ago]) => {
    let atMs = NOW_MS - ago * MINUTE_MS;
    return looks
      .map(({ after, total, bad }) => {
        const sample = { atMs, good: total - Math.round(bad * total), total };
        atMs -= after * MINUTE_MS;
        return sample;
      })
      .reverse();
  });

function store(looks: readonly Sample[]): Samples {
  return looks.reduce((samples, look) => addSample(samples, look, look.atMs), noSamples(looks[0]?.atMs ?? NOW_MS, 93 * DAY_MS));
}

const ahead = ({ alert, silenced }: Burning) => (alert === undefined ? silenced : [alert, ...silenced]);

describe('burning', () => {
  test.prop([anyObjective, anyLooks])('an alert fires exactly where both of its windows burn faster than its factor, in enough events', (of, looks) => {
    const samples = store(looks);
    const { rates, ...rest } = decideBurn({ objective: of, samples, nowMs: NOW_MS });
    const fired = ahead({ rates, ...rest }).flatMap((alert) => (alert.kind === 'burn' ? [alert.factor] : []));
    const expected = alertWindows(of.window).filter(({ factor, longMs, shortMs }) => {
      // Compared without a division.
      const counts = (spanMs: number): Totals => totalsOver(samples, NOW_MS - spanMs, NOW_MS + 1);
      const burns = ({ good, total }: Totals): boolean => (total - good) * 1e7 > Math.round(factor * 10) * Math.round(budgetOf(of) * 1e6) * total;
      return counts(longMs).total >= of.minimumEvents && burns(counts(longMs)) && burns(counts(shortMs));
    });
    expect(fired).toEqual(expected.map(({ factor }) => factor));
  });

  test.prop([anyObjective, anyLooks])('the one alert is as grave as any, and nothing silent goes without one', (of, looks) => {
    const burning = decideBurn({ objective: of, samples: store(looks), nowMs: NOW_MS });
    if (burning.alert === undefined) expect(burning.silenced).toEqual([]);
    const all = ahead(burning);
    if (all.some(({ severity }) => severity === 'page')) expect(burning.alert?.severity).toBe('page');
    const factors = all.flatMap((alert) => (alert.kind === 'burn' ? [alert.factor] : []));
    expect(factors).toEqual(factors.toSorted((a, b) => b - a));
  });

  test.prop([anyObjective, anyLooks])('data that stays away always ends in an alert', (of, looks) => {
    const longest = alertWindows(of.window)[0]?.longMs ?? 0;
    const burning = decideBurn({ objective: of, samples: store(looks), nowMs: NOW_MS + longest + 1 });
    expect(ahead(burning).filter(({ kind }) => kind === 'absent')).toHaveLength(1);
  });

  test.prop([anyObjective, anyLooks, fc.integer({ min: 0, max: 119 })])(
    'one more failure never leaves more of the budget, nor fewer alerts',
    (of, looks, which) => {
      const at = which % Math.max(1, looks.length);
      const worse = looks.map((look, i) => (i === at ? { ...look, good: Math.max(0, look.good - 1) } : look));
      const input = (all: readonly Sample[]): BurnInput => ({ objective: of, samples: store(all), nowMs: NOW_MS });
      const [before, after] = [input(looks), input(worse)];
      const [had, has] = [errorBudget(before), errorBudget(after)];
      expect(has.known).toBe(had.known);
      if (had.known && has.known) {
        expect(has.remaining).toBeLessThanOrEqual(had.remaining);
        expect(has.percent).toBeLessThanOrEqual(had.percent);
      }
      expect(ahead(decideBurn(after)).length).toBeGreaterThanOrEqual(ahead(decideBurn(before)).length);
    },
  );

  test.prop([anyObjective, anyLooks])('a budget adds up', (of, looks) => {
    const budget = errorBudget({ objective: of, samples: store(looks), nowMs: NOW_MS });
    if (!budget.known) return;
    expect(budget.consumed).toBeGreaterThanOrEqual(0);
    expect(budget.consumed + budget.remaining).toBeCloseTo(1, 6);
    expect(budget.consumedAtWorst).toBeGreaterThanOrEqual(budget.consumed);
    expect(budget.minutesLeft).toBeCloseTo(budget.minutes * budget.remaining, 3);
    // Nothing can cost more than all of the period's time.
    expect(budget.consumedAtWorst).toBeLessThanOrEqual(1 / budgetOf(of) + 1e-6);
    expect(budget.unknownMs).toBeLessThanOrEqual(NOW_MS - Math.max(budget.period.startMs, looks[0]?.atMs ?? NOW_MS));
    if (budget.nines !== undefined) expect(100 - 100 * 10 ** -budget.nines).toBeCloseTo(budget.percent, 6);
  });
});
