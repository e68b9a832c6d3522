import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { elect } from '../../src/decide/election.ts';
import type { Answer, ElectionInput } from '../../src/decide/election.ts';
import { compareLsn, lagBytes } from '../../src/model/lsn.ts';
import { async, election, frozen, group, member, silent, without } from '../decide/world.ts';
import { anyHistory, anyRule, NAMES, play } from './commits.ts';
import type { History } from './commits.ts';

const PLACES = ['0/4FFF000', '0/4FFFF00', '0/5000000', '0/5000100', '1/0'];

/** Mostly ordinary, each thing wrong now and then: else nobody would ever be elected, and nothing would be tried. */
const rarely = <T>(usual: T, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const anyAnswer = (name: string): fc.Arbitrary<Answer> =>
  fc
    .record({
      silent: rarely(false, true),
      running: rarely(true, false),
      place: fc.constantFrom(...PLACES),
      epoch: rarely(7, 0, 6, 8, 9),
      timeline: rarely(1, 2),
      inRecovery: fc.oneof({ weight: 40, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      replayPaused: rarely(false, true),
      systemId: rarely('42', '43'),
      detached: rarely(true, false),
      receiving: rarely(false, true),
      fedAgoMs: fc.constantFrom(10, 999, 1000, 5000),
      cluster: rarely('default@here', 'default@there'),
    })
    .map((one) => {
      if (one.silent) return silent(name);
      const receiver = one.receiving ? ({ state: 'streaming', from: 'pg-a', stamp: '1' } as const) : ({ state: 'none' } as const);
      const answer = frozen(name, one.place, { epoch: one.epoch, detached: one.detached, fedAgoMs: one.fedAgoMs, cluster: one.cluster }, { ...one, receiver });
      return one.running ? answer : without(answer, 'live');
    });

const ALL = ['pg-a', 'pg-b', 'pg-c', 'pg-d'];

const anyInput: fc.Arbitrary<ElectionInput> = fc
  .record({
    answers: fc.tuple(...['pg-b', 'pg-c', 'pg-d'].map(anyAnswer)),
    old: fc.option(anyAnswer('pg-a'), { nil: undefined, freq: 4 }),
    asynchronous: fc.boolean(),
    rule: anyRule(),
    lastLsn: fc.oneof({ weight: 9, arbitrary: fc.constantFrom<string | undefined>(...PLACES) }, { weight: 1, arbitrary: fc.constant(undefined) }),
    exact: rarely(false, true),
    fencedBy: fc.constantFrom('agent' as const, 'lease' as const, 'person' as const),
    excluded: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>([]) }, { weight: 1, arbitrary: fc.subarray(ALL) }),
    electable: fc.oneof({ weight: 3, arbitrary: fc.constant<string[]>(['pg-b', 'pg-c', 'pg-d']) }, { weight: 1, arbitrary: fc.subarray(ALL) }),
    priorities: fc.tuple(...ALL.map(() => rarely(1, 0, 5))),
    target: fc.option(fc.constantFrom(...ALL, 'pg-x'), { nil: undefined, freq: 3 }),
    acceptLoss: rarely(false, true),
  })
  .map((one) =>
    election({
      spec: group({
        durability: one.asynchronous ? async : { mode: 'sync', confirm: 1 },
        members: ALL.map((name, i) => member(name, { priority: one.priorities[i] ?? 1 })),
      }),
      rule: one.rule,
      oldPrimary: {
        member: 'pg-a',
        fencedBy: one.fencedBy,
        last: { timeline: 1, ageMs: 200, ...(one.lastLsn === undefined ? {} : { lsn: one.lastLsn }), ...(one.exact ? { exact: true } : {}) },
      },
      answers: one.old === undefined ? one.answers : [...one.answers, one.old],
      excluded: one.excluded,
      electable: one.electable,
      systemId: '42',
      cluster: 'default@here',
      ...(one.target === undefined ? {} : { target: one.target }),
      ...(one.acceptLoss ? { acceptLoss: { by: 'ann', reason: 'must' } } : {}),
    }),
  );

/** What protocol.md forbids of an elected member, in its own words, and deliberately without election.ts. */
function forbidden(input: ElectionInput, chosen: string): string[] {
  const answer = input.answers.find((one) => one.member === chosen);
  const spec = input.spec.members.find((one) => one.name === chosen);
  const found: string[] = [];
  const forbid = (broken: boolean, rule: string): void => {
    if (broken) found.push(rule);
  };
  forbid(spec === undefined, '4.1: a stranger');
  forbid(chosen === input.oldPrimary.member, '4.1: the primary whose role ended');
  forbid(input.excluded.includes(chosen), '4.1: excluded');
  forbid(!input.electable.includes(chosen) && input.oldPrimary.fencedBy !== 'person', '3.1: not in E');
  forbid(spec?.priority === 0 && input.target !== chosen, 'priority 0, and nobody asked for it');
  forbid(input.target !== undefined && input.target !== chosen, 'another than the target');
  if (answer === undefined || !('report' in answer)) return [...found, '4.1: silent is not fit'];
  const { report } = answer;
  const { live } = report;
  if (live === undefined) return [...found, 'no running database'];
  forbid(report.epoch >= input.epoch, '4.2: has seen this epoch');
  forbid(report.cluster !== input.cluster, '1.7: another cluster');
  forbid(live.systemId !== input.systemId, 'I4: another system');
  forbid(!live.inRecovery, 'I4: no standby');
  forbid(live.timeline !== input.oldPrimary.last?.timeline, '4.1: another timeline');
  forbid(!report.detached || live.receiver.state !== 'none', '4.1: receiver attached');
  forbid(live.replayPaused, '4.1: replay paused');
  const reports = input.answers.flatMap((one) => ('report' in one ? [one.report] : []));
  forbid(
    reports.some((one) => one.epoch > input.epoch),
    '4.2: somebody has seen a later epoch',
  );
  forbid(
    reports.some((one) => one.live?.inRecovery === false && one.live.systemId === input.systemId),
    'I1: somebody can write',
  );
  const fed = reports.some(
    (one) => one.member !== 'pg-a' && one.live?.receiver.state === 'streaming' && !one.detached && (one.fedAgoMs ?? Infinity) < input.spec.leaseMs,
  );
  forbid(fed && input.oldPrimary.fencedBy !== 'agent', '3.5: a receiver was fed within Q');
  const last = input.oldPrimary.last?.lsn;
  if (input.acceptLoss === undefined) {
    if (input.spec.durability.mode === 'async')
      forbid(last !== undefined && lagBytes(last, live.flushedLsn) > input.spec.policy.maxLagBytes, 'I2: above maxLag');
    if (input.spec.durability.mode === 'async') forbid(last === undefined, 'I2: a loss without a bound');
    const reachedTheEnd = input.oldPrimary.last?.exact === true && last !== undefined && compareLsn(live.flushedLsn, last) >= 0;
    forbid(input.spec.durability.mode === 'sync' && !reachedTheEnd && mayLackACommit(input, live.flushedLsn), '5.2: an acknowledged commit may be missing');
  }
  return found;
}

/** Tries every set of members that may have confirmed a commit just beyond this place: those not known to be frozen at or before it. */
function mayLackACommit(input: ElectionInput, place: string): boolean {
  const stopsHere = (name: string): boolean => {
    const answer = input.answers.find((one) => one.member === name);
    if (answer === undefined || !('report' in answer) || answer.report.live === undefined) return false;
    const { live, detached } = answer.report;
    return (
      detached &&
      live.receiver.state === 'none' &&
      live.inRecovery &&
      live.systemId === input.systemId &&
      live.timeline === input.oldPrimary.last?.timeline &&
      compareLsn(live.flushedLsn, place) <= 0
    );
  };
  const could = input.rule.names.filter((name) => !stopsHere(name));
  return could.length >= input.rule.count;
}

describe('elect, for any input', () => {
  let elected = 0;
  test.prop([anyInput], { numRuns: 3000 })('I4: never picks a member that the protocol forbids', (input) => {
    const result = elect(input);
    if (result.outcome === 'nobody') return;
    elected += 1;
    expect(forbidden(input, result.member)).toEqual([]);
  });
  test('and does elect somebody in a good part of those worlds', () => {
    expect(elected).toBeGreaterThan(300);
  });

  test.prop([anyInput], { numRuns: 1000 })('I4: nobody who is fit is further than the winner, unless a person accepted the loss', (input) => {
    const result = elect(input);
    if (result.outcome === 'nobody' || input.acceptLoss !== undefined) return;
    for (const { member: name, fit } of result.verdicts) {
      const answer = input.answers.find((one) => one.member === name);
      if (fit && answer !== undefined && 'report' in answer) expect(compareLsn(answer.report.live?.flushedLsn ?? '0/0', result.lsn)).toBeLessThanOrEqual(0);
    }
  });

  test.prop([
    anyInput.chain((input) =>
      fc.tuple(
        fc.constant(input),
        fc.shuffledSubarray([...input.answers], { minLength: input.answers.length }),
        fc.shuffledSubarray([...input.electable], { minLength: input.electable.length }),
        fc.shuffledSubarray([...input.rule.names], { minLength: input.rule.names.length }),
      ),
    ),
  ])('the order in which answers come decides nothing', ([input, answers, electable, names]) => {
    const { words: _1, ...plain } = elect(input);
    const { words: _2, ...shuffled } = elect({ ...input, answers, electable, rule: { ...input.rule, names } });
    expect({ ...shuffled, loss: undefined }).toEqual({ ...plain, loss: undefined });
  });

  test.prop([anyInput])('input and outcome survive a payload', (input) => {
    expect(elect(JSON.parse(JSON.stringify(input)) as ElectionInput)).toEqual(JSON.parse(JSON.stringify(elect(input))));
  });
});

/** What may befall a standby when the primary has died. */
const fate = fc.constantFrom('answers', 'answers', 'answers', 'silent', 'excluded', 'priority-zero', 'attached', 'paused', 'not-electable');

const lsn = (place: number): string => `0/${(0x5000000 + place).toString(16).toUpperCase()}`;

/** The election after a modelled history: what each has flushed, and the rule that the workflow had recorded. */
function electionAfter(now: History, fates: readonly string[], rule = now.recorded): ElectionInput {
  const fateOf = (name: string): string => fates[NAMES.findIndex((one) => one === name)] ?? 'silent';
  const having = (what: string): string[] => NAMES.filter((name) => fateOf(name) === what);
  const priority = (name: string): number => (fateOf(name) === 'priority-zero' ? 0 : 1);
  return election({
    spec: group({ members: [member('pg-a'), ...NAMES.map((name) => member(name, { priority: priority(name) }))] }),
    rule,
    // A heartbeat of long ago: in sync, nothing may hang on it.
    oldPrimary: { member: 'pg-a', last: { timeline: 1, lsn: lsn(0), ageMs: 900 }, fencedBy: 'agent' },
    answers: NAMES.map((name) =>
      fateOf(name) === 'silent'
        ? silent(name)
        : frozen(name, lsn(now.flushed.get(name) ?? 0), { detached: fateOf(name) !== 'attached' }, { replayPaused: fateOf(name) === 'paused' }),
    ),
    excluded: having('excluded'),
    electable: NAMES.filter((name) => fateOf(name) !== 'not-electable'),
  });
}

describe('sync, for any history of commits under changing rules', () => {
  let [elected, acknowledgedThen] = [0, 0];
  test.prop([anyHistory, fc.tuple(fate, fate, fate)], { numRuns: 3000 })('I2: whoever is elected has every acknowledged commit', ({ first, events }, fates) => {
    const now = play(first, events);
    const result = elect(electionAfter(now, fates));
    if (result.outcome === 'nobody') return;
    elected += 1;
    if (now.acknowledged > 0) acknowledgedThen += 1;
    expect(compareLsn(result.lsn, lsn(now.acknowledged))).toBeGreaterThanOrEqual(0);
    expect(result.loss.kind).toBe('none');
  });
  test('and somebody is elected after acknowledged commits in a good part of those histories', () => {
    expect(elected).toBeGreaterThan(300);
    expect(acknowledgedThen).toBeGreaterThan(150);
  });

  test.prop([anyHistory], { numRuns: 1000 })('when all standbys answer and are fit, one is elected, unless no rule was recorded', ({ first, events }) => {
    const now = play(first, events);
    const result = elect(electionAfter(now, ['answers', 'answers', 'answers']));
    expect(result.outcome).toBe(now.recorded.count === 0 ? 'nobody' : 'elected');
  });

  test('this model can tell: a rule that is recorded before it is confirmed loses acknowledged commits', () => {
    const broken = fc.property(anyHistory, fc.tuple(fate, fate, fate), ({ first, events }, fates) => {
      const now = play(first, events, undefined, true);
      const result = elect(electionAfter(now, fates));
      return result.outcome === 'nobody' || compareLsn(result.lsn, lsn(now.acknowledged)) >= 0;
    });
    expect(fc.check(broken, { numRuns: 20_000, seed: 7 }).failed).toBe(true);
  });
});
