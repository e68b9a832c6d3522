import { z } from 'zod';
import { NAME_PATTERN } from './name.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const name = z.string().regex(NAME_PATTERN, 'a name: small letters, digits and hyphens, a letter first, at most 48 characters');

/** A period by the calendar: it begins at its first midnight in the time zone. Weeks begin on Monday (ISO 8601). */
const Calendar = z.strictObject({
  calendar: z.enum(['week', 'month', 'quarter']),
  timeZone: z.string().refine(isTimeZone, 'the name of a time zone, such as Europe/Berlin or UTC'),
});

/** The last so many milliseconds. Below 7 days its fastest alert would look at less than a minute, which is the smallest span that is counted. */
const Rolling = z.strictObject({
  rolling: z
    .int()
    .min(7 * DAY_MS, 'at least 7 days')
    .max(92 * DAY_MS, 'at most 92 days'),
});

/** What a service promises: so large a share of good events in a span of time. What it may miss is its error budget. */
export const ObjectiveSchema = z
  .strictObject({
    name,
    service: name,
    /** The share of events that must be good: 0.999 for 99.9 %. */
    target: z.number().min(0.5, 'at least 0.5 (50 %)').max(0.999999, 'at most 0.999999 (99.9999 %)'),
    window: z.union([Rolling, Calendar]),
    /** With fewer events in an alert's long window its burn rate is chance, and does not alert. */
    minimumEvents: z.int().min(0).max(1_000_000_000),
  })
  .readonly();

export type Objective = z.infer<typeof ObjectiveSchema>;
export type ObjectiveWindow = Objective['window'];

/** The share of events that may be bad: exactly 0.001 for a target of 0.999, where 1 - 0.999 is not. */
export function budgetOf({ target }: Pick<Objective, 'target'>): number {
  return Math.round((1 - target) * 1e12) / 1e12;
}

export interface Period {
  readonly startMs: number;
  /** A calendar's end lies ahead; a rolling window ends now. */
  readonly endMs: number;
}

/** The span that the budget of `nowMs` is for. With the change to summer time a week is an hour shorter than seven days, in truth. */
export function periodOf(window: ObjectiveWindow, nowMs: number): Period {
  if ('rolling' in window) return { startMs: nowMs - window.rolling, endMs: nowMs };
  const format = wallClock(window.timeZone);
  const { year, month, day } = localTime(nowMs, format);
  const at = (y: number, m: number, d: number): number => midnightMs(Date.UTC(y, m - 1, d), format);
  switch (window.calendar) {
    case 'week': {
      // The first of January 1970 was a Thursday.
      const monday = day - ((Date.UTC(year, month - 1, day) / DAY_MS + 3) % 7);
      return { startMs: at(year, month, monday), endMs: at(year, month, monday + 7) };
    }
    case 'month':
      return { startMs: at(year, month, 1), endMs: at(year, month + 1, 1) };
    case 'quarter': {
      const first = month - ((month - 1) % 3);
      return { startMs: at(year, first, 1), endMs: at(year, first + 3, 1) };
    }
  }
}

const NOMINAL_DAYS = { week: 7, month: 30, quarter: 90 } as const;

/** The length that alerts are scaled by. A month counts as 30 days in all years, so that its alerts are the same in February and in March. */
export function nominalMs(window: ObjectiveWindow): number {
  return 'rolling' in window ? window.rolling : NOMINAL_DAYS[window.calendar] * DAY_MS;
}

const LONGEST_DAYS = { week: 7, month: 31, quarter: 92 } as const;

/** For how long samples are needed: the longest such period, and the hour that is won with the end of summer time. */
export function keepMs(window: ObjectiveWindow): number {
  return 'rolling' in window ? window.rolling : LONGEST_DAYS[window.calendar] * DAY_MS + HOUR_MS;
}

interface LocalTime {
  readonly year: number;
  /** From 1. */
  readonly month: number;
  readonly day: number;
  /** What the clock on the wall is ahead of UTC. */
  readonly offsetMs: number;
}

/** Dear to make (near a millisecond), cheap to ask. It knows the rules of the zone as the Node that runs it does. */
function wallClock(timeZone: string): Intl.DateTimeFormat {
  const numeric = 'numeric';
  const fields = { year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric } as const;
  return new Intl.DateTimeFormat('en-US', { timeZone, calendar: 'gregory', numberingSystem: 'latn', hourCycle: 'h23', ...fields });
}

function localTime(atMs: number, format: Intl.DateTimeFormat): LocalTime {
  const parts = new Map(format.formatToParts(atMs).map((part) => [part.type, Number(part.value)]));
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) as number;
  const [year, month, day] = [part('year'), part('month'), part('day')];
  const wall = Date.UTC(year, month - 1, day, part('hour'), part('minute'), part('second'));
  return { year, month, day, offsetMs: wall - Math.floor(atMs / 1000) * 1000 };
}

/** The first instant of a day, from its midnight as though it were UTC's. Where a clock leaps over midnight, the day begins at the leap. */
function midnightMs(wallMs: number, format: Intl.DateTimeFormat): number {
  const [before, after] = [localTime(wallMs - DAY_MS, format).offsetMs, localTime(wallMs + DAY_MS, format).offsetMs];
  const instants = [wallMs - before, wallMs - after].sort((a, b) => a - b);
  return instants.find((ms) => ms + localTime(ms, format).offsetMs === wallMs) ?? wallMs - before;
}

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: text });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
