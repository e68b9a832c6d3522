import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { routeOf } from '../../src/decide/route.ts';
import type { Destination } from '../../src/decide/route.ts';

const region = (name: string, near: string[], serves = true): Destination => ({ name, near, serves });
const THREE = [region('frankfurt', ['DE', 'EU']), region('dublin', ['IE', 'EU']), region('ohio', ['US', 'NA'])];

const table: [
  name: string,
  regions: Destination[],
  places: string[],
  latencyMs: Record<string, number>,
  to: string | null,
  by?: string | undefined,
  words?: string,
][] = [
  ['the narrowest place decides', THREE, ['IE', 'EU'], { frankfurt: 1, dublin: 90 }, 'dublin', 'place', 'it is near IE'],
  ['two that are equally near are told apart by latency', THREE, ['FR', 'EU'], { frankfurt: 30, dublin: 20, ohio: 5 }, 'dublin', 'place', '2 are near EU'],
  ['and by their order where nothing was measured', THREE, ['FR', 'EU'], {}, 'frankfurt', 'place'],
  ['the nearest that serves', [region('frankfurt', ['DE', 'EU'], false), ...THREE.slice(1)], ['DE', 'EU'], {}, 'dublin', 'place', 'near EU'],
  ['where none is near, the fastest', THREE, ['JP', 'AS'], { frankfurt: 240.4, ohio: 160.4 }, 'ohio', 'latency', 'in 160 ms'],
  ['one that was not measured is no faster than one that was', THREE, [], { ohio: 900 }, 'ohio', 'latency'],
  ['where nothing is known, the first', THREE, [], {}, 'frankfurt', 'order', 'nothing is known'],
  ['where its place is of no help, the first', THREE, ['AQ'], {}, 'frankfurt', 'order', 'near AQ'],
  ['where none serves, nobody', THREE.map((one) => ({ ...one, serves: false })), ['DE'], { ohio: 1 }, null, undefined, 'no region serves'],
  ['without regions, nobody', [], ['DE'], {}, null, undefined, 'there is no region'],
];

describe('routeOf', () => {
  for (const [name, regions, places, latencyMs, to, by, words] of table)
    it(name, () => {
      const route = routeOf(regions, { places, latencyMs });
      expect(route.to).toBe(to);
      if (route.to !== null) expect(route.by).toBe(by);
      expect(route.words).toContain(words ?? '');
    });

  it('answers with a region that serves whenever there is one, and with all the others after it', () => {
    const anyRegions = fc.uniqueArray(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), serves: fc.boolean(), near: fc.subarray(['DE', 'EU', 'US']) }), {
      selector: ({ name }) => name,
      maxLength: 4,
    });
    const anyLatency = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.double({ min: 0, max: 500, noNaN: true }));
    fc.assert(
      fc.property(anyRegions, fc.subarray(['DE', 'EU', 'JP']), anyLatency, (regions, places, latencyMs) => {
        const route = routeOf(regions, { places, latencyMs });
        const serving = regions.filter(({ serves }) => serves).map(({ name }) => name);
        expect(route.to === null ? [] : [route.to, ...route.others].toSorted()).toEqual(serving.toSorted());
      }),
    );
  });
});
