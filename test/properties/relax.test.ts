import fc from 'fast-check';
import { test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { implies, nextRuleStep, sameRule, wantedRule, type RuleStep } from '../../src/decide/durability.ts';
import type { CommitRule } from '../../src/model/group.ts';
import { anyRule, NAMES, satisfied } from './commits.ts';

type Event =
  | { readonly kind: 'write'; readonly bytes: number }
  | { readonly kind: 'flush'; readonly name: string; readonly bytes: number }
  | { readonly kind: 'come' | 'go'; readonly name: string }
  /** Nobody has followed for as long as the policy waits. */
  | { readonly kind: 'patience-ends' }
  /** One step of the rule's change. `lost`: the order never arrives; `late`: it is given up, and arrives some time later; `mute`: done, but nobody hears so. */
  | { readonly kind: 'step'; readonly fate: 'done' | 'lost' | 'late' | 'mute' }
  | { readonly kind: 'arrive' }
  /** The primary is killed and comes back in place: with what it was last told, or with what its role says. */
  | { readonly kind: 'restart'; readonly by: 'file' | 'role' };

interface World {
  readonly recorded: CommitRule;
  readonly inForce: CommitRule;
  readonly flushed: ReadonlyMap<string, number>;
  readonly acknowledged: number;
  readonly relaxed: boolean;
  readonly following: ReadonlySet<string>;
}

interface Order {
  readonly turn: number;
  readonly rule: CommitRule;
}

const anyEvent = (relaxes: boolean): fc.Arbitrary<Event> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), bytes: fc.integer({ min: 1, max: 50 }) }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('flush' as const), name: fc.constantFrom(...NAMES), bytes: fc.integer({ min: 1, max: 200 }) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('come' as const, 'go' as const), name: fc.constantFrom(...NAMES) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('step' as const), fate: fc.constantFrom('done', 'done', 'done', 'done', 'lost', 'late', 'mute') }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'arrive' as const }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), by: fc.constantFrom('file' as const, 'role' as const) }) },
    ...(relaxes ? [{ weight: 1, arbitrary: fc.constant({ kind: 'patience-ends' as const }) }] : []),
  ) as fc.Arbitrary<Event>;

const anyLife = (relaxes = true) =>
  fc.record({ first: anyRule(), confirm: fc.integer({ min: 1, max: 3 }), events: fc.array(anyEvent(relaxes), { maxLength: 80, size: 'max' }) });

type Life = typeof anyLife extends () => fc.Arbitrary<infer T> ? T : never;

/** How the rule keeper decides; the mutants below decide otherwise. */
interface Rules {
  readonly next: typeof nextRuleStep;
  /** Whether what was written so far must be flushed by the new rule before it is recorded. */
  readonly confirms: boolean;
}
const OURS: Rules = { next: nextRuleStep, confirms: true };

/** A primary whose standbys come and go, its workflow, and the orders between them. `each` sees every state on the way. */
function live({ first, confirm, events }: Life, each: (now: World) => void, rules: Rules = OURS): { step: () => RuleStep; now: () => World } {
  const flushed = new Map<string, number>(NAMES.map((name) => [name, 0]));
  const following = new Set<string>();
  let [end, acknowledged, turn, heard, relaxed] = [0, 0, 0, 0, false];
  let [recorded, inForce] = [first, first];
  let known: CommitRule | undefined = first;
  const underway: Order[] = [];

  const wanted = (): CommitRule =>
    wantedRule({ durability: { mode: 'sync', confirm, relaxAfterMs: 1 }, primary: 'pg-a', following: [...following], previous: recorded, relaxed });
  const obey = (order: Order): boolean => {
    if (order.turn < heard) return false;
    [heard, inForce] = [order.turn, order.rule];
    return true;
  };
  const step = (fate: 'done' | 'lost' | 'late' | 'mute'): RuleStep => {
    const next = rules.next({ recorded, inForce: known, wanted: wanted() });
    if (next.step === 'record') recorded = next.rule;
    if (next.step !== 'apply' && next.step !== 'confirm-then-record') return next;
    turn += 1;
    known = undefined;
    const order = { turn, rule: next.rule };
    if (fate === 'late') underway.push(order);
    if (fate === 'lost' || fate === 'late') return next;
    obey(order);
    if (fate === 'mute') return next;
    known = next.rule;
    if (next.step === 'confirm-then-record' && (!rules.confirms || satisfied(inForce, flushed, end))) recorded = next.rule;
    return next;
  };
  const now = (): World => ({ recorded, inForce, flushed, acknowledged, relaxed, following });
  for (const event of events) {
    switch (event.kind) {
      case 'write':
        end += event.bytes;
        break;
      case 'flush':
        if (following.has(event.name)) flushed.set(event.name, Math.min(end, (flushed.get(event.name) ?? 0) + event.bytes));
        break;
      case 'come':
        following.add(event.name);
        relaxed = false;
        break;
      case 'go':
        following.delete(event.name);
        break;
      case 'patience-ends':
        relaxed = following.size === 0;
        break;
      case 'step':
        step(event.fate);
        break;
      case 'arrive': {
        const order = underway.shift();
        if (order !== undefined) obey(order);
        break;
      }
      case 'restart':
        if (event.by === 'role') inForce = known ?? recorded;
    }
    for (let place = end; place > acknowledged; place -= 1) if (satisfied(inForce, flushed, place)) acknowledged = place;
    each(now());
  }
  return {
    now,
    step: () => {
      for (const name of following) flushed.set(name, end);
      return step('done');
    },
  };
}

const keepsItsWord = (life: Life, rules?: Rules): boolean => {
  let kept = true;
  live(
    life,
    ({ recorded, inForce, flushed, acknowledged }) => {
      kept &&= implies(inForce, recorded) && satisfied(recorded, flushed, acknowledged);
    },
    rules,
  );
  return kept;
};

describe('a commit rule through the life of a group', () => {
  test.prop([anyLife()], { numRuns: 3000 })(
    'I2: what is recorded holds for every acknowledged commit, whoever comes and goes, whatever is relaxed, lost, late or killed between two steps',
    (life) => {
      expect(keepsItsWord(life)).toBe(true);
    },
  );

  test.prop([anyLife(false)])('I2: where nothing is relaxed, commits wait for a standby for ever once that was recorded', (life) => {
    let waited = life.first.count > 0;
    live(life, ({ inForce, recorded }) => {
      waited ||= recorded.count > 0;
      expect([recorded.count > 0, inForce.count > 0]).toEqual(waited ? [true, true] : [false, expect.anything()]);
    });
  });

  test.prop([anyLife()])('I2: a rule that waits for nobody is in force only after it was recorded, or where the group has just begun', (life) => {
    live(life, ({ inForce, recorded }) => {
      if (inForce.count === 0) expect(recorded.count).toBe(0);
    });
  });

  test.prop([anyLife()])('once the world holds still, what is wanted is recorded and in force after a few steps', (life) => {
    const { step, now } = live(life, () => {});
    for (let i = 0; i < 6; i += 1) step();
    const { recorded, inForce, following } = now();
    expect(step().step).toBe('none');
    expect(sameRule(recorded, inForce)).toBe(true);
    if (following.size > 0) expect(recorded).toEqual({ names: [...following].sort(), count: Math.min(life.confirm, following.size) });
  });

  test('the world above can tell: a rule recorded unconfirmed, recorded as it is applied, or applied before it is recorded', () => {
    const mutants: [string, Rules][] = [
      ['unconfirmed', { next: nextRuleStep, confirms: false }],
      [
        'applied at once',
        {
          next: ({ wanted, inForce, recorded }) =>
            inForce !== undefined && sameRule(inForce, wanted)
              ? sameRule(recorded, wanted)
                ? { step: 'none' }
                : { step: 'record', rule: wanted }
              : { step: 'apply', rule: wanted },
          confirms: true,
        },
      ],
      [
        'recorded at once',
        {
          next: ({ recorded, inForce, wanted }) =>
            sameRule(recorded, wanted) ? nextRuleStep({ recorded, inForce, wanted }) : { step: 'record', rule: wanted },
          confirms: true,
        },
      ],
    ];
    for (const [what, rules] of mutants) {
      const found = fc.check(
        fc.property(anyLife(), (life) => keepsItsWord(life, rules)),
        { numRuns: 3000 },
      );
      expect([what, found.failed]).toEqual([what, true]);
    }
  });
});
