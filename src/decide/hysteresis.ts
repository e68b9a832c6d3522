import type { Seen, Verdict } from '../model/verdict.ts';

/** How many looks make a verdict; each at least 1. */
export interface Counts {
  /** So many more good looks than bad ones, and what was down is up. */
  readonly rise: number;
  /** So many more bad looks than good ones, and what was up is down. */
  readonly fall: number;
  /** So many looks in a row that saw nothing, and the verdict is unknown. */
  readonly blind: number;
}

/** One observer's verdict on one target, and how near its end is. */
export interface Standing {
  readonly verdict: Verdict;
  /** Of the look that made it. */
  readonly sinceMs: number;
  /** Why it is so. */
  readonly words: string;
  /** Whether anything was ever seen, and what: a verdict that was lost from sight comes back by the counts, not at the first look. */
  readonly lastSeen?: 'up' | 'down';
  /** Looks that speak against what was seen last, less those that spoke for it since. */
  readonly against: number;
  /** Looks in a row that saw nothing. */
  readonly unseen: number;
}

/**
 * The standing after one more look.
 *
 * The first look that sees something counts at once. From then on a look against the verdict counts up, one for it counts down and never below nothing:
 * `fall` bad looks in a row end it as they would by counting rows, and so does a target that fails two times of three, which no row ever shows (consul-esm counts
 * likewise). What saw nothing speaks neither way.
 */
export function judge(standing: Standing | undefined, { outcome, words = '' }: Seen, counts: Counts, nowMs: number): Standing {
  if (outcome === 'unknown') return unseen(standing, words, counts, nowMs);
  const last = standing?.lastSeen;
  if (standing === undefined || last === undefined) return { verdict: outcome, sinceMs: nowMs, words, lastSeen: outcome, against: 0, unseen: 0 };
  const against = outcome === last ? Math.max(0, standing.against - 1) : standing.against + 1;
  const flips = against >= (last === 'up' ? counts.fall : counts.rise);
  if (flips) return { verdict: outcome, sinceMs: nowMs, words, lastSeen: outcome, against: 0, unseen: 0 };
  // Seen again after a blindness, and as it was before.
  const isBack = standing.verdict === 'unknown' && outcome === last;
  return { ...standing, ...(isBack ? { verdict: last, sinceMs: nowMs, words } : {}), against, unseen: 0 };
}

function unseen(standing: Standing | undefined, words: string, counts: Counts, nowMs: number): Standing {
  if (standing === undefined) return { verdict: 'unknown', sinceMs: nowMs, words, against: 0, unseen: 1 };
  const count = standing.unseen + 1;
  if (standing.verdict === 'unknown' || count < counts.blind) return { ...standing, unseen: count };
  return { ...standing, verdict: 'unknown', sinceMs: nowMs, words, unseen: count };
}

/** Whether the next look should come sooner: something has spoken against the verdict, and nothing has been settled. */
export function isInDoubt({ against, unseen: blind, verdict }: Standing): boolean {
  return against > 0 || (blind > 0 && verdict !== 'unknown');
}
