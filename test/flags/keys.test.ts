import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { Bucket, KeyRing, maySee } from '../../src/flags/keys.ts';

const RATE = { perSecond: 10, burst: 20 };
const SECRETS: Readonly<Record<string, string>> = { A: 'first', B: 'second' };
const ring = new KeyRing(
  [
    { name: 'a', secret: { env: 'A' }, services: ['checkout'] },
    { name: 'b', secret: { env: 'B' }, services: 'all' },
  ],
  RATE,
  (ref) => SECRETS['env' in ref ? ref.env : ''] ?? '',
);

describe('keys', () => {
  it.each([
    [{ authorization: 'Bearer first' }, 'a'],
    [{ authorization: 'bearer  second' }, 'b'],
    [{ 'x-api-key': 'second' }, 'b'],
    [{ authorization: 'Bearer first ' }, undefined],
    [{ authorization: 'Bearer ' }, undefined],
    [{ authorization: 'first' }, undefined],
    [{ authorization: 'Basic first', 'x-api-key': 'first' }, undefined],
    [{ 'x-api-key': '' }, undefined],
    [{}, undefined],
  ])('%o is of %s', (headers, name) => {
    expect(ring.callerOf(headers)?.name).toBe(name);
  });

  it('see their own services only', () => {
    const [a, b] = ['first', 'second'].map((key) => ring.callerOf({ 'x-api-key': key }));
    if (a === undefined || b === undefined) throw new Error('a key is not known');
    expect([maySee(a, 'checkout'), maySee(a, 'search'), maySee(b, 'search')]).toEqual([true, false, true]);
  });

  it('are not kept', () => {
    expect(JSON.stringify(ring.callerOf({ 'x-api-key': 'first' }))).not.toContain('first');
  });

  it('stop the start where one is missing', () => {
    expect(() => new KeyRing([{ name: 'x', secret: { env: 'UNDERSTUDY_TEST_NO_SUCH_KEY' }, services: 'all' }], RATE)).toThrow(
      expect.objectContaining({ code: 'SecretMissing' }),
    );
  });
});

describe('a token bucket', () => {
  test.prop([fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 300 })])('gives no more than its burst and its rate, and as much as those', (waits) => {
    let nowMs = 0;
    const bucket = new Bucket(RATE, () => nowMs);
    let taken = 0;
    for (const waitMs of waits) {
      nowMs += waitMs;
      if (bucket.take() === 0) taken += 1;
      expect(taken).toBeLessThanOrEqual(RATE.burst + (nowMs * RATE.perSecond) / 1000 + 1e-6);
    }
    // A whole second of rest is enough for another, whatever came before.
    nowMs += 1000;
    expect(bucket.take()).toBe(0);
  });

  it.each([0.1, 0.5, 1, 3, 1000])('at %f a second, says a wait that is enough', (perSecond) => {
    let nowMs = 0;
    const bucket = new Bucket({ perSecond, burst: 1 }, () => nowMs);
    expect(bucket.take()).toBe(0);
    const waitS = bucket.take();
    expect(waitS).toBeGreaterThan(0);
    nowMs += waitS * 1000;
    expect(bucket.take()).toBe(0);
  });
});
