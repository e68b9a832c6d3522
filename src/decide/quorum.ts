import type { Verdict } from '../model/verdict.ts';

/** What one observer says of a target. */
export interface Opinion {
  readonly observer: string;
  readonly verdict: Verdict;
  /** When it was last heard that this still is its verdict, in milliseconds of the clock that `nowMs` is of. */
  readonly heardAtMs: number;
  readonly words?: string;
  /** Its references outside of the service fail too, or it was paused, or overloaded: it abstains, and this is why. */
  readonly blind?: string;
}

export interface QuorumRule {
  /**
   * The part of all observers that must say down, above 0 and up to 1. The bias is towards up: 2/3 by default, since sending everybody away for nothing costs most.
   * Of all, not of those who see: else somebody who said up and lost its sight would bring the others' minority to a majority (I3).
   */
  readonly downShare: number;
  /** So many must see something, or the verdict is unknown; left out: more than half of all observers. */
  readonly least?: number;
  /** An opinion that is older counts as abstention. */
  readonly staleAfterMs: number;
}

export interface QuorumInput {
  /** All that are configured, heard or not. */
  readonly observers: readonly string[];
  readonly opinions: readonly Opinion[];
  readonly rule: QuorumRule;
  readonly nowMs: number;
}

export interface Quorum {
  readonly verdict: Verdict;
  readonly up: readonly string[];
  readonly down: readonly string[];
  readonly abstains: readonly { readonly observer: string; readonly words: string }[];
  readonly words: string;
}

/** Rounding must not ask one more of three for two thirds. */
const NEARLY = 1e-9;

/**
 * What the observers say together. Whoever is blind, silent or undecided abstains: it speaks for neither side, and that it spoke no more never makes a
 * verdict of down (I3). Too few who see make it unknown.
 */
export function decideQuorum({ observers, opinions, rule, nowMs }: QuorumInput): Quorum {
  const up: string[] = [];
  const down: string[] = [];
  const abstains: { observer: string; words: string }[] = [];
  for (const observer of observers) {
    const opinion = opinions.findLast((one) => one.observer === observer);
    const silence = whyAbstains(opinion, rule, nowMs);
    if (silence !== undefined) abstains.push({ observer, words: silence });
    else (opinion?.verdict === 'down' ? down : up).push(observer);
  }
  const least = rule.least ?? Math.floor(observers.length / 2) + 1;
  const seeing = up.length + down.length;
  const needed = Math.max(1, Math.ceil(rule.downShare * observers.length - NEARLY));
  const told = { up, down, abstains };
  const of = `of ${observers.length} observers`;
  if (seeing < least) return { ...told, verdict: 'unknown', words: `${seeing} ${of} see it, and ${least} must` };
  if (down.length >= needed) return { ...told, verdict: 'down', words: `${down.length} ${of} say down, and ${needed} are enough` };
  if (up.length === 0) return { ...told, verdict: 'unknown', words: `${down.length} ${of} say down, ${needed} would have to, and nobody says up` };
  if (down.length > 0) return { ...told, verdict: 'up', words: `${down.length} ${of} say down, and ${needed} would have to` };
  return { ...told, verdict: 'up', words: `${up.length} ${of} say up` };
}

function whyAbstains(opinion: Opinion | undefined, { staleAfterMs }: QuorumRule, nowMs: number): string | undefined {
  if (opinion === undefined) return 'has said nothing yet';
  if (opinion.blind !== undefined) return `is blind: ${opinion.blind}`;
  if (nowMs - opinion.heardAtMs > staleAfterMs) return `was last heard ${Math.round((nowMs - opinion.heardAtMs) / 1000)} s ago`;
  return opinion.verdict === 'unknown' ? (opinion.words ?? 'does not know') : undefined;
}
