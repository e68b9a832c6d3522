import type { Policy } from '../model/group.ts';
import type { Pause } from '../model/status.ts';

export interface HoldInput {
  readonly nowMs: number;
  readonly policy: Policy;
  readonly lastFailoverAtMs?: number;
  /** Of the last 24 hours; older ones are not counted. */
  readonly failoversAtMs: readonly number[];
  readonly paused?: Pause;
  /** An operator has lifted the rate limit for the next failover. It lifts neither a pause nor an open incident. */
  readonly override: boolean;
  readonly incidentOpen: boolean;
  /** For the words of the command that lifts it. */
  readonly group?: string;
}

export type Hold =
  | { readonly held: false }
  | { readonly held: true; readonly rule: HoldRule; readonly untilMs?: number; readonly words: string; readonly override: string };

export type HoldRule = 'min-interval' | 'max-per-day' | 'paused' | 'incident-open';

export const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Whether an automatic failover is held back: why, for how long, and what lifts it (I7). The longest-lasting reason is not sought; the one that
 * an operator has to deal with first is told.
 */
export function decideHold({ nowMs, policy, lastFailoverAtMs, failoversAtMs, paused, override, incidentOpen, group = '<group>' }: HoldInput): Hold {
  if (incidentOpen) {
    return { held: true, rule: 'incident-open', words: 'another incident of this group is not over', override: `understudy status ${group}` };
  }
  if (paused !== undefined && (paused.untilMs === undefined || paused.untilMs > nowMs)) {
    const end = paused.untilMs === undefined ? 'until it is resumed' : `for another ${inWords(paused.untilMs - nowMs)}`;
    const words = `${paused.by} paused automatic action ${end}: ${paused.reason}`;
    const hold = { held: true, rule: 'paused', words, override: `understudy resume ${group}` } as const;
    return paused.untilMs === undefined ? hold : { ...hold, untilMs: paused.untilMs };
  }
  if (override) return { held: false };
  const lift = `understudy override ${group}`;
  if (lastFailoverAtMs !== undefined && lastFailoverAtMs + policy.minIntervalMs > nowMs) {
    const untilMs = lastFailoverAtMs + policy.minIntervalMs;
    const words = `the last failover was ${inWords(nowMs - lastFailoverAtMs)} ago, and there must be ${inWords(policy.minIntervalMs)} between two: ${inWords(untilMs - nowMs)} are left`;
    return { held: true, rule: 'min-interval', untilMs, words, override: lift };
  }
  const today = failoversAtMs.filter((atMs) => atMs > nowMs - DAY_MS).sort((a, b) => a - b);
  if (today.length >= policy.maxPerDay) {
    const words = `${today.length} failovers in the last 24 hours, and ${policy.maxPerDay} are the most that happen by themselves`;
    // So many must pass out of the day before there is room for one; with a limit of 0 there never is.
    const leaving = today[today.length - policy.maxPerDay];
    const hold = { held: true, rule: 'max-per-day', override: lift } as const;
    return leaving === undefined
      ? { ...hold, words }
      : { ...hold, untilMs: leaving + DAY_MS, words: `${words}: ${inWords(leaving + DAY_MS - nowMs)} are left` };
  }
  return { held: false };
}

/** A span for people: `850 ms`, `12 s`, `4 min 10 s`, `3 h`. */
export function inWords(spanMs: number): string {
  const ms = Math.max(0, Math.round(spanMs));
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))} s`;
  const [unit, small, size] =
    ms < 3_600_000 ? (['min', 's', 60_000] as const) : ms < DAY_MS ? (['h', 'min', 3_600_000] as const) : (['d', 'h', DAY_MS] as const);
  const smallSize = unit === 'min' ? 1000 : unit === 'h' ? 60_000 : 3_600_000;
  const whole = Math.floor(ms / size);
  const rest = Math.floor((ms - whole * size) / smallSize);
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${small}`;
}
