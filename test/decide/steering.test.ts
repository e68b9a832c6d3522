import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { steer } from '../../src/decide/steering.ts';
import type { Site, Steering, SteeringInput, SteeringRules } from '../../src/decide/steering.ts';

const NOW = 1_000_000;
const RULES: SteeringRules = { minServing: 1, maxOut: 0.67, failBack: 'automatic', holdMs: 60_000 };
const EVACUATED = { by: 'ann', reason: 'a storm' };

const site = (name: string, verdict: Site['verdict'] = 'up', more: Partial<Site> = {}): Site => ({ name, verdict, sinceMs: NOW - 120_000, ...more });
const play = (sites: readonly Site[], rules: Partial<SteeringRules> = {}, serving: readonly string[] = ['eu', 'us', 'ap']): Steering =>
  steer({ sites, serving, rules: { ...RULES, ...rules }, nowMs: NOW });

const [eu, us, ap] = [site('eu'), site('us'), site('ap')];
const down = (name: string, more: Partial<Site> = {}): Site => site(name, 'down', more);

interface Row {
  readonly sites: readonly Site[];
  readonly rules?: Partial<SteeringRules>;
  readonly serving?: readonly string[];
  readonly serves: readonly string[];
  /** `site: rule` of some of them. */
  readonly why?: Readonly<Record<string, string>>;
  readonly pages?: number;
}

const table: Record<string, Row> = {
  'all are well: nothing changes': { sites: [eu, us, ap], serves: ['eu', 'us', 'ap'], why: { eu: 'well' } },
  'what is down leaves': { sites: [down('eu'), us, ap], serves: ['us', 'ap'], why: { eu: 'down' } },
  'I3: what nobody knows stays as it is, in and out': {
    sites: [site('eu', 'unknown'), site('us', 'unknown'), ap],
    serving: ['eu', 'ap'],
    serves: ['eu', 'ap'],
    why: { eu: 'unknown', us: 'unknown' },
  },
  'all are down: the last good answer is kept, and somebody is woken': {
    sites: [down('eu'), down('us'), down('ap')],
    serving: ['eu', 'us'],
    serves: ['eu', 'us'],
    why: { eu: 'all-down', us: 'all-down', ap: 'down' },
    pages: 2,
  },
  'the limit counts after the step: of two one may be out, not both': {
    sites: [down('eu'), us],
    serving: ['eu', 'us'],
    rules: { maxOut: 0.5 },
    serves: ['us'],
  },
  'a third of three is one: the second that is down stays': {
    sites: [down('eu', { sinceMs: NOW - 2000 }), down('us', { sinceMs: NOW - 1000 }), ap],
    rules: { maxOut: 1 / 3 },
    serves: ['us', 'ap'],
    why: { us: 'max-out', eu: 'down' },
    pages: 1,
  },
  'what was out before counts too': {
    sites: [down('eu'), us, down('ap')],
    serving: ['eu', 'us'],
    rules: { maxOut: 1 / 3 },
    serves: ['eu', 'us'],
    why: { eu: 'max-out' },
    pages: 1,
  },
  'never below minServing': { sites: [down('eu'), us, ap], rules: { minServing: 3 }, serves: ['eu', 'us', 'ap'], why: { eu: 'min-serving' }, pages: 1 },
  'what remains must carry the load': {
    sites: [down('eu', { capacity: 60 }), site('us', 'up', { capacity: 40 }), site('ap', 'up', { capacity: 30 })],
    rules: { load: 71 },
    serves: ['eu', 'us', 'ap'],
    why: { eu: 'capacity' },
    pages: 1,
  },
  'and does': {
    sites: [down('eu', { capacity: 60 }), site('us', 'up', { capacity: 40 }), site('ap', 'up', { capacity: 30 })],
    rules: { load: 70 },
    serves: ['us', 'ap'],
  },
  'an evacuation outranks health: it goes first where one alone may': {
    sites: [site('eu', 'up', { evacuated: EVACUATED }), down('us'), ap],
    rules: { maxOut: 1 / 3 },
    serves: ['us', 'ap'],
    why: { eu: 'evacuated', us: 'max-out' },
    pages: 1,
  },
  'an evacuation is held by the limits too, and somebody is told': {
    sites: [site('eu', 'up', { evacuated: EVACUATED })],
    serving: ['eu'],
    serves: ['eu'],
    why: { eu: 'min-serving' },
    pages: 1,
  },
  'an evacuated region does not come back for being all that is well': {
    sites: [site('eu', 'up', { evacuated: EVACUATED }), down('us')],
    serving: ['us'],
    serves: ['us'],
    why: { eu: 'evacuated', us: 'all-down' },
    pages: 1,
  },
  'health outranks a drill: it waits where another one is down': {
    sites: [down('eu'), site('us', 'up', { drilled: true }), ap],
    rules: { maxOut: 1 / 3 },
    serves: ['us', 'ap'],
    why: { us: 'max-out', eu: 'down' },
    pages: 1,
  },
  'a drill sends away what is well': { sites: [eu, site('us', 'up', { drilled: true }), ap], serves: ['eu', 'ap'], why: { us: 'drill' } },
  'it returns after sustained health': {
    sites: [site('eu', 'up', { sinceMs: NOW - 60_000 }), us, ap],
    serving: ['us', 'ap'],
    serves: ['eu', 'us', 'ap'],
    why: { eu: 'well' },
  },
  'not before': { sites: [site('eu', 'up', { sinceMs: NOW - 59_999 }), us, ap], serving: ['us', 'ap'], serves: ['us', 'ap'], why: { eu: 'hold' } },
  'by hand it waits for a word': { sites: [eu, us, ap], serving: ['us', 'ap'], rules: { failBack: 'by-hand' }, serves: ['us', 'ap'], why: { eu: 'by-hand' } },
  'which lets it back at once': {
    sites: [site('eu', 'up', { letBack: true, sinceMs: NOW }), us, ap],
    serving: ['us', 'ap'],
    rules: { failBack: 'by-hand' },
    serves: ['eu', 'us', 'ap'],
  },
  'or it never returns': { sites: [eu, us, ap], serving: ['us', 'ap'], rules: { failBack: 'never' }, serves: ['us', 'ap'], why: { eu: 'never' } },
  'whoever returns is let in before the last one leaves': {
    sites: [eu, down('us')],
    serving: ['us'],
    rules: { maxOut: 0.5 },
    serves: ['eu'],
    why: { us: 'down' },
  },
};

describe('steer', () => {
  for (const [name, { sites, rules, serving, serves, why = {}, pages = 0 }] of Object.entries(table))
    it(name, () => {
      const steering = play(sites, rules, serving);
      expect(steering.serving).toEqual(serves);
      expect(Object.fromEntries(steering.sites.filter((one) => one.name in why).map((one) => [one.name, one.rule]))).toEqual(why);
      expect(steering.page).toHaveLength(pages);
    });

  it('says what it waits for, and until when', () => {
    const steering = play([site('eu', 'up', { sinceMs: NOW - 20_000 }), us, ap], {}, ['us', 'ap']);
    expect(steering.sites[0]).toMatchObject({ serves: false, heldBack: true, words: 'it is well, and must be for another 40 s' });
    expect(steering.askAgainAtMs).toBe(NOW + 40_000);
  });

  const anySite = (name: string): fc.Arbitrary<Site> =>
    fc.record({
      name: fc.constant(name),
      verdict: fc.constantFrom<Site['verdict']>('up', 'down', 'unknown'),
      sinceMs: fc.integer({ min: NOW - 200_000, max: NOW }),
      capacity: fc.integer({ min: 0, max: 100 }),
      drilled: fc.boolean(),
    });
  const anyInput: fc.Arbitrary<SteeringInput> = fc.integer({ min: 1, max: 5 }).chain((count) => {
    const names = Array.from({ length: count }, (_none, index) => `r${index}`);
    return fc.record({
      sites: fc
        .tuple(...names.map(anySite))
        .chain((sites) =>
          fc
            .array(fc.boolean(), { minLength: count, maxLength: count })
            .map((evacuated) => sites.map((one, index) => (evacuated[index] ? { ...one, evacuated: EVACUATED } : one))),
        ),
      serving: fc.subarray(names, { minLength: 1 }),
      rules: fc.record({
        minServing: fc.integer({ min: 0, max: 3 }),
        maxOut: fc.double({ min: 0, max: 1, noNaN: true }),
        load: fc.integer({ min: 0, max: 200 }),
        failBack: fc.constantFrom('automatic' as const, 'by-hand' as const, 'never' as const),
        holdMs: fc.constant(60_000),
      }),
      nowMs: fc.constant(NOW),
    });
  });

  it('the same answer follows from its own answer: nothing flaps while nothing changes', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const once = steer(input);
        expect(steer({ ...input, serving: once.serving }).serving).toEqual(once.serving);
      }),
    );
  });

  it('somebody always serves; nobody leaves past a limit; nobody is moved for what is not known', () => {
    fc.assert(
      fc.property(anyInput, (input) => {
        const { sites, serving, rules } = input;
        const after = steer(input).serving;
        expect(after.length).toBeGreaterThan(0);
        const left = serving.filter((name) => !after.includes(name));
        const of = (name: string): Site => sites.find((one) => one.name === name)!;
        if (left.length > 0) {
          expect(after.length).toBeGreaterThanOrEqual(rules.minServing);
          expect(sites.length - after.length).toBeLessThanOrEqual(Math.floor(rules.maxOut * sites.length + 1e-9));
          expect(after.reduce((sum, name) => sum + (of(name).capacity ?? 1), 0)).toBeGreaterThanOrEqual(rules.load ?? 0);
        }
        for (const { name, verdict, evacuated, drilled } of sites) {
          if (verdict === 'unknown' && evacuated === undefined && drilled !== true) expect(after.includes(name)).toBe(serving.includes(name));
          if (verdict === 'down' && !serving.includes(name)) expect(after).not.toContain(name);
        }
      }),
    );
  });
});
