import type { Signed } from '../model/operator.ts';
import type { Verdict } from '../model/verdict.ts';
import { inWords } from './hold.ts';

/** One region of a service, or one server of a pool: what serves, or might. */
export interface Site {
  readonly name: string;
  /** What the observers say together (`decideQuorum`). */
  readonly verdict: Verdict;
  /** Since when it has been that, in milliseconds of the clock that `nowMs` is of. */
  readonly sinceMs: number;
  /** In any unit, the same for all; left out, every site counts 1. */
  readonly capacity?: number;
  /** An operator wants nobody there. */
  readonly evacuated?: Signed;
  /** A drill wants nobody there. */
  readonly drilled?: boolean;
  /** An operator has let it come back, where that is by hand. */
  readonly letBack?: boolean;
}

export interface SteeringRules {
  /** So many serve after every step, at the least. */
  readonly minServing: number;
  /** The largest part of all that may be out after a step, above 0 and up to 1. */
  readonly maxOut: number;
  /** The load, in the unit of `capacity`: what remains must carry it. Left out: it is not known, and asks for nothing. */
  readonly load?: number;
  readonly failBack: 'automatic' | 'by-hand' | 'never';
  /** So long it must have been well before it returns. */
  readonly holdMs: number;
}

export interface SteeringInput {
  readonly sites: readonly Site[];
  /** Those that serve now: the last good answer. */
  readonly serving: readonly string[];
  readonly rules: SteeringRules;
  readonly nowMs: number;
}

export type SteeringRule =
  | 'evacuated'
  | 'down'
  | 'drill'
  | 'all-down'
  | 'min-serving'
  | 'max-out'
  | 'capacity'
  | 'hold'
  | 'by-hand'
  | 'never'
  | 'unknown'
  | 'well';

/** One site's part in the answer, and the rule that made it. */
export interface SiteAnswer {
  readonly name: string;
  readonly serves: boolean;
  readonly rule: SteeringRule;
  readonly words: string;
  /** Something wants it otherwise, and a rule holds that back: a person should know. */
  readonly heldBack: boolean;
}

export interface Steering {
  /** In the order of the configuration. */
  readonly serving: readonly string[];
  readonly sites: readonly SiteAnswer[];
  /** Why somebody is to be woken; empty where all is as it should be. */
  readonly page: readonly string[];
  /** When a wait ends that changes the answer though no verdict does. */
  readonly askAgainAtMs?: number;
}

/** Who is to leave, and why: an operator's evacuation outranks health, and health a drill. */
type Leaving = { readonly site: Site; readonly rule: 'evacuated' | 'down' | 'drill'; readonly words: string };

/**
 * Which sites should serve.
 *
 * Those who return are let in before anybody leaves, so that the last good one is never sent away for one that is not there yet. Then who is to leave leaves one by one, the
 * operator's first, each measured by what remains after its step: a limit that is checked before it sends two of three away. Where all that is left would be down, the last
 * good answer is kept and somebody is woken: an answer that may be wrong is better than none. What is not known stays as it is (I3).
 */
export function steer({ sites, serving, rules, nowMs }: SteeringInput): Steering {
  const answers = new Map<string, SiteAnswer>();
  const page: string[] = [];
  const waits: number[] = [];
  const answer = (site: Site, serves: boolean, rule: SteeringRule, words: string, heldBack = false): void => {
    answers.set(site.name, { name: site.name, serves, rule, words, heldBack });
    if (heldBack && rule !== 'hold' && rule !== 'by-hand' && rule !== 'never') page.push(`${site.name}: ${words}`);
  };
  const leaving: Leaving[] = [];
  for (const site of sites) {
    const now = serving.includes(site.name);
    const why = whyLeave(site);
    if (why !== undefined) {
      if (now) leaving.push({ site, ...why });
      else answer(site, false, why.rule, why.words);
    } else if (now) answer(site, true, site.verdict === 'up' ? 'well' : 'unknown', site.verdict === 'up' ? 'it is well' : 'nobody knows: it stays as it is');
    else comeBack(site, rules, nowMs, answer, waits);
  }

  const order = { evacuated: 0, down: 1, drill: 2 };
  const steps = leaving.toSorted((a, b) => order[a.rule] - order[b.rule] || a.site.sinceMs - b.site.sinceMs || (a.site.name < b.site.name ? -1 : 1));
  const stays = new Set(steps.map(({ site }) => site.name));
  const serves = ({ name }: Site): boolean => stays.has(name) || answers.get(name)?.serves === true;
  for (const { site, rule, words } of steps) {
    const remaining = sites.filter((one) => one.name !== site.name && serves(one));
    if (rule === 'down' && remaining.every(({ verdict }) => verdict === 'down')) {
      answer(site, true, 'all-down', `${words}, and so is all that is left: the last good answer is kept`, true);
      continue;
    }
    const limit = limitOf(remaining, sites, rules);
    if (limit === undefined) {
      stays.delete(site.name);
      answer(site, false, rule, words);
    } else answer(site, true, limit.rule, `${words}, and it stays: ${limit.words}`, true);
  }
  const told = sites.flatMap(({ name }) => answers.get(name) ?? []);
  return {
    serving: told.filter((one) => one.serves).map(({ name }) => name),
    sites: told,
    page,
    ...(waits.length === 0 ? {} : { askAgainAtMs: Math.min(...waits) }),
  };
}

function whyLeave({ evacuated, verdict, drilled }: Site): { rule: Leaving['rule']; words: string } | undefined {
  if (evacuated !== undefined) return { rule: 'evacuated', words: `${evacuated.by} has evacuated it: ${evacuated.reason}` };
  if (verdict === 'down') return { rule: 'down', words: 'it is down' };
  return drilled === true ? { rule: 'drill', words: 'a drill wants nobody there' } : undefined;
}

function comeBack(
  site: Site,
  { failBack, holdMs }: SteeringRules,
  nowMs: number,
  answer: (site: Site, serves: boolean, rule: SteeringRule, words: string, heldBack?: boolean) => void,
  waits: number[],
): void {
  if (site.verdict !== 'up') return answer(site, false, 'unknown', 'nobody knows: it stays as it is');
  const leftMs = site.sinceMs + holdMs - nowMs;
  // A word of an operator lets it back at once: that is what it is for.
  if (site.letBack === true) return answer(site, true, 'well', 'it is well, and an operator lets it back');
  if (failBack === 'never') return answer(site, false, 'never', 'it is well, and nothing returns here by itself or by a wait', true);
  if (failBack === 'by-hand') return answer(site, false, 'by-hand', 'it is well, and waits for an operator to let it back', true);
  if (leftMs > 0) {
    waits.push(nowMs + leftMs);
    return answer(site, false, 'hold', `it is well, and must be for another ${inWords(leftMs)}`, true);
  }
  return answer(site, true, 'well', `it has been well for ${inWords(nowMs - site.sinceMs)}`);
}

function limitOf(remaining: readonly Site[], all: readonly Site[], rules: SteeringRules): { rule: SteeringRule; words: string } | undefined {
  const least = Math.max(1, rules.minServing);
  if (remaining.length < least) return { rule: 'min-serving', words: `${remaining.length} would serve, and ${least} must` };
  const out = all.length - remaining.length;
  const most = Math.floor(rules.maxOut * all.length + 1e-9);
  if (out > most) return { rule: 'max-out', words: `${out} of ${all.length} would be out, and ${most} may be` };
  const left = remaining.reduce((sum, { capacity = 1 }) => sum + capacity, 0);
  if (rules.load !== undefined && left < rules.load) return { rule: 'capacity', words: `what remains carries ${left}, and the load is ${rules.load}` };
  return undefined;
}
