/** How weights move. Left out of a service's configuration: at once. */
export interface RampRule {
  /** The most that one weight moves at a time, in the unit of weights; above 0. */
  readonly by: number;
  /** Between two steps. */
  readonly pauseMs: number;
}

export type Weights = Readonly<Record<string, number>>;

export interface RampInput {
  /** In force now. */
  readonly now: Weights;
  readonly wanted: Weights;
  readonly rule: RampRule | undefined;
  /** Of the last step of this change. */
  readonly steppedAtMs?: number;
  /** Since the change began, something has become worse: a verdict, a level, an error rate. */
  readonly worse?: string;
  /** Sites that must not keep what they have: they are down, or evacuated. */
  readonly gone: readonly string[];
  readonly nowMs: number;
}

export type Ramp =
  | { readonly ramp: 'there' }
  | { readonly ramp: 'step'; readonly weights: Weights; readonly last: boolean; readonly words: string }
  | { readonly ramp: 'waits'; readonly untilMs: number; readonly words: string }
  | { readonly ramp: 'stopped'; readonly words: string };

/**
 * The next step from the weights in force to the wanted ones.
 *
 * Weights move in proportion, so that all of them arrive with the same step and the sum never dips or leaps. What is gone loses everything at once, and the others
 * take it over at once: a pause there would send people into a hole. Worsening stops what is gradual where it is, for a person to look at, and never what leaves a hole.
 */
export function nextStep({ now, wanted, rule, steppedAtMs, worse, gone, nowMs }: RampInput): Ramp {
  const names = [...new Set([...Object.keys(now), ...Object.keys(wanted)])].toSorted();
  const at = (weights: Weights, name: string): number => weights[name] ?? 0;
  const furthest = Math.max(0, ...names.map((name) => Math.abs(at(wanted, name) - at(now, name))));
  if (furthest === 0) return { ramp: 'there' };
  const inAHole = names.filter((name) => gone.includes(name) && at(now, name) > 0 && at(wanted, name) < at(now, name));
  if (inAHole.length > 0) return { ramp: 'step', weights: wanted, last: true, words: `${inAHole.join(', ')} loses everything at once` };
  if (worse !== undefined) return { ramp: 'stopped', words: `it has become worse since the weights began to move: ${worse}` };
  if (rule === undefined) return { ramp: 'step', weights: wanted, last: true, words: 'at once' };
  const untilMs = (steppedAtMs ?? Number.NEGATIVE_INFINITY) + rule.pauseMs;
  // A clock that went backwards begins the pause anew.
  if (steppedAtMs !== undefined && untilMs > nowMs) {
    const leftMs = Math.min(rule.pauseMs, untilMs - nowMs);
    return { ramp: 'waits', untilMs: nowMs + leftMs, words: `the next step of the weights comes after a pause` };
  }
  const steps = Math.max(1, Math.ceil(furthest / rule.by - 1e-9));
  if (steps === 1) return { ramp: 'step', weights: wanted, last: true, words: 'the last step' };
  const weights = Object.fromEntries(names.map((name) => [name, Math.round(at(now, name) + (at(wanted, name) - at(now, name)) / steps)]));
  return { ramp: 'step', weights, last: false, words: `one of ${steps} steps` };
}
