import { addSample, noSamples } from '../../src/decide/samples.ts';
import type { Samples } from '../../src/decide/samples.ts';
import { keepMs } from '../../src/model/objective.ts';
import type { Objective } from '../../src/model/objective.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** A Wednesday; a whole minute, and a whole hour. */
export const NOW_MS = Date.UTC(2026, 3, 22, 12);

export const objective = (target = 0.999, more: Partial<Objective> = {}): Objective => ({
  name: 'answers',
  service: 'shop',
  target,
  window: { rolling: 30 * DAY_MS },
  minimumEvents: 0,
  ...more,
});

/** So many minutes, the oldest stretch first: each with `bad` of `total` (10,000 where left out) events, or nobody looking. */
export type Stretch = readonly [minutes: number, bad: number | 'nobody', total?: number];

/** One look a minute, the last of them in the minute before `nowMs`. */
export function watched(of: Objective, stretches: readonly Stretch[], nowMs = NOW_MS): Samples {
  let atMs = nowMs - stretches.reduce((sum, [minutes]) => sum + minutes, 0) * MINUTE_MS;
  let samples = noSamples(atMs, keepMs(of.window));
  for (const [minutes, bad, total = 10_000] of stretches) {
    for (let minute = 0; minute < minutes; minute++, atMs += MINUTE_MS) {
      if (bad !== 'nobody') samples = addSample(samples, { atMs, good: total - bad, total }, atMs);
    }
  }
  return samples;
}
