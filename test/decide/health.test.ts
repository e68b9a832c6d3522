import { describe, expect, it } from 'vitest';
import { decideHealth } from '../../src/decide/health.ts';
import type { CheckStanding } from '../../src/decide/health.ts';
import type { Health } from '../../src/model/health.ts';

const NOW = 50_000;
const TIMES = { freshMs: 10_000, nowMs: NOW };
const check = (name: string, verdict: CheckStanding['verdict'], more: Partial<CheckStanding> = {}): CheckStanding => ({
  name,
  verdict,
  critical: false,
  seenAtMs: NOW - 1000,
  ...more,
});
const critical = { critical: true };

const table: [name: string, checks: CheckStanding[], status: Health, because: string[], words: string][] = [
  ['every check is good', [check('db', 'up', critical), check('mail', 'up')], 'healthy', [], '2 of 2 checks pass'],
  ['one that is not critical fails', [check('db', 'up', critical), check('mail', 'down', { words: 'refused' })], 'degraded', ['mail'], 'mail (refused)'],
  ['a critical one fails', [check('db', 'down', critical), check('mail', 'down')], 'unhealthy', ['db'], 'fails: db'],
  ['what is broken is said though something else is not known', [check('db', 'down', critical), check('api', 'unknown', critical)], 'unhealthy', ['db'], 'db'],
  ['a critical one that is not known leaves the whole unknown', [check('db', 'unknown', critical), check('mail', 'down')], 'unknown', ['db'], 'not known: db'],
  [
    'one that is not critical and not known leaves it to the others',
    [check('db', 'up', critical), check('mail', 'unknown')],
    'healthy',
    [],
    'not critical: mail',
  ],
  ['an old look says nothing any more', [check('db', 'up', { ...critical, seenAtMs: NOW - 10_001 })], 'unknown', ['db'], 'not known: db'],
  ['and does not fail it either', [check('db', 'down', { ...critical, seenAtMs: NOW - 10_001 })], 'unknown', ['db'], 'not known: db'],
  ['a look at its very end still counts', [check('db', 'up', { ...critical, seenAtMs: NOW - 10_000 })], 'healthy', [], '1 of 1'],
  [
    'a look out of the future, of a clock that went backwards, is not believed',
    [check('db', 'up', { ...critical, seenAtMs: NOW + 10_001 })],
    'unknown',
    ['db'],
    'db',
  ],
  ['a verdict without a look is none', [{ name: 'db', critical: true, verdict: 'up' }], 'unknown', ['db'], 'db'],
  ['nothing is known of any', [check('mail', 'unknown'), check('api', 'unknown')], 'unknown', ['mail', 'api'], 'mail, api'],
  ['a service without checks is not healthy', [], 'unknown', [], 'it has no checks'],
];

describe('decideHealth', () => {
  for (const [name, checks, status, because, words] of table)
    it(name, () => {
      const health = decideHealth(checks, TIMES);
      expect(health).toMatchObject({ status, because });
      expect(health.words).toContain(words);
    });
});
