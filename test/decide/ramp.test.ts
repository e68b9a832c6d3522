import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextStep } from '../../src/decide/ramp.ts';
import type { Ramp, RampInput, Weights } from '../../src/decide/ramp.ts';

const RULE = { by: 25, pauseMs: 1000 };
const step = (now: Weights, wanted: Weights, more: Partial<RampInput> = {}): Ramp => nextStep({ now, wanted, rule: RULE, gone: [], nowMs: 10_000, ...more });

describe('nextStep', () => {
  it('there is nothing to do where the weights are as wanted; one that is absent is 0', () => {
    expect(step({ eu: 100, us: 0 }, { eu: 100 })).toEqual({ ramp: 'there' });
  });

  it('moves in proportion, so that all arrive together', () => {
    expect(step({ eu: 0, us: 100 }, { eu: 50, us: 0 })).toMatchObject({ ramp: 'step', weights: { eu: 13, us: 75 }, last: false, words: 'one of 4 steps' });
    expect(step({ eu: 80, us: 20 }, { eu: 100, us: 0 })).toMatchObject({ ramp: 'step', weights: { eu: 100, us: 0 }, last: true });
  });

  it('pauses between two steps, and a clock that went backwards begins the pause anew', () => {
    expect(step({ eu: 0 }, { eu: 100 }, { steppedAtMs: 9500 })).toMatchObject({ ramp: 'waits', untilMs: 10_500 });
    expect(step({ eu: 0 }, { eu: 100 }, { steppedAtMs: 9000 })).toMatchObject({ ramp: 'step' });
    expect(step({ eu: 0 }, { eu: 100 }, { steppedAtMs: 99_000 })).toMatchObject({ ramp: 'waits', untilMs: 11_000 });
  });

  it('without a rule it is at once', () => {
    expect(nextStep({ now: { eu: 0 }, wanted: { eu: 100 }, rule: undefined, gone: [], nowMs: 0 })).toMatchObject({ weights: { eu: 100 }, last: true });
  });

  it('what is gone loses everything at once, pause or not, worse or not', () => {
    const gone = { gone: ['eu'], steppedAtMs: 9999, worse: 'us is down' };
    expect(step({ eu: 100, us: 0 }, { eu: 0, us: 100 }, gone)).toMatchObject({ ramp: 'step', weights: { eu: 0, us: 100 }, last: true });
  });

  it('worsening stops what is gradual', () => {
    expect(step({ eu: 0, us: 100 }, { eu: 100, us: 0 }, { worse: 'eu answers in 900 ms' })).toMatchObject({
      ramp: 'stopped',
      words: expect.stringContaining('900 ms'),
    });
  });

  it('arrives, by no step that is larger than the rule says', () => {
    const anyWeights = fc.record({ eu: fc.integer({ min: 0, max: 255 }), us: fc.integer({ min: 0, max: 255 }), ap: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(anyWeights, anyWeights, fc.integer({ min: 1, max: 100 }), (from, wanted, by) => {
        let now: Weights = from;
        for (let steps = 0; ; steps += 1) {
          expect(steps).toBeLessThanOrEqual(256);
          const next = nextStep({ now, wanted, rule: { by, pauseMs: 0 }, gone: [], nowMs: 0 });
          if (next.ramp !== 'step') break;
          for (const name of ['eu', 'us', 'ap']) expect(Math.abs((next.weights[name] ?? 0) - (now[name] ?? 0))).toBeLessThanOrEqual(by);
          now = next.weights;
        }
        expect(now).toEqual(wanted);
      }),
    );
  });
});
