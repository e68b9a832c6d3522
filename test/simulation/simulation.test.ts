import path from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';

const SCRIPT = path.join(import.meta.dirname, '..', '..', 'scripts', 'simulate.mjs');
const SCHEDULES = 10_000;
const LIMIT_MS = 15 * 60_000;

interface Totals {
  readonly schedules: number;
  readonly events: number;
  readonly promotions: number;
  readonly waitsForPerson: number;
  readonly cpuMs: number;
  readonly failures: readonly { readonly seed: number; readonly rule: string; readonly words: string; readonly story: string }[];
}

/** Found within a few dozen schedules each: the whole table is `npm run simulate -- --mutations`. */
const QUICK = [
  'not-found-acknowledges',
  'no-kernel-timer',
  'tells-fenced-unfenced',
  'database-outlives-guard',
  'new-run-takes-roles',
  'silent-names-ignored',
  'records-without-epoch',
];

/** As anybody runs it: compiled, in processes of its own, since it takes over their clocks. */
async function simulate(...args: string[]): Promise<{ readonly stdout: string }> {
  return execa(process.execPath, [SCRIPT, ...args], { reject: false, timeout: LIMIT_MS });
}

describe('simulation', () => {
  it('I1, I2, I4, I7, I8: no schedule of faults breaks a rule, and each ends with a group that is whole', { timeout: LIMIT_MS }, async () => {
    const { stdout } = await simulate('--schedules', String(SCHEDULES), '--json');
    const totals = JSON.parse(stdout) as Totals;
    expect(totals.failures.map(({ seed, rule, words, story }) => `seed ${seed}: ${rule}: ${words}\n${story}`)).toEqual([]);
    expect(totals.schedules).toBe(SCHEDULES);
    // Something happened in them.
    expect(totals.promotions).toBeGreaterThan(SCHEDULES / 4);
    expect(totals.waitsForPerson).toBeLessThan(SCHEDULES / 50);
  });

  it('the same seed plays the same way', { timeout: LIMIT_MS }, async () => {
    const [one, other] = [await simulate('--seed', '7', '--built'), await simulate('--seed', '7', '--built')];
    expect(one.stdout.length).toBeGreaterThan(1000);
    expect(one.stdout).toBe(other.stdout);
  });

  it('rules that are taken out are missed', { timeout: LIMIT_MS }, async () => {
    const { stdout } = await simulate('--mutations', '--only', QUICK.join(','), '--within', '400', '--built', '--json');
    const caught = JSON.parse(stdout) as { readonly id: string; readonly rule: string | null }[];
    expect(caught.filter(({ rule }) => rule === null).map(({ id }) => id)).toEqual([]);
    expect(caught.map(({ id }) => id).toSorted()).toEqual(QUICK.toSorted());
  });
});
