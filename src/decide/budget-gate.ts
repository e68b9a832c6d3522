import type { Objective } from '../model/objective.ts';
import { utc } from '../model/utc.ts';
import { percent } from './burn.ts';
import type { Budget, Burning } from './burn.ts';

/** What may wait for a better day. A failover and whatever a person orders are never asked about here. */
export type Postponable = 'drill' | 'fail-back';

/** How one objective of the service stands now. */
export interface Standing {
  readonly objective: Objective;
  readonly budget: Budget;
  readonly burning: Burning;
}

export interface BudgetGateInput {
  readonly action: Postponable;
  /** Of all objectives of the service; with none, nothing waits. */
  readonly standings: readonly Standing[];
  /** The share of a budget that must be left: 0.25 for a quarter. */
  readonly limit: number;
}

export interface Waiting {
  readonly objective: string;
  readonly reason: 'absent' | 'not-known' | 'low' | 'burning';
  readonly words: string;
  /** When the budget begins anew; a rolling one comes back little by little. */
  readonly untilMs?: number;
}

export type BudgetGate = { readonly open: true } | { readonly open: false; readonly waitsFor: readonly Waiting[]; readonly words: string };

/**
 * Whether there is error budget enough for what need not be done now: a drill, and the automatic way back after a failover. What is not known
 * is not enough. A drill also waits while a page is out; the way back does not, since it may be the cure.
 */
export function budgetGate({ action, standings, limit }: BudgetGateInput): BudgetGate {
  const waitsFor = standings.flatMap((standing) => whyWait(action, standing, limit) ?? []);
  if (waitsFor.length === 0) return { open: true };
  const what = action === 'drill' ? 'the drill' : 'the automatic fail-back';
  return { open: false, waitsFor, words: `${what} waits: ${waitsFor.map(({ words }) => words).join('; ')}` };
}

function whyWait(action: Postponable, { objective, budget, burning }: Standing, limit: number): Waiting | undefined {
  const name = `${objective.name} of ${objective.service}`;
  const wait = (reason: Waiting['reason'], words: string, more: Pick<Waiting, 'untilMs'> = {}): Waiting => ({
    objective: objective.name,
    reason,
    words,
    ...more,
  });
  const alerts = [...(burning.alert === undefined ? [] : [burning.alert]), ...burning.silenced];
  const absent = alerts.find((alert) => alert.kind === 'absent');
  if (absent !== undefined) return wait('absent', absent.words);
  if (!budget.known) return wait('not-known', `no event of ${name} has been counted in this period, so that its error budget is not known`);
  if (budget.remaining < limit) {
    const left = `${percent(budget.remaining)} of the error budget of ${name} is left (${minutes(budget.minutesLeft)} of ${minutes(budget.minutes)} min)`;
    const missed = `the error budget of ${name} is overdrawn by ${minutes(-budget.minutesLeft)} min (of ${minutes(budget.minutes)} min)`;
    const words = `${budget.remaining < 0 ? missed : left}, and ${percent(limit)} must be`;
    if ('rolling' in objective.window) return wait('low', words);
    return wait('low', `${words}. The next one begins at ${utc(budget.period.endMs)}`, { untilMs: budget.period.endMs });
  }
  if (action === 'drill' && burning.alert?.kind === 'burn' && burning.alert.severity === 'page') return wait('burning', burning.alert.words);
  return undefined;
}

const minutes = (value: number): string => String(Number(value.toFixed(1)));
