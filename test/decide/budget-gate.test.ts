import { describe, expect, it } from 'vitest';
import { budgetGate } from '../../src/decide/budget-gate.ts';
import type { Postponable, Standing } from '../../src/decide/budget-gate.ts';
import { decideBurn, errorBudget } from '../../src/decide/burn.ts';
import type { Objective } from '../../src/model/objective.ts';
import { NOW_MS, objective, watched } from './watched.ts';
import type { Stretch } from './watched.ts';

const MONTH = 30 * 24 * 60;
const DAY = 24 * 60;

function standing(stretches: Stretch[], of: Objective = objective()): Standing {
  const input = { objective: of, samples: watched(of, stretches), nowMs: NOW_MS };
  return { objective: of, budget: errorBudget(input), burning: decideBurn(input) };
}

/** So many minutes of nothing, four days ago: no alert sees them any more, and of 43.2 minutes they are gone. */
const lost = (minutes: number, of?: Objective): Standing =>
  standing(
    [
      [MONTH - 4 * DAY - minutes, 0],
      [minutes, 10_000],
      [4 * DAY, 0],
    ],
    of,
  );

describe('what need not be done now waits for error budget', () => {
  // 43.2 minutes: 32 lost leave 11.2, 25.9 %; 33 leave 10.2, 23.6 %; 44 are 0.8 too many; 50 are 6.8 too many.
  const table: [name: string, action: Postponable, standings: Standing[], limit: number, reasons: string][] = [
    ['a service without objectives', 'drill', [], 0.25, 'open'],
    ['all is left', 'drill', [lost(0)], 0.25, 'open'],
    ['all is left, and all must be', 'drill', [lost(0)], 1, 'open'],
    ['more than the limit is left', 'fail-back', [lost(32)], 0.25, 'open'],
    ['less than the limit is left: a drill', 'drill', [lost(33)], 0.25, 'low'],
    ['less than the limit is left: the way back', 'fail-back', [lost(33)], 0.25, 'low'],
    ['a limit of nothing', 'drill', [lost(43)], 0, 'open'],
    ['a limit of nothing, overdrawn', 'drill', [lost(44)], 0, 'low'],
    ['one objective of two', 'drill', [lost(0), lost(33)], 0.25, 'low'],
    ['both of them', 'drill', [lost(50), lost(33)], 0.25, 'low, low'],
    ['nobody has ever looked, for an hour', 'drill', [standing([[60, 'nobody']])], 0.25, 'absent'],
    [
      'nobody has looked of late',
      'fail-back',
      [
        standing([
          [60, 0],
          [10, 'nobody'],
        ]),
      ],
      0.25,
      'absent',
    ],
    ['nothing has happened so far', 'drill', [standing([[60, 0, 0]])], 0.25, 'not-known'],
    ['an objective is a minute old', 'fail-back', [standing([[1, 'nobody']])], 0.25, 'not-known'],
    // An hour at 20: 1.2 minutes are gone, 97.2 % is left.
    [
      'a page is out: a drill',
      'drill',
      [
        standing([
          [MONTH - 60, 0],
          [60, 200],
        ]),
      ],
      0.25,
      'burning',
    ],
    [
      'a page is out: the way back may be the cure',
      'fail-back',
      [
        standing([
          [MONTH - 60, 0],
          [60, 200],
        ]),
      ],
      0.25,
      'open',
    ],
    // Three days at 1.1: a ticket, and 11 % is gone.
    [
      'a ticket is out',
      'drill',
      [
        standing([
          [MONTH - 3 * DAY, 0],
          [3 * DAY, 11],
        ]),
      ],
      0.25,
      'open',
    ],
    // The page is out, and silences the absence: data stays away all the same.
    [
      'a page has silenced the absence',
      'fail-back',
      [
        standing([
          [MONTH - 60, 0],
          [57, 200],
          [3, 'nobody'],
        ]),
      ],
      0.25,
      'absent',
    ],
  ];
  it.each(table)('%s', (_, action, standings, limit, reasons) => {
    const gate = budgetGate({ action, standings, limit });
    expect(gate.open ? 'open' : gate.waitsFor.map(({ reason }) => reason).join(', ')).toBe(reasons);
  });

  it('says so in words', () => {
    const words = (action: Postponable, ...standings: Standing[]): string | undefined => {
      const gate = budgetGate({ action, standings, limit: 0.25 });
      return gate.open ? undefined : gate.words;
    };
    expect(words('drill', lost(33))).toBe('the drill waits: 23.6 % of the error budget of answers of shop is left (10.2 of 43.2 min), and 25 % must be');
    expect(words('fail-back', lost(50), standing([[60, 0, 0]], objective(0.99, { name: 'quick' })))).toBe(
      'the automatic fail-back waits: the error budget of answers of shop is overdrawn by 6.8 min (of 43.2 min), and 25 % must be; ' +
        'no event of quick of shop has been counted in this period, so that its error budget is not known',
    );
  });

  it('never reads as the limit that it is below', () => {
    // 32.4 minutes of 43.2 are 75 %; one bad event of 10,000 in a minute more.
    const hair = standing([
      [MONTH - 4 * DAY - 33, 0],
      [32, 10_000],
      [1, 4001],
      [4 * DAY, 0],
    ]);
    const gate = budgetGate({ action: 'drill', standings: [hair], limit: 0.25 });
    expect(gate).toMatchObject({ open: false, words: expect.stringContaining('24.9 % of the error budget') });
  });

  it('a calendar budget says when it begins anew', () => {
    // April, of 30 days, has 43.2 minutes. Its first 21.5 days hold the 33 bad ones, which were four days ago.
    const of = objective(0.999, { window: { calendar: 'month', timeZone: 'UTC' } });
    const gate = budgetGate({ action: 'drill', standings: [lost(33, of)], limit: 0.25 });
    expect(gate).toEqual({
      open: false,
      waitsFor: [
        {
          objective: 'answers',
          reason: 'low',
          untilMs: Date.UTC(2026, 4, 1),
          words: '23.6 % of the error budget of answers of shop is left (10.2 of 43.2 min), and 25 % must be. The next one begins at 2026-05-01 00:00:00 UTC',
        },
      ],
      words:
        'the drill waits: 23.6 % of the error budget of answers of shop is left (10.2 of 43.2 min), and 25 % must be. The next one begins at 2026-05-01 00:00:00 UTC',
    });
  });
});
