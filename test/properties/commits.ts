import fc from 'fast-check';
import { nextRuleStep } from '../../src/decide/durability.ts';
import { NO_RULE } from '../../src/model/group.ts';
import type { CommitRule } from '../../src/model/group.ts';

/**
 * A primary with its standbys, as plainly as can be: what each has flushed, which commits were acknowledged, and the rule's change step by
 * step with crashes between the steps. It knows PostgreSQL's quorum commit, and nothing of our arithmetic.
 */
export interface History {
  readonly end: number;
  readonly flushed: ReadonlyMap<string, number>;
  /** The furthest commit that a client was told of. */
  readonly acknowledged: number;
  readonly recorded: CommitRule;
  readonly inForce: CommitRule;
}

export type Event =
  | { readonly kind: 'write'; readonly bytes: number }
  | { readonly kind: 'flush'; readonly name: string; readonly bytes: number }
  | { readonly kind: 'want'; readonly rule: CommitRule }
  /** One step of the rule's change; `crash` says what of it still happens. */
  | { readonly kind: 'step'; readonly crash: 'no' | 'before' | 'after-acting' };

export const NAMES = ['pg-b', 'pg-c', 'pg-d'] as const;

export const anyRule = (names: readonly string[] = NAMES): fc.Arbitrary<CommitRule> =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant(NO_RULE) },
    {
      weight: 5,
      arbitrary: fc
        .subarray([...names], { minLength: 1 })
        .chain((some) => fc.integer({ min: 1, max: some.length }).map((count): CommitRule => ({ names: some, count }))),
    },
  );

const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), bytes: fc.integer({ min: 1, max: 50 }) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('flush' as const), name: fc.constantFrom(...NAMES), bytes: fc.integer({ min: 1, max: 120 }) }) },
  { weight: 1, arbitrary: anyRule().map((rule): Event => ({ kind: 'want', rule })) },
  { weight: 4, arbitrary: fc.constantFrom('no', 'no', 'no', 'before', 'after-acting').map((crash): Event => ({ kind: 'step', crash: crash as 'no' })) },
);

export const anyHistory = fc.record({ first: anyRule(), events: fc.array(anyEvent, { maxLength: 60 }) });

/** Whether this much of the log is flushed as the rule asks. */
export function satisfied(rule: CommitRule, flushed: ReadonlyMap<string, number>, place: number): boolean {
  return rule.names.filter((name) => (flushed.get(name) ?? 0) >= place).length >= rule.count;
}

/** Plays the events; `each` sees every state on the way. `recordEarly` is a deliberate fault: it records a rule before it is confirmed. */
export function play(first: CommitRule, events: readonly Event[], each: (now: History) => void = () => {}, recordEarly = false): History {
  const flushed = new Map<string, number>(NAMES.map((name) => [name, 0]));
  let [end, acknowledged] = [0, 0];
  let [recorded, inForce, wanted] = [first, first, first];
  let known: CommitRule | undefined = first;
  const commit = (): void => {
    for (let place = end; place > acknowledged; place -= 1) {
      if (satisfied(inForce, flushed, place)) acknowledged = place;
    }
  };
  for (const event of events) {
    if (event.kind === 'write') end += event.bytes;
    else if (event.kind === 'flush') flushed.set(event.name, Math.min(end, (flushed.get(event.name) ?? 0) + event.bytes));
    else if (event.kind === 'want') wanted = event.rule;
    else if (event.crash !== 'before') {
      const next = nextRuleStep({ recorded, inForce: known, wanted });
      if (next.step === 'apply') {
        inForce = next.rule;
        // A process that died after giving the order does not know whether it was carried out.
        known = event.crash === 'no' ? next.rule : undefined;
        if (recordEarly) recorded = next.rule;
      } else if (next.step === 'record' && event.crash === 'no') recorded = next.rule;
      else if (next.step === 'confirm-then-record' && event.crash === 'no' && satisfied(inForce, flushed, end)) recorded = next.rule;
    }
    commit();
    each({ end, flushed, acknowledged, recorded, inForce });
  }
  return { end, flushed, acknowledged, recorded, inForce };
}

/** What of a takeover can be otherwise: who answers, who wins, and what the new primary opens with. */
export const anyTaking = fc.record({
  before: anyHistory,
  answering: fc.subarray([...NAMES], { minLength: 1 }),
  winner: fc.nat(),
  opened: anyRule(),
  /** Whether the place where the winner began is known. */
  known: fc.boolean(),
  /** What happens after it: writes, and flushes of those who follow it. */
  after: fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('write' as const), bytes: fc.integer({ min: 1, max: 50 }) }),
      fc.record({ kind: fc.constant('flush' as const), name: fc.constantFrom(...NAMES), bytes: fc.integer({ min: 1, max: 120 }) }),
    ),
    { maxLength: 20 },
  ),
});
