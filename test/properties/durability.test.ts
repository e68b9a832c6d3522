import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { answersNeeded, implies, nextRuleStep, ruleOnTaking, sameRule, wantedRule, weakest, type TakingInput } from '../../src/decide/durability.ts';
import { nextElectableStep } from '../../src/decide/electable.ts';
import type { CommitRule } from '../../src/model/group.ts';
import { anyHistory, anyRule, anyTaking, NAMES, play, satisfied } from './commits.ts';

const ALL = ['pg-b', 'pg-c', 'pg-d', 'pg-e'];

/** Every set of members that a commit can be flushed on. */
function* sets(names: readonly string[]): Generator<ReadonlyMap<string, number>> {
  for (let bits = 0; bits < 2 ** names.length; bits += 1) yield new Map(names.map((name, i) => [name, (bits >> i) & 1]));
}

/** The slow, plain version: tries every commit. */
function impliesPlainly(stricter: CommitRule, weaker: CommitRule): boolean {
  return [...sets(ALL)].every((flushed) => !satisfied(stricter, flushed, 1) || satisfied(weaker, flushed, 1));
}

const place = (at: number): string => `0/${at.toString(16).toUpperCase()}`;

/**
 * One member of the rest is promoted from wherever it stands (a person may accept a loss), with or without the others' answers. Returns whether every
 * acknowledged commit that there still is satisfies what was recorded, at every moment after it.
 */
function takeOver({ before, answering, winner, opened, known, after }: Taking, record: (input: TakingInput) => CommitRule): boolean {
  const old = play(before.first, before.events);
  const elected = answering[winner % answering.length] ?? 'pg-b';
  const start = old.flushed.get(elected) ?? 0;
  const rule = {
    names: opened.names.filter((name) => name !== elected),
    count: Math.min(opened.count, opened.names.filter((name) => name !== elected).length),
  };
  const recorded = record({
    previous: old.recorded,
    opened: rule,
    elected,
    start: known ? { timeline: 1, lsn: place(start) } : undefined,
    frozen: answering.map((member) => ({ member, timeline: 1, lsn: place(old.flushed.get(member) ?? 0) })),
  });
  // What goes beyond the fork is not of the new primary's history: whoever had more is wound back, and whoever has less catches up.
  const flushed = new Map([...old.flushed].map(([name, at]) => [name, name === elected ? Infinity : Math.min(at, start)]));
  const surviving = Math.min(old.acknowledged, start);
  let [end, acknowledged] = [start, surviving];
  // The old rule may name the member that is the primary now: it has everything, and a later election asks it nothing.
  const holds = (): boolean => Array.from({ length: acknowledged + 1 }, (_, at) => at).every((at) => satisfied(recorded, flushed, at));
  for (const event of after) {
    if (!holds()) return false;
    if (event.kind === 'write') end += event.bytes;
    else if (event.name !== elected) flushed.set(event.name, Math.min(end, (flushed.get(event.name) ?? 0) + event.bytes));
    for (let at = end; at > acknowledged; at -= 1) if (satisfied(rule, flushed, at)) acknowledged = at;
  }
  return holds();
}

const fewer = (rule: CommitRule): CommitRule => ({ ...rule, count: rule.count - 1 });

type Taking = typeof anyTaking extends fc.Arbitrary<infer T> ? T : never;

describe('commit rules', () => {
  test.prop([anyRule(ALL), anyRule(ALL)])('implies says what trying every commit says', (a, b) => {
    expect(implies(a, b)).toBe(impliesPlainly(a, b));
  });

  test.prop([anyRule(ALL), anyRule(ALL)])('weakest is implied by both', (a, b) => {
    expect(impliesPlainly(a, weakest(a, b))).toBe(true);
    expect(impliesPlainly(b, weakest(a, b))).toBe(true);
  });

  test.prop([anyRule(ALL)])('I2: so many answers always meet one that confirmed, and one fewer may not', (rule) => {
    const needed = answersNeeded(rule);
    if (rule.count === 0) {
      expect(needed).toBe(0);
      return;
    }
    const missable = (answers: number): boolean =>
      [...sets(rule.names)].some((flushed) => satisfied(rule, flushed, 1) && rule.names.filter((name) => flushed.get(name) === 0).length >= answers);
    expect(missable(needed)).toBe(false);
    expect(missable(needed - 1)).toBe(true);
  });

  test.prop([anyHistory])('I2: what is recorded is implied by what is in force at every moment, whenever the process dies', ({ first, events }) => {
    play(first, events, ({ recorded, inForce }) => expect(impliesPlainly(inForce, recorded)).toBe(true));
  });

  test.prop([anyHistory])('I2: every acknowledged commit satisfies the recorded rule at every moment', ({ first, events }) => {
    play(first, events, ({ recorded, flushed, acknowledged }) => expect(satisfied(recorded, flushed, acknowledged)).toBe(true));
  });

  test.prop([anyTaking], { numRuns: 2000 })('I2: what is recorded as a primary takes over holds for every commit before and after it', (taking) => {
    expect(takeOver(taking, ruleOnTaking)).toBe(true);
  });

  test('I2: the world above can tell: what holds for too few names, or for whoever answered anywhere, is found out', () => {
    const eager: [string, (input: TakingInput) => CommitRule][] = [
      ['the new rule at once', ({ opened }) => opened],
      [
        'one name too few',
        (input) => (sameRule(ruleOnTaking({ ...input, opened: fewer(input.opened) }), fewer(input.opened)) ? input.opened : ruleOnTaking(input)),
      ],
      ['wherever they stood', (input) => ruleOnTaking({ ...input, frozen: input.frozen.map((one) => ({ ...one, lsn: 'F/0' })) })],
    ];
    for (const [what, record] of eager) {
      const found = fc.check(
        fc.property(anyTaking, (taking) => takeOver(taking, record)),
        { numRuns: 2000 },
      );
      expect([what, found.failed]).toEqual([what, true]);
    }
  });

  test.prop([anyRule(), anyRule(), anyRule()])('a change of rule ends within four steps', (recorded, other, wanted) => {
    const inForce = implies(other, recorded) ? other : recorded;
    let now = { recorded, inForce, wanted };
    for (let i = 0; i < 4; i += 1) {
      const next = nextRuleStep(now);
      if (next.step === 'none') break;
      now = next.step === 'apply' ? { ...now, inForce: next.rule } : { ...now, recorded: next.rule };
    }
    expect(nextRuleStep(now)).toEqual({ step: 'none' });
    expect(sameRule(now.recorded, wanted) && sameRule(now.inForce, wanted)).toBe(true);
  });

  test.prop([fc.subarray([...NAMES]), fc.integer({ min: 1, max: 4 }), anyRule(), fc.boolean()])(
    'I2: sync never asks for fewer than one confirmation unless it was relaxed or has only begun',
    (following, confirm, previous, relaxed) => {
      const rule = wantedRule({ durability: { mode: 'sync', confirm }, primary: 'pg-a', following, previous, relaxed });
      if (following.length > 0) expect(rule).toEqual({ names: [...following].sort(), count: Math.min(confirm, following.length) });
      else expect(rule).toEqual(relaxed ? { names: [], count: 0 } : previous);
    },
  );

  test.prop([fc.subarray(ALL), fc.subarray(ALL), fc.array(fc.tuple(fc.subarray(ALL), fc.constantFrom('no', 'lost', 'unknown')), { maxLength: 20 })])(
    'I1: whoever may be promoted is, at every moment, one whose word the primary needs',
    (begun, _, wants) => {
      let [recorded, acknowledged, known] = [begun, begun, begun as string[] | undefined];
      for (const [wanted, crash] of wants) {
        const next = nextElectableStep({ recorded, acknowledged: known, wanted });
        if (next.step === 'record' && crash === 'no') recorded = next.electable;
        if (next.step === 'govern' && crash !== 'lost') [acknowledged, known] = [next.electable, crash === 'unknown' ? undefined : next.electable];
        expect(recorded.every((name) => acknowledged.includes(name))).toBe(true);
      }
    },
  );
});
