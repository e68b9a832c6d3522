/** One thing that takes points away, in the order of the configuration. */
export type ScoreRule =
  /** The first step whose limit the reading is above counts: `[{ above: 80, minus: 20 }, { above: 60, minus: 10 }]`. */
  | { readonly rule: 'reading'; readonly of: string; readonly steps: readonly { readonly above: number; readonly minus: number }[] }
  /** All of it where this check fails. */
  | { readonly rule: 'check'; readonly of: string; readonly minus: number }
  /** In proportion to how many of these checks fail. */
  | { readonly rule: 'share'; readonly of: readonly string[]; readonly minus: number };

/** What is known now. What is absent is not known. */
export interface Readings {
  readonly values: Readonly<Record<string, number>>;
  readonly checks: Readonly<Record<string, 'up' | 'down'>>;
}

export type Score =
  | { readonly known: true; readonly score: number; readonly minus: readonly { readonly of: string; readonly points: number; readonly words: string }[] }
  | { readonly known: false; readonly missing: readonly string[]; readonly words: string };

/** CPU and memory in percent, a database, and services outside. */
export const defaultRules = (database: string, outside: readonly string[]): ScoreRule[] => [
  ...['cpu', 'memory'].map((of): ScoreRule => ({
    rule: 'reading',
    of,
    steps: [
      { above: 80, minus: 20 },
      { above: 60, minus: 10 },
    ],
  })),
  { rule: 'check', of: database, minus: 30 },
  ...(outside.length === 0 ? [] : [{ rule: 'share', of: outside, minus: 20 } satisfies ScoreRule]),
];

/**
 * 100 less what the rules take away, never below 0, and what each took. Where one reading is missing there is no score at all: a level is held rather than
 * made of what happened to be seen.
 */
export function scoreOf(rules: readonly ScoreRule[], { values, checks }: Readings): Score {
  const missing = new Set<string>();
  const minus: { of: string; points: number; words: string }[] = [];
  const take = (of: string, points: number, words: string): void => {
    if (points > 0) minus.push({ of, points, words });
  };
  for (const one of rules) {
    if (one.rule === 'reading') {
      const value = values[one.of];
      if (value === undefined || !Number.isFinite(value)) {
        missing.add(one.of);
        continue;
      }
      const step = one.steps.toSorted((a, b) => b.above - a.above).find(({ above }) => value > above);
      if (step !== undefined) take(one.of, step.minus, `${one.of} is ${Number(value.toFixed(1))}, above ${step.above}`);
      continue;
    }
    const names = one.rule === 'check' ? [one.of] : one.of;
    for (const name of names) if (checks[name] === undefined) missing.add(name);
    const down = names.filter((name) => checks[name] === 'down');
    take(
      down.join(', '),
      names.length === 0 ? 0 : (one.minus * down.length) / names.length,
      names.length === 1 ? `${down[0] ?? ''} fails` : `${down.length} of ${names.length} fail`,
    );
  }
  if (missing.size > 0) return { known: false, missing: [...missing], words: `no reading of ${[...missing].join(', ')}` };
  const score = Math.max(0, 100 - minus.reduce((sum, { points }) => sum + points, 0));
  return { known: true, score: Math.round(score * 10) / 10, minus };
}
