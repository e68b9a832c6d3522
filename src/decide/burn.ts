import { budgetOf, nominalMs, periodOf } from '../model/objective.ts';
import type { Objective, ObjectiveWindow, Period } from '../model/objective.ts';
import { formatDuration } from '../model/units.ts';
import { inWords } from './hold.ts';
import { totalsOver } from './samples.ts';
import type { Samples } from './samples.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export interface BurnInput {
  readonly objective: Objective;
  readonly samples: Samples;
  readonly nowMs: number;
}

export type Budget =
  /** Not one event in the period so far: that is no success. */
  | { readonly known: false; readonly period: Period }
  | {
      readonly known: true;
      readonly period: Period;
      /** Good events in a hundred. */
      readonly percent: number;
      /** 3 for 99.9 %, 3.3 for 99.95 %. Left out where no event was bad: there is no number of them then. */
      readonly nines?: number;
      /** The share of the period's budget that is gone; over 1 where the objective is missed. */
      readonly consumed: number;
      /** 1 - consumed; below 0 where the objective is missed. */
      readonly remaining: number;
      /** The whole budget, as minutes in which everything fails. */
      readonly minutes: number;
      /** What remains of them; below 0 where the objective is missed. */
      readonly minutesLeft: number;
      /** Time of the period so far in which nobody looked. It is counted as the rest is, in proportion. */
      readonly unknownMs: number;
      /** `consumed`, if all of that time had been bad. */
      readonly consumedAtWorst: number;
    };

/**
 * How much of the error budget of this period is gone.
 *
 * The budget is that of the whole period, so that the first bad event of a month, or of an objective's life, does not spend all of it: bad
 * events of all events, times the time so far, of (1 - target) times the length of the period.
 *
 * @see The Site Reliability Workbook, chapter 2
 */
export function errorBudget({ objective, samples, nowMs }: BurnInput): Budget {
  const period = periodOf(objective.window, nowMs);
  const { good, total, watchedMs } = totalsOver(samples, period.startMs, nowMs + 1);
  if (total === 0) return { known: false, period };
  const lengthMs = period.endMs - period.startMs;
  // The minute of now, and the first one, count as whole ones.
  const soFarMs = Math.min(lengthMs, Math.max(watchedMs, nowMs - Math.max(period.startMs, samples.sinceMs)));
  const unknownMs = Math.max(0, soFarMs - watchedMs);
  const bad = (total - good) / total;
  const budgetMs = budgetOf(objective) * lengthMs;
  const consumed = (bad * soFarMs) / budgetMs;
  return {
    known: true,
    period,
    percent: (100 * good) / total,
    ...(bad > 0 ? { nines: ninesOf(bad) } : {}),
    consumed,
    remaining: 1 - consumed,
    minutes: budgetMs / MINUTE_MS,
    minutesLeft: ((1 - consumed) * budgetMs) / MINUTE_MS,
    unknownMs,
    consumedAtWorst: consumed + ((1 - bad) * unknownMs) / budgetMs,
  };
}

/** From the share of bad events, since a share near 1 has lost the digits that tell. */
function ninesOf(bad: number): number {
  return -Math.log10(bad) + 0; // not -0
}

/** `page` wakes somebody; a `ticket` can wait for the morning. */
export type Severity = 'page' | 'ticket';

export interface AlertWindows {
  readonly severity: Severity;
  /** How many times faster than the objective allows. */
  readonly factor: number;
  readonly longMs: number;
  /** Tells that it still goes on, so that the alert ends soon after its cause. */
  readonly shortMs: number;
}

/** For 30 days. Factor x long window: 2, 5, 10 and 10 % of the budget. @see The Site Reliability Workbook, chapter 5, table 5-8; 3 is sloth's */
const WINDOWS: readonly AlertWindows[] = [
  { severity: 'page', factor: 14.4, longMs: HOUR_MS, shortMs: 5 * MINUTE_MS },
  { severity: 'page', factor: 6, longMs: 6 * HOUR_MS, shortMs: 30 * MINUTE_MS },
  { severity: 'ticket', factor: 3, longMs: DAY_MS, shortMs: 2 * HOUR_MS },
  { severity: 'ticket', factor: 1, longMs: 3 * DAY_MS, shortMs: 6 * HOUR_MS },
];

/**
 * The fastest first. With another window their lengths change in proportion, up to whole minutes, and the factors stay: each alert means the
 * same share of the budget, and none of them fires at a pace that the budget bears. A target below 1 - 1/14.4 (93.1 %) can never burn at 14.4.
 */
export function alertWindows(window: ObjectiveWindow): AlertWindows[] {
  // Multiplied before it is divided: whole minutes stay whole.
  const scaled = (ms: number): number => Math.ceil(((ms / MINUTE_MS) * (nominalMs(window) / MINUTE_MS)) / ((30 * DAY_MS) / MINUTE_MS)) * MINUTE_MS;
  return WINDOWS.map((one) => ({ ...one, longMs: scaled(one.longMs), shortMs: scaled(one.shortMs) }));
}

/**
 * For how long nothing may be heard before that is an alert: as long as 1 % of the budget would last if everything failed unseen. At least
 * two minutes, since one look may be late, and no longer than the fastest alert looks back.
 */
export function absentAfterMs(objective: Objective): number {
  const longest = alertWindows(objective.window)[0]?.longMs ?? HOUR_MS;
  return Math.min(longest, Math.max(2 * MINUTE_MS, 0.01 * budgetOf(objective) * nominalMs(objective.window)));
}

/** Times faster than the objective allows; 1 spends the budget exactly with its period. */
interface Rates extends AlertWindows {
  /** Left out where no event was counted. */
  readonly long?: number;
  readonly short?: number;
}

/** `too-few`: below the minimum volume. `no-events`: nothing, at least in the short window, to tell a rate by. Neither says that all is well. */
export type Rate = Rates & { readonly state: 'fires' | 'below' | 'too-few' | 'no-events' };

export type BurnAlert =
  | ({ readonly kind: 'burn'; readonly long: number; readonly short: number; readonly words: string } & AlertWindows)
  | { readonly kind: 'absent'; readonly severity: Severity; readonly sinceMs: number; readonly words: string };

export interface Burning {
  /** One at most: the faster silences the slower. */
  readonly alert?: BurnAlert;
  readonly silenced: readonly BurnAlert[];
  /** The fastest first. */
  readonly rates: readonly Rate[];
}

/**
 * Whether the budget burns so fast that somebody must be told. Data that stays away is told too: it silences tickets, and pages silence it.
 */
export function decideBurn(input: BurnInput): Burning {
  const rates = alertWindows(input.objective.window).map((windows) => rateOf(windows, input));
  const burns = rates.flatMap((rate) => burnAlert(rate, input));
  const absent = absentAlert(input);
  const [alert, ...silenced] = [
    ...burns.filter(({ severity }) => severity === 'page'),
    ...(absent === undefined ? [] : [absent]),
    ...burns.filter(({ severity }) => severity === 'ticket'),
  ];
  return { ...(alert === undefined ? {} : { alert }), silenced, rates };
}

function rateOf(windows: AlertWindows, { objective, samples, nowMs }: BurnInput): Rate {
  const over = (spanMs: number) => {
    const { good, total } = totalsOver(samples, nowMs - spanMs, nowMs + 1);
    return { total, burn: total === 0 ? undefined : (total - good) / total / budgetOf(objective) };
  };
  const [long, short] = [over(windows.longMs), over(windows.shortMs)];
  const rates: Rates = { ...windows, ...(long.burn === undefined ? {} : { long: long.burn }), ...(short.burn === undefined ? {} : { short: short.burn }) };
  if (long.burn === undefined || short.burn === undefined) return { ...rates, state: 'no-events' };
  if (long.total < objective.minimumEvents) return { ...rates, state: 'too-few' };
  return { ...rates, state: exceeds(long.burn, windows.factor) && exceeds(short.burn, windows.factor) ? 'fires' : 'below' };
}

/** A rate of exactly the factor does not exceed it, whatever the last digit of the division is. */
const exceeds = (burn: number, factor: number): boolean => burn > factor * (1 + 1e-9);

function burnAlert({ state, long, short, ...windows }: Rate, input: BurnInput): BurnAlert[] {
  if (state !== 'fires' || long === undefined || short === undefined) return [];
  const { name, service } = input.objective;
  const pace = `${times(long)} over the last ${formatDuration(windows.longMs)} and ${times(short)} over the last ${formatDuration(windows.shortMs)}`;
  const words = `${name} of ${service} burns its error budget too fast: at ${pace} the pace that it bears. ${lasts(long, input)}`;
  return [{ kind: 'burn', ...windows, long, short, words }];
}

/** How long what is left lasts, if it goes on so. */
function lasts(burn: number, input: BurnInput): string {
  const budget = errorBudget(input);
  if (!budget.known || budget.remaining <= 0) return 'Nothing is left of the budget.';
  const { startMs, endMs } = budget.period;
  return `What is left, ${percent(budget.remaining)}, lasts for ${inWords((budget.remaining * (endMs - startMs)) / burn)} at this pace.`;
}

function absentAlert({ objective, samples, nowMs }: BurnInput): BurnAlert | undefined {
  const { name, service } = objective;
  const sinceMs = samples.lastMs ?? samples.sinceMs;
  if (nowMs - sinceMs <= absentAfterMs(objective)) return undefined;
  const span = inWords(nowMs - sinceMs);
  const what = samples.lastMs === undefined ? 'nothing was ever heard of it, and it is watched' : 'nothing has been heard of it';
  return { kind: 'absent', severity: 'page', sinceMs, words: `${name} of ${service} is not known: ${what} for ${span}. That is no success` };
}

const times = (burn: number): string => `${Number(burn.toPrecision(3))} times`;

/** To a tenth and never up, so that what is below a limit does not read as the limit: `12.3 %`. */
export function percent(share: number): string {
  return `${Math.floor(1000 * share + 1e-6) / 10} %`;
}
