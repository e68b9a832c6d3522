import { describe, expect, it } from 'vitest';
import { answersNeeded, explainRule, implies, mayConfirm, nextRuleStep, ruleAfterPromotion, wantedRule, weakest } from '../../src/decide/durability.ts';
import type { RuleStep, WantedRuleInput } from '../../src/decide/durability.ts';
import { nextElectableStep } from '../../src/decide/electable.ts';
import { NO_RULE } from '../../src/model/group.ts';
import type { CommitRule } from '../../src/model/group.ts';
import { member } from './world.ts';

/** `1 of b c`: a rule in few letters. */
function rule(text: string): CommitRule {
  const [count = '0', , ...names] = text.split(' ');
  return count === '0' ? NO_RULE : { names, count: Number(count) };
}

describe('implies', () => {
  const table: [stricter: string, weaker: string, yes: boolean][] = [
    ['1 of b', '1 of b c', true],
    ['1 of b c', '1 of b', false],
    ['2 of b c', '1 of b', true],
    ['2 of b c d', '1 of c d', true],
    ['1 of b c d', '1 of c d', false],
    ['1 of b', '0', true],
    ['0', '1 of b', false],
    ['0', '0', true],
    ['2 of b c', '2 of c b', true],
  ];
  for (const [stricter, weaker, yes] of table) {
    it(`${stricter} ${yes ? 'implies' : 'does not imply'} ${weaker}`, () => expect(implies(rule(stricter), rule(weaker))).toBe(yes));
  }
});

describe('the rules of a group', () => {
  it('weakest takes all names and the smaller count, and nothing of no rule', () => {
    expect(weakest(rule('2 of b c'), rule('1 of d'))).toEqual(rule('1 of b c d'));
    expect(weakest(rule('2 of b c'), NO_RULE)).toEqual(NO_RULE);
  });

  it('answersNeeded is what is left when so many cannot all be missed', () => {
    expect(['0', '1 of b', '1 of b c', '2 of b c', '2 of b c d'].map((text) => answersNeeded(rule(text)))).toEqual([0, 1, 2, 1, 2]);
  });

  const sync = { mode: 'sync', confirm: 1 } as const;
  const wanted: [name: string, more: Partial<WantedRuleInput>, is: string][] = [
    ['those who follow confirm, sorted', { following: ['c', 'b'] }, '1 of b c'],
    ['the primary never confirms itself', { following: ['a', 'b'] }, '1 of b'],
    ['where fewer follow than should confirm, each of them does', { durability: { mode: 'sync', confirm: 3 }, following: ['b', 'c'] }, '2 of b c'],
    ['I2: with nobody following, strict keeps the rule, so that writes block', { following: [], previous: rule('1 of b c') }, '1 of b c'],
    ['with nobody following, a relaxed group goes on alone', { following: [], previous: rule('1 of b c'), relaxed: true }, '0'],
    ['a relaxed group asks again as soon as somebody follows', { following: ['b'], previous: NO_RULE, relaxed: true }, '1 of b'],
    ['a group that has only begun is open until its first standby follows', { following: [] }, '0'],
    ['async asks for nothing', { durability: { mode: 'async' }, following: ['b'], previous: rule('1 of b') }, '0'],
  ];
  for (const [name, more, is] of wanted) {
    it(`wantedRule: ${name}`, () =>
      expect(wantedRule({ durability: sync, primary: 'a', following: [], previous: NO_RULE, relaxed: false, ...more })).toEqual(rule(is)));
  }

  it('those confirm commits who may be promoted by themselves, and others only where there is nobody else', () => {
    const members = [member('a'), member('b'), member('c', { priority: 0 })];
    expect(mayConfirm({ members, following: ['c', 'b'], excluded: [] })).toEqual(['b']);
    expect(mayConfirm({ members, following: ['c'], excluded: [] })).toEqual(['c']);
    expect(mayConfirm({ members, following: ['c', 'b', 'x'], excluded: ['b', 'c'] })).toEqual([]);
  });

  it('I2: a new primary opens with a rule already, of those who may follow it', () => {
    const after = (reachable: string[], members = ['a', 'b', 'c']): CommitRule => ruleAfterPromotion({ durability: sync, elected: 'b', reachable, members });
    expect(after(['c'])).toEqual(rule('1 of c'));
    expect(after(['b'])).toEqual(rule('1 of a c'));
    expect(after([], ['b'])).toEqual(NO_RULE);
    expect(ruleAfterPromotion({ durability: { mode: 'async' }, elected: 'b', reachable: ['c'], members: ['b', 'c'] })).toEqual(NO_RULE);
  });

  it('is told in words', () => {
    expect(explainRule(rule('1 of c b'))).toBe('each commit is confirmed by 1 of b, c');
    expect(explainRule(NO_RULE)).toBe('no standby confirms commits');
  });
});

describe('nextRuleStep', () => {
  const table: [name: string, recorded: string, inForce: string | undefined, wanted: string, step: RuleStep['step'], is?: string][] = [
    ['nothing is left to do', '1 of b', '1 of b', '1 of b', 'none'],
    ['names in another order are the same', '1 of b c', '1 of c b', '1 of b c', 'none'],
    ['I2: to relax, record first', '2 of b c', '2 of b c', '1 of b', 'record', '1 of b c'],
    ['then apply', '1 of b c', '2 of b c', '1 of b', 'apply', '1 of b'],
    ['I2: to tighten, apply first', '1 of b c', '1 of b c', '1 of b', 'apply', '1 of b'],
    ['I2: and record only what is confirmed', '1 of b c', '1 of b', '1 of b', 'confirm-then-record', '1 of b'],
    ['to swap names, record what both imply', '1 of b', '1 of b', '1 of c', 'record', '1 of b c'],
    ['to give up confirmation, record it first', '1 of b', '1 of b', '0', 'record', '0'],
    ['an order whose end is not known is given again', '1 of b', undefined, '1 of b', 'apply', '1 of b'],
    ['a wish that changes half way starts from what is recorded', '1 of b c', '1 of b', '1 of d', 'record', '1 of b c d'],
  ];
  for (const [name, recorded, inForce, wanted, step, is] of table) {
    it(name, () => {
      const next = nextRuleStep({ recorded: rule(recorded), inForce: inForce === undefined ? undefined : rule(inForce), wanted: rule(wanted) });
      expect(next).toEqual(is === undefined ? { step } : { step, rule: rule(is) });
    });
  }
});

describe('nextElectableStep', () => {
  it('I1: a name leaves what the workflow may promote before the primary hears of it, and enters after', () => {
    expect(nextElectableStep({ recorded: ['b', 'c'], acknowledged: ['b', 'c'], wanted: ['b', 'd'] })).toEqual({ step: 'record', electable: ['b'] });
    expect(nextElectableStep({ recorded: ['b'], acknowledged: ['b', 'c'], wanted: ['b', 'd'] })).toEqual({ step: 'govern', electable: ['b', 'd'] });
    expect(nextElectableStep({ recorded: ['b'], acknowledged: ['d', 'b'], wanted: ['b', 'd'] })).toEqual({ step: 'record', electable: ['b', 'd'] });
    expect(nextElectableStep({ recorded: ['b', 'd'], acknowledged: ['b', 'd'], wanted: ['d', 'b'] })).toEqual({ step: 'none' });
    expect(nextElectableStep({ recorded: ['b'], acknowledged: undefined, wanted: ['b'] })).toEqual({ step: 'govern', electable: ['b'] });
  });
});
