import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { addSample, noSamples, totalsOver } from '../../src/decide/samples.ts';
import type { Sample, Samples } from '../../src/decide/samples.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const SINCE_MS = Date.UTC(2026, 2, 1, 0, 7, 30);
const KEEP_MS = 30 * DAY_MS;

/** How long after the one before, how long ago it was taken (late, or from a clock that is ahead), and what it counts. */
interface Arrival {
  readonly afterMs: number;
  readonly lateMs: number;
  readonly total: number;
  readonly bad: number;
}

const anyArrival = (late: boolean): fc.Arbitrary<Arrival> =>
  fc.record({
    afterMs: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 0, max: 3 * MINUTE_MS }) },
      { weight: 4, arbitrary: fc.integer({ min: 0, max: 7 * HOUR_MS }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 6 * DAY_MS }) },
    ),
    lateMs: late
      ? fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -HOUR_MS, max: 8 * DAY_MS }) })
      : fc.constant(0),
    total: fc.integer({ min: 0, max: 100 }),
    bad: fc.integer({ min: 0, max: 100 }),
  });
const anyArrivals = (late: boolean): fc.Arbitrary<Arrival[]> => fc.array(anyArrival(late), { minLength: 1, maxLength: 200, size: 'max' });

interface Played {
  readonly samples: Samples;
  /** The plain version: every sample, at the time that counts. */
  readonly all: readonly Sample[];
  readonly nowMs: number;
}

function play(arrivals: readonly Arrival[], keepMs = KEEP_MS): Played {
  let nowMs = SINCE_MS;
  let samples = noSamples(SINCE_MS, keepMs);
  const all: Sample[] = [];
  for (const { afterMs, lateMs, total, bad } of arrivals) {
    nowMs += afterMs;
    const sample = { atMs: nowMs - lateMs, good: Math.max(0, total - bad), total };
    samples = addSample(samples, sample, nowMs);
    all.push({ ...sample, atMs: Math.min(sample.atMs, nowMs) });
  }
  return { samples, all, nowMs };
}

const sum = (samples: readonly Sample[]): { good: number; total: number } => ({
  good: samples.reduce((before, sample) => before + sample.good, 0),
  total: samples.reduce((before, sample) => before + sample.total, 0),
});
const plain = (all: readonly Sample[], fromMs: number, toMs: number) => sum(all.filter(({ atMs }) => atMs >= fromMs && atMs < toMs));

/** The width of the cells that a time this long ago may be in; one boundary's rounding is allowed for. */
const widthMs = (agoMs: number): number => (agoMs <= 6 * HOUR_MS ? MINUTE_MS : agoMs <= 3 * DAY_MS ? 5 * MINUTE_MS : HOUR_MS);

describe('samples', () => {
  test.prop([anyArrivals(true)])('nothing is lost or counted twice, however late it comes, until it is forgotten', (arrivals) => {
    const { samples, all } = play(arrivals, 1000 * DAY_MS);
    const { good, total } = totalsOver(samples, 0, Number.MAX_SAFE_INTEGER);
    expect({ good, total }).toEqual(sum(all));
  });

  test.prop([anyArrivals(true), fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })])(
    'answers as the plain version does, within a cell at either end',
    (arrivals, one, two) => {
      const { samples, all, nowMs } = play(arrivals);
      // Squared, so that the recent past, with its narrow cells, is asked for as often.
      const [newer, older] = [Math.min(one, two) ** 2 * KEEP_MS, Math.max(one, two) ** 2 * KEEP_MS];
      const [fromMs, toMs] = [nowMs - older, nowMs - newer];
      const found = totalsOver(samples, fromMs, toMs);
      const least = plain(all, fromMs, toMs);
      const most = plain(all, fromMs - widthMs(older), toMs + widthMs(newer));
      for (const key of ['good', 'total'] as const) {
        expect(found[key]).toBeGreaterThanOrEqual(least[key]);
        expect(found[key]).toBeLessThanOrEqual(most[key]);
      }
    },
  );

  test.prop([anyArrivals(false)])('the minutes that were looked at are kept through wider cells', (arrivals) => {
    const { samples, all } = play(arrivals, 1000 * DAY_MS);
    const minutes = new Set(all.map(({ atMs }) => Math.floor(atMs / MINUTE_MS)));
    expect(totalsOver(samples, 0, Number.MAX_SAFE_INTEGER).watchedMs).toBe(minutes.size * MINUTE_MS);
  });

  test.prop([anyArrivals(true)])('cells are sorted, cover no time twice, and are plain JSON', (arrivals) => {
    const { samples } = play(arrivals);
    expect(JSON.parse(JSON.stringify(samples))).toEqual(samples);
    const spans = [
      ...samples.hours.map(([index]) => [index * HOUR_MS, (index + 1) * HOUR_MS] as const),
      ...samples.fiveMinutes.map(([index]) => [index * 5 * MINUTE_MS, (index + 1) * 5 * MINUTE_MS] as const),
      ...samples.minutes.map(([index]) => [index * MINUTE_MS, (index + 1) * MINUTE_MS] as const),
    ];
    for (const [i, [startMs]] of spans.entries()) expect(startMs).toBeGreaterThanOrEqual(spans[i - 1]?.[1] ?? 0);
  });

  test('a month by the minute is small, and grows no further', () => {
    let samples = noSamples(SINCE_MS, KEEP_MS);
    let size = 0;
    for (let minute = 0; minute < 32 * 24 * 60; minute++) {
      const nowMs = SINCE_MS + minute * MINUTE_MS;
      samples = addSample(samples, { atMs: nowMs, good: 9999, total: 10_000 }, nowMs);
      size = Math.max(size, samples.minutes.length + samples.fiveMinutes.length + samples.hours.length);
    }
    // 6 h of minutes and at most 4 more; 66 h of fives and at most 11 more; 27 days of hours and at most 2 more.
    expect(size).toBeLessThanOrEqual(6 * 60 + 5 + 66 * 12 + 12 + 27 * 24 + 2);
    expect(JSON.stringify(samples).length).toBeLessThan(60_000);
  });

  test('what is forgotten stays so, also where it comes late', () => {
    const nowMs = SINCE_MS + 60 * DAY_MS;
    const empty = addSample(noSamples(SINCE_MS, KEEP_MS), { atMs: nowMs, good: 0, total: 0 }, nowMs);
    const late = addSample(empty, { atMs: nowMs - KEEP_MS - HOUR_MS, good: 1, total: 1 }, nowMs);
    expect(late).toEqual(empty);
    expect(addSample(empty, { atMs: nowMs - KEEP_MS, good: 1, total: 1 }, nowMs).hours).toHaveLength(1);
  });

  test('a look that found no events is not the same as none', () => {
    const looked = addSample(noSamples(SINCE_MS, KEEP_MS), { atMs: SINCE_MS, good: 0, total: 0 }, SINCE_MS);
    expect(totalsOver(looked, SINCE_MS, SINCE_MS + 1)).toEqual({ good: 0, total: 0, watchedMs: MINUTE_MS });
    expect(totalsOver(looked, SINCE_MS + MINUTE_MS, SINCE_MS + HOUR_MS)).toEqual({ good: 0, total: 0, watchedMs: 0 });
  });

  test.each([
    { atMs: 0, good: 2, total: 1 },
    { atMs: 0, good: -1, total: 1 },
    { atMs: 0, good: Number.NaN, total: 1 },
    { atMs: 0, good: 0, total: Number.POSITIVE_INFINITY },
    { atMs: Number.NaN, good: 0, total: 0 },
  ])('%j is no sample', (sample) => {
    expect(() => addSample(noSamples(SINCE_MS, KEEP_MS), sample, SINCE_MS)).toThrow(RangeError);
  });
});
