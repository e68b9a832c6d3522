import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideLevel, DEFAULT_LEVELS, levelOf } from '../../src/decide/level.ts';
import type { LevelDecision, LevelState, Pin, Recovery } from '../../src/decide/level.ts';
import type { Score } from '../../src/decide/score.ts';

const ONE: Recovery = { afterMs: 100, step: 'one' };
const known = (score: number): Score => ({
  known: true,
  score,
  minus: score === 100 ? [] : [{ of: 'cpu', points: 100 - score, words: 'cpu is 90, above 80' }],
});
const MISSING: Score = { known: false, missing: ['cpu'], words: 'no reading of cpu' };
const pin: Pin = { level: 'minimal', by: 'ann', reason: 'a sale', untilMs: 250 };

/** Scores by time; the level after each. */
function play(
  steps: readonly (readonly [nowMs: number, score: Score | number, pinned?: Pin])[],
  recovery = ONE,
): { levels: string[]; changes: number; last: LevelDecision } {
  let state: LevelState | undefined;
  let changes = 0;
  const decisions = steps.map(([nowMs, score, pinned]) => {
    if (pinned !== undefined && state !== undefined) state = { ...state, pin: pinned };
    const decision = decideLevel({ state, score: typeof score === 'number' ? known(score) : score, levels: DEFAULT_LEVELS, recovery, nowMs });
    state = decision.state;
    if (decision.changed) changes += 1;
    return decision;
  });
  return { levels: decisions.map((decision) => decision.state.level), changes, last: decisions.at(-1)! };
}

const limits: [score: number, level: string][] = [
  [100, 'full'],
  [80, 'full'],
  [79.9, 'degraded'],
  [60, 'degraded'],
  [59.9, 'minimal'],
  [40, 'minimal'],
  [39.9, 'offline'],
  [0, 'offline'],
];

const table: [name: string, steps: Parameters<typeof play>[0], levels: string[], recovery?: Recovery][] = [
  [
    'down at once, and by as many levels as it takes',
    [
      [0, 100],
      [1, 30],
    ],
    ['full', 'offline'],
  ],
  [
    'up only after sustained health, one level at a time',
    [
      [0, 30],
      [10, 100],
      [109, 100],
      [110, 100],
      [209, 100],
      [210, 100],
    ],
    ['offline', 'offline', 'offline', 'minimal', 'minimal', 'degraded'],
  ],
  [
    'or to the top at once, where that is wanted',
    [
      [0, 30],
      [10, 100],
      [110, 100],
    ],
    ['offline', 'offline', 'full'],
    { afterMs: 100, step: 'all' },
  ],
  [
    'a break begins the wait anew',
    [
      [0, 70],
      [10, 100],
      [60, 70],
      [70, 100],
      [120, 100],
      [170, 100],
    ],
    ['degraded', 'degraded', 'degraded', 'degraded', 'degraded', 'full'],
  ],
  [
    'a missing reading holds the level',
    [
      [0, 70],
      [10, MISSING],
      [20, 70],
    ],
    ['degraded', 'degraded', 'degraded'],
  ],
  [
    'and begins the wait anew: nobody knows that it was well meanwhile',
    [
      [0, 70],
      [10, 100],
      [60, MISSING],
      [110, 100],
      [209, 100],
      [210, 100],
    ],
    ['degraded', 'degraded', 'degraded', 'degraded', 'degraded', 'full'],
  ],
  [
    'a clock that went backwards ends no wait',
    [
      [0, 70],
      [1000, 100],
      [10, 100],
      [109, 100],
      [110, 100],
    ],
    ['degraded', 'degraded', 'degraded', 'degraded', 'full'],
  ],
  [
    'a pin outranks every score, up and down, until its end',
    [
      [0, 100],
      [100, 100, pin],
      [200, 10],
      [249, 100],
      [250, 100],
      [350, 100],
    ],
    ['full', 'minimal', 'minimal', 'minimal', 'minimal', 'degraded'],
  ],
  [
    'after a pin what is worse counts at once',
    [
      [0, 100],
      [100, 100, pin],
      [250, 10],
    ],
    ['full', 'minimal', 'offline'],
  ],
  [
    'I3: before anything is known it is the best level, since what cannot be seen sheds no feature',
    [
      [0, MISSING],
      [1, MISSING],
      [2, 70],
    ],
    ['full', 'full', 'degraded'],
  ],
];

describe('decideLevel', () => {
  for (const [score, level] of limits) it(`a score of ${score} makes ${level}`, () => expect(levelOf(score, DEFAULT_LEVELS)).toBe(level));
  for (const [name, steps, levels, recovery] of table) it(name, () => expect(play(steps, recovery).levels).toEqual(levels));

  it('a change is told once', () => {
    expect(
      play([
        [0, 100],
        [1, 70],
        [2, 70],
        [3, 65],
      ]).changes,
    ).toBe(2);
    expect(
      play([
        [0, 70],
        [10, 100],
        [50, 100],
        [110, 100],
        [120, 100],
      ]).changes,
    ).toBe(2);
  });

  it('says why, what is left, and when to ask again', () => {
    expect(
      play([
        [0, 100],
        [1, 70],
      ]).last.words,
    ).toBe('a score of 70 makes degraded: -30 cpu is 90, above 80');
    expect(
      play([
        [0, 70],
        [10, 100],
      ]).last,
    ).toMatchObject({ words: 'a score of 100 makes full, and must for another 100 ms', askAgainAtMs: 110 });
    expect(
      play([
        [0, 100],
        [100, 100, pin],
      ]).last,
    ).toMatchObject({ words: 'ann has pinned it to minimal for another 150 ms: a sale', askAgainAtMs: 250 });
    expect(
      play([
        [0, 70],
        [10, MISSING],
      ]).last.words,
    ).toBe('no reading of cpu: degraded is held');
  });

  it('leaves a level that the configuration no longer has', () => {
    const state: LevelState = { level: 'brownout', sinceMs: 0 };
    expect(decideLevel({ state, score: known(100), levels: DEFAULT_LEVELS, recovery: { afterMs: 0, step: 'one' }, nowMs: 1 }).state.level).toBe('offline');
  });

  it('never rises without health for that long, never by more than one level, and never lags behind what is worse', () => {
    const anyStep = fc.record({ afterMs: fc.integer({ min: 0, max: 80 }), score: fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined }) });
    const ranks = DEFAULT_LEVELS.map(({ name }) => name);
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 1, maxLength: 60 }), (steps) => {
        let state: LevelState | undefined;
        let [nowMs, wellSinceMs] = [0, Number.NaN];
        for (const { afterMs, score } of steps) {
          nowMs += afterMs;
          const before = state === undefined ? undefined : ranks.indexOf(state.level);
          const made = score === undefined ? undefined : ranks.indexOf(levelOf(score, DEFAULT_LEVELS));
          if (before === undefined || made === undefined || made >= before) wellSinceMs = Number.NaN;
          else if (Number.isNaN(wellSinceMs)) wellSinceMs = nowMs;
          state = decideLevel({ state, score: score === undefined ? MISSING : known(score), levels: DEFAULT_LEVELS, recovery: ONE, nowMs }).state;
          const after = ranks.indexOf(state.level);
          if (before === undefined) continue;
          if (made !== undefined) expect(after).toBeGreaterThanOrEqual(Math.min(made, before));
          if (made !== undefined && made > before) expect(after).toBe(made);
          if (after >= before) continue;
          expect(after).toBe(before - 1);
          expect(nowMs - wellSinceMs).toBeGreaterThanOrEqual(ONE.afterMs);
          wellSinceMs = nowMs;
        }
      }),
    );
  });
});
