import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { utc } from '../../src/model/utc.ts';

describe('utc', () => {
  test('writes an instant as people do', () => {
    expect(utc(0)).toBe('1970-01-01 00:00:00 UTC');
    expect(utc(1_772_366_400_250, 'milliseconds')).toBe('2026-03-01 12:00:00.250 UTC');
    expect(utc(Date.UTC(2028, 1, 29, 23, 59, 59))).toBe('2028-02-29 23:59:59 UTC');
  });

  test.prop([fc.date({ min: new Date('1900-01-01'), max: new Date('2400-12-31'), noInvalidDate: true })])('says what Date says', (date) => {
    expect(utc(date.getTime(), 'milliseconds')).toBe(date.toISOString().replace('T', ' ').replace('Z', ' UTC'));
  });
});
