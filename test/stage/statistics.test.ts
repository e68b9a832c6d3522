import { fc, it as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { summarise } from '../../src/stage/statistics.ts';

describe('summary of a repeated measurement', () => {
  it('has the middle one of an odd number, and the mean of the middle two of an even one', () => {
    expect(summarise([5, 1, 3])).toEqual({ count: 3, min: 1, median: 3, max: 5 });
    expect(summarise([4, 1, 3, 2])).toEqual({ count: 4, min: 1, median: 2.5, max: 4 });
  });

  it('of nothing is refused', () => {
    expect(() => summarise([])).toThrow(RangeError);
  });

  property.prop([fc.array(fc.integer(), { minLength: 1 })])('the median lies between the extremes and leaves as many on either side', (values) => {
    const { min, median, max } = summarise(values);
    expect(min <= median && median <= max).toBe(true);
    expect(values.filter((value) => value < median).length).toBeLessThanOrEqual(values.length / 2);
    expect(values.filter((value) => value > median).length).toBeLessThanOrEqual(values.length / 2);
  });
});
