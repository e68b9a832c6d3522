import { expect } from 'vitest';
import { signalIfThere } from '../../src/stage/pids.ts';
import type { Drill } from './drill.ts';
import { type Act, type Moment, Turns, ordersOf } from './turns.ts';

/** Long enough that nobody's lease ends while a test holds one of them still. */
export const LEASE_MS = 8000;

export async function killWorker(drill: Drill): Promise<void> {
  const { worker } = await drill.parts();
  signalIfThere(worker, 'SIGKILL');
  await drill.until('the worker to be gone', async () => ((await drill.stage.describe()).pids.worker === null ? [] : ['it runs']));
}

export async function walkAndKill(
  drill: Drill,
  id: string,
  order: readonly Act[],
  moment: Moment,
  agents: readonly number[],
  fault: () => Promise<unknown>,
): Promise<void> {
  const turns = new Turns(drill, id);
  try {
    turns.freeze(agents);
    await fault();
    await turns.walk(order, moment, agents);
    await killWorker(drill);
  } finally {
    turns.thaw();
  }
  const orders = (await ordersOf(drill, id)).filter(({ act }) => act === moment.act);
  // What was ordered is under way and not told: the worker died where it was meant to.
  expect(orders.length).toBeGreaterThan(0);
  await drill.stage.startPart('worker');
}

/** I5: whatever was done twice was done once for the world. */
export async function expectOnePromotion(drill: Drill, id: string, epochBefore: number, oldPrimary: string): Promise<void> {
  await drill.untilSteady();
  await drill.untilFlowing();
  const status = await drill.status();
  expect(status.epoch).toBe(epochBefore + 1);
  expect(status.primary).not.toBe(oldPrimary);
  const incident = await drill.incident(id);
  expect(incident.outcome).toMatchObject({ outcome: 'done', primary: status.primary, epoch: epochBefore + 1 });
  const promotions = (await ordersOf(drill, id)).filter(({ act }) => act === 'promote');
  expect(promotions.map(({ id: order }) => order)).toEqual([`promote/${status.primary}/${epochBefore + 1}`]);
  // Each promotion begins a timeline: the first epoch has the first one.
  expect(await drill.timeline()).toBe(status.epoch);
  await drill.expectNothingBroken();
}
