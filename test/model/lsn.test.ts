import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { compareLsn, lagBytes, lsnToBigInt } from '../../src/model/lsn.ts';

const half = fc.integer({ min: 0, max: 0xffffffff });
const write = ([high, low]: [number, number]): string => `${high.toString(16).toUpperCase()}/${low.toString(16).toUpperCase()}`;

describe('lsn', () => {
  test('counts across the halves', () => {
    expect(lagBytes('1/0', '0/FFFFFFFF')).toBe(1);
    expect(lagBytes('0/FFFFFFFF', '1/0')).toBe(0);
    expect(compareLsn('0/A', '0/9')).toBe(1);
    expect(compareLsn('A/0', '9/FF')).toBe(1);
    expect(compareLsn('16/B374D848', '16/b374d848')).toBe(0);
  });

  test('refuses what is no LSN', () => {
    for (const text of ['', '0', '0/', '/0', '0/G', '0/123456789', ' 0/0']) expect(() => lsnToBigInt(text)).toThrow(RangeError);
  });

  test.prop([fc.tuple(half, half), fc.tuple(half, half)])('orders as pairs of numbers do', (a, b) => {
    const expected = Math.sign(a[0] - b[0]) || Math.sign(a[1] - b[1]);
    expect(compareLsn(write(a), write(b))).toBe(expected);
    expect(lagBytes(write(a), write(b)) > 0).toBe(expected > 0);
  });
});
