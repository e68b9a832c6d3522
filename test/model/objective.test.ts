import { describe, expect, it } from 'vitest';
import { budgetOf, keepMs, nominalMs, ObjectiveSchema, periodOf } from '../../src/model/objective.ts';
import type { ObjectiveWindow } from '../../src/model/objective.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

const good = { name: 'answers', service: 'shop', target: 0.999, window: { rolling: 30 * DAY_MS }, minimumEvents: 100 };

describe('an objective', () => {
  it('is taken as it is', () => {
    expect(ObjectiveSchema.parse(good)).toEqual(good);
    const calendar = { ...good, window: { calendar: 'month', timeZone: 'Europe/Berlin' } };
    expect(ObjectiveSchema.parse(calendar)).toEqual(calendar);
    for (const target of [0.5, 0.999999]) expect(ObjectiveSchema.parse({ ...good, target }).target).toBe(target);
  });

  const wrong: [name: string, change: Record<string, unknown>, at: string][] = [
    ['a name with a capital', { name: 'Answers' }, 'name'],
    ['a service without a name', { service: '' }, 'service'],
    ['a target below one half', { target: 0.49 }, 'target'],
    ['a target in percent', { target: 99.9 }, 'target'],
    ['a target of everything, which leaves no budget', { target: 1 }, 'target'],
    ['a target that is no number', { target: Number.NaN }, 'target'],
    ['a window of less than 7 days', { window: { rolling: 7 * DAY_MS - 1 } }, 'window'],
    ['a window of more than 92 days', { window: { rolling: 92 * DAY_MS + 1 } }, 'window'],
    ['a calendar window of a year', { window: { calendar: 'year', timeZone: 'UTC' } }, 'window'],
    ['a time zone that is none', { window: { calendar: 'week', timeZone: 'Europe/Nowhere' } }, 'window'],
    ['a window of both kinds', { window: { rolling: 30 * DAY_MS, calendar: 'week', timeZone: 'UTC' } }, 'window'],
    ['a negative minimum', { minimumEvents: -1 }, 'minimumEvents'],
    ['half an event', { minimumEvents: 0.5 }, 'minimumEvents'],
  ];
  for (const [name, change, at] of wrong) {
    it(`${name} is refused`, () => {
      const { error } = ObjectiveSchema.safeParse({ ...good, ...change });
      expect(error?.issues.map((issue) => issue.path[0])).toEqual([at]);
    });
  }

  it('leaves a budget without the error of a subtraction', () => {
    expect(1 - 0.999).not.toBe(0.001);
    expect([0.5, 0.9, 0.99, 0.999, 0.9995, 0.9999, 0.999999].map((target) => budgetOf({ target }))).toEqual([0.5, 0.1, 0.01, 0.001, 0.0005, 0.0001, 0.000001]);
  });
});

describe('the period that a budget is for', () => {
  const week = (timeZone: string): ObjectiveWindow => ({ calendar: 'week', timeZone });
  const month = (timeZone: string): ObjectiveWindow => ({ calendar: 'month', timeZone });
  const quarter = (timeZone: string): ObjectiveWindow => ({ calendar: 'quarter', timeZone });
  const table: [name: string, window: ObjectiveWindow, now: string, start: string, end: string][] = [
    ['rolls to now', { rolling: 30 * DAY_MS }, '2026-03-31T12:00:00Z', '2026-03-01T12:00:00Z', '2026-03-31T12:00:00Z'],
    // 11 November 2026 is a Wednesday.
    ['is a week from Monday', week('UTC'), '2026-11-11T12:00:00Z', '2026-11-09T00:00:00Z', '2026-11-16T00:00:00Z'],
    ['begins with its first instant', week('UTC'), '2026-11-09T00:00:00Z', '2026-11-09T00:00:00Z', '2026-11-16T00:00:00Z'],
    ['lasts until its last one', week('UTC'), '2026-11-08T23:59:59.999Z', '2026-11-02T00:00:00Z', '2026-11-09T00:00:00Z'],
    // 1 January 2026 is a Thursday.
    ['is a week over the turn of a year', week('UTC'), '2026-01-01T00:00:00Z', '2025-12-29T00:00:00Z', '2026-01-05T00:00:00Z'],
    ['is a month', month('UTC'), '2028-02-29T23:00:00Z', '2028-02-01T00:00:00Z', '2028-03-01T00:00:00Z'],
    ['is the last month of a year', month('UTC'), '2026-12-31T23:00:00Z', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['is a quarter', quarter('UTC'), '2026-05-20T00:00:00Z', '2026-04-01T00:00:00Z', '2026-07-01T00:00:00Z'],
    ['is the last quarter', quarter('UTC'), '2026-10-01T00:00:00Z', '2026-10-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    // 23:30 UTC on the last of May is 01:30 in Berlin, where June has begun: UTC + 2 h.
    ["goes by the zone's own midnight", month('Europe/Berlin'), '2026-05-31T23:30:00Z', '2026-05-31T22:00:00Z', '2026-06-30T22:00:00Z'],
    // In March Berlin goes from UTC + 1 h to UTC + 2 h.
    ['is an hour shorter with the change to summer time', month('Europe/Berlin'), '2026-03-15T00:00:00Z', '2026-02-28T23:00:00Z', '2026-03-31T22:00:00Z'],
    ['is half an hour off', month('Asia/Kolkata'), '2026-05-15T00:00:00Z', '2026-04-30T18:30:00Z', '2026-05-31T18:30:00Z'],
    // Paraguay's clocks went from 00:00 to 01:00 on Sunday, 1 October 2023: there was no midnight, and the day began at 04:00 UTC.
    ['begins at the leap where there is no midnight', month('America/Asuncion'), '2023-10-15T00:00:00Z', '2023-10-01T04:00:00Z', '2023-11-01T03:00:00Z'],
    // Cuba's clocks went back from 01:00 to 00:00 on Sunday, 1 November 2020: the first of the two midnights, at UTC - 4 h.
    ['begins with the first of two midnights', month('America/Havana'), '2020-11-15T00:00:00Z', '2020-11-01T04:00:00Z', '2020-12-01T05:00:00Z'],
  ];
  for (const [name, window, now, start, end] of table) {
    it(name, () => {
      expect(periodOf(window, Date.parse(now))).toEqual({ startMs: Date.parse(start), endMs: Date.parse(end) });
    });
  }

  it('every period follows the one before without a gap', () => {
    for (const timeZone of ['UTC', 'Europe/Berlin', 'America/Asuncion', 'America/Havana', 'Australia/Lord_Howe', 'Pacific/Apia']) {
      for (const window of [week(timeZone), month(timeZone), quarter(timeZone)]) {
        let period = periodOf(window, Date.UTC(2020, 0, 1));
        while (period.endMs < Date.UTC(2021, 6, 1)) {
          const next = periodOf(window, period.endMs);
          expect(next.startMs).toBe(period.endMs);
          expect(periodOf(window, period.endMs - 1)).toEqual(period);
          expect(period.endMs - period.startMs).toBeLessThanOrEqual(keepMs(window));
          period = next;
        }
      }
    }
  });

  it('has a length that alerts go by, the same all year', () => {
    expect([week('UTC'), month('UTC'), quarter('UTC'), { rolling: 28 * DAY_MS }].map((window) => nominalMs(window) / DAY_MS)).toEqual([7, 30, 90, 28]);
    expect(keepMs({ rolling: 28 * DAY_MS })).toBe(28 * DAY_MS);
    expect(keepMs(month('UTC'))).toBe(31 * DAY_MS + HOUR_MS);
  });
});
