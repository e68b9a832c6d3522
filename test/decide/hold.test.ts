import { describe, expect, it } from 'vitest';
import { DAY_MS, decideHold, inWords } from '../../src/decide/hold.ts';
import type { HoldInput } from '../../src/decide/hold.ts';
import { policy } from './world.ts';

const NOW = 1_800_000_000_000;
const MIN = 60_000;

const table: [name: string, more: Partial<HoldInput>, rule: string | false, untilMs?: number | undefined, words?: string][] = [
  ['the first failover of a group is never held', {}, false],
  [
    'I7: a second one inside minInterval waits, and says for how long',
    { lastFailoverAtMs: NOW - 4 * MIN },
    'min-interval',
    NOW + 6 * MIN,
    'the last failover was 4 min ago, and there must be 10 min between two: 6 min are left',
  ],
  ['at the end of minInterval it goes ahead', { lastFailoverAtMs: NOW - 10 * MIN }, false],
  [
    'I7: the fourth of a day waits until the first of it is a day old',
    { failoversAtMs: [NOW - 20 * MIN, NOW - 23 * 60 * MIN, NOW - 60 * MIN] },
    'max-per-day',
    NOW + 60 * MIN,
    '3 failovers in the last 24 hours, and 3 are the most that happen by themselves: 1 h are left',
  ],
  ['a failover of yesterday is not counted', { failoversAtMs: [NOW - DAY_MS, NOW - 20 * MIN, NOW - 60 * MIN] }, false],
  ['with a limit of none a day, there is no end to wait for', { policy: { ...policy, maxPerDay: 0 } }, 'max-per-day', undefined],
  [
    'with a limit lowered since, so many must pass that there is room',
    { policy: { ...policy, maxPerDay: 1 }, failoversAtMs: [NOW - 60 * MIN, NOW - 20 * MIN] },
    'max-per-day',
    NOW - 20 * MIN + DAY_MS,
  ],
  ['I7: an override lifts both limits', { lastFailoverAtMs: NOW - 1, failoversAtMs: [NOW - 1, NOW - 2, NOW - 3], override: true }, false],
  [
    'a pause holds, and says whose it is',
    { paused: { untilMs: NOW + MIN, by: 'ann', reason: 'new disks' } },
    'paused',
    NOW + MIN,
    'ann paused automatic action for another 1 min: new disks',
  ],
  ['a pause without an end holds until it is lifted', { paused: { by: 'ann', reason: 'new disks' } }, 'paused', undefined, 'until it is resumed'],
  ['a pause that is over holds nothing', { paused: { untilMs: NOW, by: 'ann', reason: 'new disks' } }, false],
  ['an override lifts no pause', { paused: { by: 'ann', reason: 'new disks' }, override: true }, 'paused', undefined],
  ['an open incident holds, override or not', { incidentOpen: true, override: true }, 'incident-open', undefined],
];

describe('decideHold', () => {
  for (const [name, more, rule, untilMs, words] of table) {
    it(name, () => {
      const hold = decideHold({ nowMs: NOW, policy, failoversAtMs: [], override: false, incidentOpen: false, group: 'orders', ...more });
      expect(hold.held ? hold.rule : false).toBe(rule);
      if (!hold.held) return;
      expect(hold.untilMs).toBe(untilMs);
      expect(hold.words).toContain(words ?? '');
      expect(hold.override).toContain('orders');
    });
  }

  it('tells a span as people do', () => {
    expect([0, 850, 1500, 60_000, 250_000, 3_600_000, 5_400_000, 90_000_000, -5].map(inWords)).toEqual([
      '0 ms',
      '850 ms',
      '1.5 s',
      '1 min',
      '4 min 10 s',
      '1 h',
      '1 h 30 min',
      '1 d 1 h',
      '0 ms',
    ]);
  });
});
