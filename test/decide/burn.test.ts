import { describe, expect, it } from 'vitest';
import { absentAfterMs, alertWindows, decideBurn, errorBudget } from '../../src/decide/burn.ts';
import type { AlertWindows } from '../../src/decide/burn.ts';
import { noSamples } from '../../src/decide/samples.ts';
import type { ObjectiveWindow } from '../../src/model/objective.ts';
import { DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, objective, watched } from './watched.ts';
import type { Stretch } from './watched.ts';

const MONTH = 30 * 24 * 60; // 43,200 minutes
const DAY = 24 * 60;

describe('the budget of a period', () => {
  const sizes: [target: number, window: ObjectiveWindow, minutes: number][] = [
    [0.9, { rolling: 30 * DAY_MS }, 4320], // 0.1 x 43,200
    [0.99, { rolling: 30 * DAY_MS }, 432], // 0.01 x 43,200: 7 h 12 min
    [0.999, { rolling: 30 * DAY_MS }, 43.2], // 0.001 x 43,200
    [0.9995, { rolling: 30 * DAY_MS }, 21.6], // 0.0005 x 43,200
    [0.9999, { rolling: 30 * DAY_MS }, 4.32], // 0.0001 x 43,200
    [0.99999, { rolling: 30 * DAY_MS }, 0.432], // 0.00001 x 43,200: 26 s
    [0.999, { rolling: 28 * DAY_MS }, 40.32], // 0.001 x 40,320
    [0.999, { rolling: 7 * DAY_MS }, 10.08], // 0.001 x 10,080
    [0.999, { calendar: 'week', timeZone: 'UTC' }, 10.08], // 0.001 x 10,080
    [0.999, { calendar: 'month', timeZone: 'UTC' }, 43.2], // April has 30 days
    [0.999, { calendar: 'quarter', timeZone: 'UTC' }, 131.04], // April, May and June have 91 days: 0.001 x 131,040
  ];
  for (const [target, window, minutes] of sizes) {
    it(`of ${100 * target} % over ${JSON.stringify(window)} is ${minutes} minutes`, () => {
      const one = objective(target, { window });
      const budget = errorBudget({ objective: one, samples: watched(one, [[10, 0]]), nowMs: NOW_MS });
      expect(budget).toMatchObject({ known: true, consumed: 0, remaining: 1, percent: 100, unknownMs: 0 });
      expect(budget).not.toHaveProperty('nines');
      if (!budget.known) return;
      expect(budget.minutes).toBeCloseTo(minutes, 9);
      expect(budget.minutesLeft).toBeCloseTo(minutes, 9);
    });
  }

  const spent: [name: string, target: number, stretches: Stretch[], consumed: number, minutesLeft: number][] = [
    // 144 of 10,000 is 1.44 %, 14.4 times 0.1 %. 60 x 144 = 8640 of 432,000,000 events: 0.002 %, of 0.1 %: 2 %. 43.2 x 0.98 = 42.336.
    [
      '14.4 times for an hour takes 2 %',
      0.999,
      [
        [MONTH - 60, 0],
        [60, 144],
      ],
      0.02,
      42.336,
    ],
    // 60 of 10,000 is 6 x 0.1 %. 360 x 60 = 21,600 of 432,000,000: 0.005 %. 43.2 x 0.95 = 41.04.
    [
      '6 times for six hours takes 5 %',
      0.999,
      [
        [MONTH - 360, 0],
        [360, 60],
      ],
      0.05,
      41.04,
    ],
    // 1440 x 30 = 43,200 of 432,000,000: 0.01 %. 43.2 x 0.9 = 38.88.
    [
      '3 times for a day takes 10 %',
      0.999,
      [
        [MONTH - DAY, 0],
        [DAY, 30],
      ],
      0.1,
      38.88,
    ],
    // 4320 x 10 = 43,200 again.
    [
      '1 time for three days takes 10 %',
      0.999,
      [
        [MONTH - 3 * DAY, 0],
        [3 * DAY, 10],
      ],
      0.1,
      38.88,
    ],
    // 43,200 x 10 of 432,000,000 is 0.1 %: all of it.
    ['1 time for thirty days takes all', 0.999, [[MONTH, 10]], 1, 0],
    // 21.6 minutes of 43.2: 21 whole ones, and 6000 of the 10,000 of another.
    [
      'nothing works for 21.6 minutes: half',
      0.999,
      [
        [MONTH - 22, 0],
        [21, 10_000],
        [1, 6000],
      ],
      0.5,
      21.6,
    ],
    // 86.4 of 43.2 minutes: 86 whole ones, and 4000 of 10,000. What is left is -43.2.
    [
      'nothing works for twice the budget: missed',
      0.999,
      [
        [MONTH - 87, 0],
        [86, 10_000],
        [1, 4000],
      ],
      2,
      -43.2,
    ],
    // 432 of 432 minutes.
    [
      'nothing works for 7 h 12 min: all of 99 %',
      0.99,
      [
        [MONTH - 432, 0],
        [432, 10_000],
      ],
      1,
      0,
    ],
    // Ten minutes of life: 1 of 10 minutes failed. 0.1 x 10 / 43.2 = 1 / 43.2 = 0.023148; one minute of 43.2 is gone.
    [
      'the first bad minute of a life takes a minute',
      0.999,
      [
        [9, 0],
        [1, 10_000],
      ],
      1 / 43.2,
      42.2,
    ],
  ];
  it.each(spent)('%s', (_, target, stretches, consumed, minutesLeft) => {
    const one = objective(target);
    const budget = errorBudget({ objective: one, samples: watched(one, stretches), nowMs: NOW_MS });
    if (!budget.known) throw new Error('not known');
    expect(budget.consumed).toBeCloseTo(consumed, 9);
    expect(budget.remaining).toBeCloseTo(1 - consumed, 9);
    expect(budget.minutesLeft).toBeCloseTo(minutesLeft, 9);
    expect(budget.consumedAtWorst).toBe(budget.consumed);
  });

  const nines: [bad: number, percent: number, nines: number][] = [
    [1000, 90, 1], // -log10(0.1)
    [100, 99, 2], // -log10(0.01)
    [10, 99.9, 3], // -log10(0.001)
    [5, 99.95, 3.30103], // -log10(0.0005) = 3 + log10(2)
    [1, 99.99, 4], // -log10(0.0001)
    [5000, 50, 0.30103], // log10(2)
    [10_000, 0, 0],
  ];
  it.each(nines)('%d bad of 10,000 is %d %%, %d nines', (bad, percent, count) => {
    const budget = errorBudget({ objective: objective(), samples: watched(objective(), [[10, bad]]), nowMs: NOW_MS });
    if (!budget.known) throw new Error('not known');
    expect(budget.percent).toBeCloseTo(percent, 9);
    expect(budget.nines).toBeCloseTo(count, 5);
  });

  it('begins anew with a calendar month', () => {
    // Since 1 April, 00:00 UTC, it is 21.5 days: 30,960 minutes. The bad hour was 30 minutes in March, 30 in April: 30 of 43.2 are gone.
    const one = objective(0.999, { window: { calendar: 'month', timeZone: 'UTC' } });
    const samples = watched(one, [
      [MONTH - 30_990, 0],
      [60, 10_000],
      [30_930, 0],
    ]);
    const budget = errorBudget({ objective: one, samples, nowMs: NOW_MS });
    if (!budget.known) throw new Error('not known');
    // An hour's cell is all in the month or all out of it, so that the turn of the month is exact.
    expect(budget.consumed).toBeCloseTo(30 / 43.2, 9);
    expect(budget.minutesLeft).toBeCloseTo(13.2, 9);
  });

  it('counts a gap as the rest is, and says what it may have hidden', () => {
    // 10 h: 9 h watched, of which 5.4 minutes (1 %) were bad; 1 h unseen. 1 % of 600 minutes is 6 minutes, of 43.2.
    // At worst the unseen hour was bad: 5.4 + 60 = 65.4 minutes of 43.2.
    const samples = watched(objective(), [
      [240, 100],
      [60, 'nobody'],
      [300, 100],
    ]);
    const budget = errorBudget({ objective: objective(), samples, nowMs: NOW_MS });
    if (!budget.known) throw new Error('not known');
    expect(budget.unknownMs).toBe(HOUR_MS);
    expect(budget.consumed).toBeCloseTo(6 / 43.2, 9);
    expect(budget.consumedAtWorst).toBeCloseTo(65.4 / 43.2, 9);
  });

  it.each<[string, Stretch[]]>([
    ['nobody looked', [[10, 'nobody']]],
    ['nothing happened', [[10, 0, 0]]],
  ])('is not known where %s', (_, stretches) => {
    expect(errorBudget({ objective: objective(), samples: watched(objective(), stretches), nowMs: NOW_MS })).toEqual({
      known: false,
      period: { startMs: NOW_MS - 30 * DAY_MS, endMs: NOW_MS },
    });
  });
});

describe('the windows of the alerts', () => {
  const table: [window: ObjectiveWindow, minutes: [long: number, short: number][]][] = [
    [
      { rolling: 30 * DAY_MS },
      [
        [60, 5],
        [360, 30],
        [1440, 120],
        [4320, 360],
      ],
    ],
    [
      { calendar: 'month', timeZone: 'UTC' },
      [
        [60, 5],
        [360, 30],
        [1440, 120],
        [4320, 360],
      ],
    ],
    // 7/30: 60 -> 14, 5 -> 1.17 (up to 2), 360 -> 84, 30 -> 7, 1440 -> 336, 120 -> 28, 4320 -> 1008, 360 -> 84
    [
      { rolling: 7 * DAY_MS },
      [
        [14, 2],
        [84, 7],
        [336, 28],
        [1008, 84],
      ],
    ],
    // 28/30: 60 -> 56, 5 -> 4.67 (up to 5), 360 -> 336, 30 -> 28, 1440 -> 1344, 120 -> 112, 4320 -> 4032, 360 -> 336
    [
      { rolling: 28 * DAY_MS },
      [
        [56, 5],
        [336, 28],
        [1344, 112],
        [4032, 336],
      ],
    ],
    // Three times as long.
    [
      { calendar: 'quarter', timeZone: 'UTC' },
      [
        [180, 15],
        [1080, 90],
        [4320, 360],
        [12_960, 1080],
      ],
    ],
  ];
  it.each(table)('of %j', (window, minutes) => {
    const found = alertWindows(window);
    expect(found.map(({ longMs, shortMs }) => [longMs / MINUTE_MS, shortMs / MINUTE_MS])).toEqual(minutes);
    expect(found.map(({ factor, severity }) => [factor, severity])).toEqual([
      [14.4, 'page'],
      [6, 'page'],
      [3, 'ticket'],
      [1, 'ticket'],
    ]);
  });

  it('each means its share of the budget: factor x long / window', () => {
    const share = ({ factor, longMs }: AlertWindows, days: number): number => (factor * longMs) / (days * DAY_MS);
    for (const days of [7, 30, 90]) {
      const shares = alertWindows({ rolling: days * DAY_MS }).map((one) => Number(share(one, days).toFixed(9)));
      // 14.4 x 60 / 43,200; 6 x 360 / 43,200; 3 x 1440 / 43,200; 1 x 4320 / 43,200
      expect(shares).toEqual([0.02, 0.05, 0.1, 0.1]);
    }
  });
});

/** `14.4`, `absent`, or `none`; then what it silences. */
function told(one: ReturnType<typeof decideBurn>): string {
  const name = (alert: (typeof one.silenced)[number]): string => (alert.kind === 'burn' ? String(alert.factor) : alert.kind);
  return [one.alert === undefined ? 'none' : name(one.alert), ...one.silenced.map(name)].join(' > ');
}

describe('alerts of 99.9 % over 30 days', () => {
  // Rates in 10,000: 10 is a burn of 1, 144 of 14.4. Good before, for three days in all.
  const after = (...stretches: Stretch[]): Stretch[] => [[3 * DAY - stretches.reduce((sum, [minutes]) => sum + minutes, 0), 0], ...stretches];
  const table: [name: string, stretches: Stretch[], alert: string][] = [
    ['nothing is wrong', after(), 'none'],
    // Of an hour 1/60 = 1.67 %: 16.7 times. Of 5 minutes 1/5: 200 times. Of six hours 1/360: 2.8; of a day 0.7; of three 0.23.
    ['one minute of nothing pages', after([1, 10_000]), '14.4'],
    // 8640 of 600,000 in the hour is 1.44 %: 14.4 times, which is no more than 14.4. Of 6 h: 2.4; of a day 0.6; of three days 0.2.
    ['a burn of exactly 14.4 for an hour', after([60, 144]), 'none'],
    ['a burn of 14.5 for an hour', after([60, 145]), '14.4'],
    // 55 minutes x 200 = 11,000 of 600,000: 18.3 times, but nothing in the last 5 minutes. Of six hours: 11,000 of 3,600,000: 3.06.
    ['it ended 5 minutes ago', after([55, 200], [5, 0]), 'none'],
    // Of the last 5 minutes 3 at 200: 600 of 50,000 is 1.2 %, 12 times. With 4 of them it is 1.6 %, 16 times.
    ['it ended two minutes ago', after([58, 200], [2, 0]), 'none'],
    ['it ended a minute ago', after([59, 200], [1, 0]), '14.4'],
    // 30 minutes x 250: 7500 of 600,000 in the hour: 12.5, below 14.4, though the last 5 minutes burn at 25.
    ['a fast burn that has not lasted', after([30, 250]), 'none'],
    // 6 h at 6.1. Of a day: 6.1 x 6/24 = 1.53, of three: 0.51.
    ['a burn of 6.1 for six hours', after([360, 61]), '6'],
    ['a burn of exactly 6 for six hours', after([360, 60]), 'none'],
    ['it ended half an hour ago', after([330, 80], [30, 0]), 'none'],
    // 24 h at 3.1. Of three days: 3.1 / 3 = 1.03, and 3.1 in its 6 h: that one fires too, and is silenced.
    ['a burn of 3.1 for a day', after([DAY, 31]), '3 > 1'],
    // 2.9 / 3 = 0.97
    ['a burn of 2.9 for a day', after([DAY, 29]), 'none'],
    ['a burn of 1.1 for three days', after([3 * DAY, 11]), '1'],
    ['a burn of exactly 1 is what the budget is for', after([3 * DAY, 10]), 'none'],
    ['all at once: the fastest is told', after([3 * DAY, 10_000]), '14.4 > 6 > 3 > 1'],
    // The last look began 3 minutes ago: 2 whole minutes without any, and the one in which it was.
    ['nobody looked for 2 minutes', after([2, 'nobody']), 'absent'],
    ['nobody looked for a minute', after([1, 'nobody']), 'none'],
    // Of the hour, 57 minutes at 20; the last 5 minutes hold 2 at 20.
    ['a page outlives data that stays away', after([58, 200], [3, 'nobody']), '14.4 > absent'],
    // Nothing in the short window: the rate cannot be told. Six hours: 55 x 200 of 3,550,000: 3.1. No page.
    ['a page ends with its short window, and absence is told then', after([55, 200], [5, 'nobody']), 'absent'],
    // The day: 1435 x 31; its 2 h: 31 too. Of three days: 3.1 x 1435/4315 = 1.03.
    ['absence silences tickets', after([DAY - 5, 31], [5, 'nobody']), 'absent > 3 > 1'],
    // Bad in 30 of the 30 minutes seen of the hour: as bad as all of it.
    ['a gap is no success: what was seen tells the rate', after([60, 200], [30, 'nobody'], [30, 200]), '14.4'],
  ];
  it.each(table)('%s', (_, stretches, alert) => {
    expect(told(decideBurn({ objective: objective(), samples: watched(objective(), stretches), nowMs: NOW_MS }))).toBe(alert);
  });

  it('a rate of exactly the factor is no more than it, whatever a division makes of it', () => {
    // 54 of 12,500 is 0.432 %: 14.4 times 0.03 %.
    expect(54 / 12_500 / 0.0003).toBeGreaterThan(14.4);
    const of = objective(0.9997);
    const samples = watched(of, [
      [3 * DAY - 60, 0, 12_500],
      [60, 54, 12_500],
    ]);
    expect(told(decideBurn({ objective: of, samples, nowMs: NOW_MS }))).toBe('none');
  });

  it('below the minimum volume a rate is chance, and no alert', () => {
    // One event a minute, one of 60 bad: 1.67 %, 16.7 times; it is the last, so 1 of 5: 200 times.
    const samples = watched(objective(), [
      [59, 0, 1],
      [1, 1, 1],
    ]);
    const states = (minimumEvents: number) => {
      const { rates, ...rest } = decideBurn({ objective: objective(0.999, { minimumEvents }), samples, nowMs: NOW_MS });
      return [told({ rates, ...rest }), ...rates.map(({ state }) => state)];
    };
    expect(states(61)).toEqual(['none', 'too-few', 'too-few', 'too-few', 'too-few']);
    // A life of one hour: all long windows hold the same 60 events.
    expect(states(60)).toEqual(['14.4 > 6 > 3 > 1', 'fires', 'fires', 'fires', 'fires']);
  });

  it('a night without events is neither absent nor well', () => {
    const { alert, rates } = decideBurn({
      objective: objective(),
      samples: watched(objective(), [
        [60, 0],
        [480, 0, 0],
      ]),
      nowMs: NOW_MS,
    });
    expect(alert).toBeUndefined();
    // Of 30 minutes, 2 and 6 hours, and of the hour: nothing. Each has its short window empty.
    expect(rates.map(({ state }) => state)).toEqual(['no-events', 'no-events', 'no-events', 'no-events']);
  });

  it('a new objective is given its time before it is absent', () => {
    const since = (ms: number) => decideBurn({ objective: objective(), samples: noSamples(NOW_MS - ms, 30 * DAY_MS), nowMs: NOW_MS }).alert;
    expect(since(2 * MINUTE_MS)).toBeUndefined();
    expect(since(2 * MINUTE_MS + 1)).toMatchObject({ kind: 'absent', sinceMs: NOW_MS - 2 * MINUTE_MS - 1 });
  });

  it('says it in words', () => {
    // 29 days and 23 h good, one hour at 20: 60 x 200 = 12,000 of 432,000,000: 0.0028 %, 2.8 % of the budget. 97.2 % of 30 days / 20 = 35 h.
    const burns = decideBurn({
      objective: objective(),
      samples: watched(objective(), [
        [MONTH - 60, 0],
        [60, 200],
      ]),
      nowMs: NOW_MS,
    });
    expect(burns.alert?.words).toBe(
      'answers of shop burns its error budget too fast: at 20 times over the last 1h and 20 times over the last 5m the pace that it bears. What is left, 97.2 %, lasts for 1 d 11 h at this pace.',
    );
    const spent = decideBurn({ objective: objective(), samples: watched(objective(), [[60, 10_000]]), nowMs: NOW_MS });
    expect(spent.alert?.words).toMatch(/ 1000 times over the last 1h .* Nothing is left of the budget\.$/);
    const absent = decideBurn({
      objective: objective(),
      samples: watched(objective(), [
        [9, 0],
        [9, 'nobody'],
      ]),
      nowMs: NOW_MS,
    });
    expect(absent.alert?.words).toBe('answers of shop is not known: nothing has been heard of it for 10 min. That is no success');
  });
});

describe('absence is told after', () => {
  const table: [target: number, days: number, minutes: number][] = [
    [0.999, 30, 2], // 1 % of 43.2 minutes is 26 s: less than two looks
    [0.99, 30, 4.32], // 1 % of 432 minutes
    [0.95, 30, 21.6], // 1 % of 2160 minutes
    [0.5, 30, 60], // 1 % of 21,600 minutes is 216: more than the hour of the fastest alert
    [0.99, 7, 2], // 1 % of 100.8 minutes is 1.008
    [0.5, 7, 14], // 1 % of 5040 minutes is 50.4: more than the 14 minutes of the fastest alert
  ];
  it.each(table)('%d over %d days: %d minutes', (target, days, minutes) => {
    expect(absentAfterMs(objective(target, { window: { rolling: days * DAY_MS } })) / MINUTE_MS).toBeCloseTo(minutes, 9);
  });
});
