/**
 * Good and total events by time, as plain JSON, so that a workflow can carry them through continue-as-new: minutes for the last 6 hours,
 * five minutes for the last 3 days, hours for the rest. Over a month that is some two thousand cells, about 45 kB.
 *
 * A minute in which nobody looked has no cell. It is neither success nor failure, and must not be taken for a minute without events.
 */

const MINUTE_MS = 60_000;
const FIVE_MINUTES_MS = 5 * MINUTE_MS;
const HOUR_MS = 60 * MINUTE_MS;
const MINUTES_FOR_MS = 6 * HOUR_MS;
const FIVE_MINUTES_FOR_MS = 72 * HOUR_MS;

/** What one look has counted. At least one a minute is expected, also where nothing happened (a total of 0). */
export interface Sample {
  readonly atMs: number;
  /** Need not be whole: Prometheus reckons increases. */
  readonly good: number;
  readonly total: number;
}

/** The cell's number (its beginning divided by its width), good events, all events, and how many of its minutes were looked at. */
type Cell = readonly [index: number, good: number, total: number, minutes: number];

export interface Samples {
  /** What happened before is no part of the objective. */
  readonly sinceMs: number;
  readonly keepMs: number;
  /** Of the newest sample. */
  readonly lastMs?: number;
  /** Sorted. No two cells cover the same time, of whatever width. */
  readonly minutes: readonly Cell[];
  readonly fiveMinutes: readonly Cell[];
  readonly hours: readonly Cell[];
  /** From when on each width is used. They only move forward, and to where cells of the next width begin. */
  readonly minutesFromMs: number;
  readonly fiveMinutesFromMs: number;
  readonly hoursFromMs: number;
}

export interface Totals {
  readonly good: number;
  readonly total: number;
  /** The time that was looked at, in whole minutes. */
  readonly watchedMs: number;
}

/** @param keepMs what is older is forgotten; at least 3 days are kept */
export function noSamples(sinceMs: number, keepMs: number): Samples {
  const empty = { sinceMs, keepMs, minutes: [], fiveMinutes: [], hours: [], minutesFromMs: 0, fiveMinutesFromMs: 0, hoursFromMs: 0 };
  return age(empty, sinceMs);
}

/**
 * With one sample more. One from the future (an observer's clock is ahead) counts as of now; a late one goes where its time is kept by now, and
 * nowhere where that is forgotten.
 *
 * @throws RangeError where the counts are none; whoever asks a probe checks its answer first
 */
export function addSample(samples: Samples, { atMs, good, total }: Sample, nowMs: number): Samples {
  if (!Number.isFinite(atMs) || !Number.isFinite(total) || !(good >= 0) || good > total) {
    throw new RangeError(`${good} good events of ${total} at ${atMs} are no sample`);
  }
  const at = Math.min(atMs, nowMs);
  const aged = { ...age(samples, nowMs), lastMs: Math.max(at, samples.lastMs ?? at) };
  const cell = (widthMs: number): Cell => [Math.floor(at / widthMs), good, total, 1];
  // More looks at a minute do not make it longer; whether a late sample's minute was looked at is not known any more.
  if (at >= aged.minutesFromMs) return { ...aged, minutes: merge(aged.minutes, cell(MINUTE_MS), Math.max) };
  if (at >= aged.fiveMinutesFromMs) return { ...aged, fiveMinutes: merge(aged.fiveMinutes, cell(FIVE_MINUTES_MS), Math.max) };
  if (at >= aged.hoursFromMs) return { ...aged, hours: merge(aged.hours, cell(HOUR_MS), Math.max) };
  return aged;
}

/** Of all cells that the span touches: up to one cell more at either end, never less than the span. */
export function totalsOver(samples: Samples, fromMs: number, toMs: number): Totals {
  const sum = { good: 0, total: 0, watchedMs: 0 };
  const levels = [
    [samples.minutes, MINUTE_MS],
    [samples.fiveMinutes, FIVE_MINUTES_MS],
    [samples.hours, HOUR_MS],
  ] as const;
  for (const [cells, widthMs] of levels) {
    for (const [index, good, total, minutes] of cells) {
      if ((index + 1) * widthMs <= fromMs || index * widthMs >= toMs) continue;
      sum.good += good;
      sum.total += total;
      sum.watchedMs += minutes * MINUTE_MS;
    }
  }
  return sum;
}

/** Moves what has become old into wider cells, and forgets what is older than all. */
function age(samples: Samples, nowMs: number): Samples {
  const from = (beforeMs: number, spanMs: number, nextMs: number): number => Math.max(beforeMs, Math.floor((nowMs - spanMs) / nextMs) * nextMs);
  const minutesFromMs = from(samples.minutesFromMs, MINUTES_FOR_MS, FIVE_MINUTES_MS);
  if (minutesFromMs === samples.minutesFromMs) return samples; // the others move less often
  const fiveMinutesFromMs = from(samples.fiveMinutesFromMs, FIVE_MINUTES_FOR_MS, HOUR_MS);
  const hoursFromMs = from(samples.hoursFromMs, Math.max(samples.keepMs, FIVE_MINUTES_FOR_MS), HOUR_MS);
  const [oldMinutes, minutes] = split(samples.minutes, minutesFromMs / MINUTE_MS);
  const [oldFives, fiveMinutes] = split(widen(samples.fiveMinutes, oldMinutes, 5), fiveMinutesFromMs / FIVE_MINUTES_MS);
  const [, hours] = split(widen(samples.hours, oldFives, 12), hoursFromMs / HOUR_MS);
  return { ...samples, minutes, fiveMinutes, hours, minutesFromMs, fiveMinutesFromMs, hoursFromMs };
}

function split(cells: readonly Cell[], from: number): [older: readonly Cell[], newer: readonly Cell[]] {
  const at = cells.findIndex(([index]) => index >= from);
  return at === -1 ? [cells, []] : [cells.slice(0, at), cells.slice(at)];
}

function widen(cells: readonly Cell[], narrow: readonly Cell[], times: number): readonly Cell[] {
  return narrow.reduce((wide, [index, ...counts]) => merge(wide, [Math.floor(index / times), ...counts], (a, b) => a + b), cells);
}

function merge(cells: readonly Cell[], cell: Cell, minutes: (a: number, b: number) => number): readonly Cell[] {
  const at = cells.findLastIndex(([index]) => index <= cell[0]);
  const found = cells[at];
  if (found === undefined || found[0] !== cell[0]) return cells.toSpliced(at + 1, 0, cell);
  return cells.with(at, [cell[0], found[1] + cell[1], found[2] + cell[2], minutes(found[3], cell[3])]);
}
