import { describe, expect, it } from 'vitest';
import { fenceBeforeMs, leaseDeadlineMs, leaseFits, marginMs, quarantineMs, renewEveryMs } from '../../src/decide/deadline.ts';

describe('the times that a lease is made of', () => {
  const table: [leaseMs: number, stopMs: number, margin: number, fenceBefore: number, renewEvery: number, deadlineAt: number][] = [
    [1000, 0, 150, 200, 250, 850],
    [1000, 149, 150, 200, 250, 850],
    [1000, 310, 310, 200, 250, 690],
    [3000, 0, 300, 600, 750, 2700],
    [3000, 310, 310, 600, 750, 2690],
    [5000, 0, 500, 1000, 1250, 4500],
    [60_000, 0, 6000, 1000, 15_000, 54_000],
  ];
  for (const [leaseMs, stopMs, margin, fenceBefore, renewEvery, deadlineAt] of table) {
    it(`a lease of ${leaseMs} ms with a stop of ${stopMs} ms ends ${deadlineAt} ms after its renewal was sent`, () => {
      expect(marginMs(leaseMs, stopMs)).toBe(margin);
      expect(fenceBeforeMs(leaseMs)).toBe(fenceBefore);
      expect(renewEveryMs(leaseMs)).toBe(renewEvery);
      expect(quarantineMs(leaseMs)).toBe(leaseMs);
      expect(leaseDeadlineMs({ sentBootMs: 70_000, leaseMs, marginMs: margin })).toBe(70_000 + deadlineAt);
    });
  }

  it("I1: the member's own lease ends before the server's can, by at least the time that a stop took", () => {
    for (const leaseMs of [500, 1000, 3000, 10_000]) {
      for (const stopMs of [0, 100, 200]) {
        const deadline = leaseDeadlineMs({ sentBootMs: 5000, leaseMs, marginMs: marginMs(leaseMs, stopMs) });
        expect(5000 + leaseMs - deadline).toBeGreaterThanOrEqual(Math.max(150, stopMs, leaseMs / 10));
      }
    }
  });

  const tooShort: [leaseMs: number, marginMs: number][] = [
    [250, 150],
    [1000, 600],
    [3000, 1700],
  ];
  for (const [leaseMs, margin] of tooShort) {
    it(`a lease of ${leaseMs} ms is refused as too short for a margin of ${margin} ms`, () => {
      expect(leaseFits(leaseMs, margin)).toBe(false);
      expect(() => leaseDeadlineMs({ sentBootMs: 0, leaseMs, marginMs: margin })).toThrow(RangeError);
    });
  }

  it('what is no duration is refused', () => {
    for (const leaseMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => renewEveryMs(leaseMs)).toThrow(RangeError);
      expect(() => fenceBeforeMs(leaseMs)).toThrow(RangeError);
      expect(() => quarantineMs(leaseMs)).toThrow(RangeError);
      expect(() => marginMs(leaseMs, 0)).toThrow(RangeError);
    }
    expect(() => marginMs(1000, Number.NaN)).toThrow(RangeError);
    expect(() => leaseDeadlineMs({ sentBootMs: -1, leaseMs: 1000, marginMs: 150 })).toThrow(RangeError);
  });
});
