import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { failoverWorkflowId, switchoverWorkflowId } from '../../src/model/name.ts';
import type { SwitchoverAsk } from '../../src/decide/operator.ts';
import type { Started } from '../../src/model/operator.ts';
import { signalIfThere } from '../../src/stage/pids.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { LIMIT_MS, describeDrill, type Drill } from './drill.ts';
import { type Act, type Moment, Turns, ordersOf } from './turns.ts';

/** Long enough that nobody's lease ends while a test holds one of them still. */
const LEASE_MS = 8000;

const FAILOVER: readonly Act[] = ['inspect', 'promote', 'publishRecord'];
const SWITCHOVER: readonly Act[] = ['inspect', 'checkpoint', 'stepDown', 'promote', 'publishRecord'];
const DURING_FAILOVER: readonly Moment[] = [
  { act: 'inspect', when: 'ordered' },
  { act: 'inspect', when: 'done' },
  { act: 'promote', when: 'ordered' },
  { act: 'promote', when: 'done' },
  { act: 'publishRecord', when: 'ordered' },
];
const DURING_SWITCHOVER: readonly Moment[] = [
  { act: 'inspect', when: 'ordered' },
  { act: 'checkpoint', when: 'done' },
  { act: 'stepDown', when: 'ordered' },
  { act: 'stepDown', when: 'done' },
  { act: 'promote', when: 'ordered' },
  { act: 'promote', when: 'done' },
  { act: 'publishRecord', when: 'ordered' },
];

describeDrill('the only worker is killed', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it('I10: with every worker down the primary goes on taking writes, for longer than its lease', async () => {
    const primary = await drill.primary();
    const before = drill.running(primary.name);
    const epoch = (await drill.status()).epoch;
    await drill.untilFlowing();
    const killedNs = monotonicNs();
    await killWorker(drill);
    await sleep(1.5 * LEASE_MS);
    await drill.untilFlowing();
    expect(drill.gapSince(killedNs)).toBeLessThan(LEASE_MS / 2);
    expect(drill.running(primary.name)).toEqual(before);
    await drill.stage.startPart('worker');
    await drill.untilSteady();
    expect(await drill.status()).toMatchObject({ primary: primary.name, epoch, phase: 'steady' });
    expect(drill.running(primary.name)).toEqual(before);
  }, LIMIT_MS);

  it('I5: before a failover begins: it is decided when a worker is back', async () => {
    const { epoch, name } = await begin(drill);
    await killWorker(drill);
    drill.mark('crash, no worker', name);
    signalIfThere(drill.running(name).postmaster, 'SIGKILL');
    await drill.until('the database to be gone', () => (drill.stage.pidsOf(name).postmaster === null ? [] : ['it runs']));
    await drill.stage.startPart('worker');
    await expectOnePromotion(drill, failoverWorkflowId(GROUP, epoch + 1), epoch, name);
  }, LIMIT_MS);

  for (const moment of DURING_FAILOVER) {
    it(`I5: in a failover, ${moment.act} ${moment.when}: another worker goes on, promotes once, and nothing is lost`, async () => {
      const { epoch, name } = await begin(drill);
      const id = failoverWorkflowId(GROUP, epoch + 1);
      const agents = (await drill.standbys()).map((standby) => drill.running(standby.name).agent);
      await walkAndKill(drill, id, FAILOVER, moment, agents, async () => {
        drill.mark(`crash, ${moment.act} ${moment.when}`, name);
        signalIfThere(drill.running(name).postmaster, 'SIGKILL');
      });
      await expectOnePromotion(drill, id, epoch, name);
    }, LIMIT_MS);
  }

  for (const moment of DURING_SWITCHOVER) {
    it(`I5: in a switchover, ${moment.act} ${moment.when}: another worker goes on, promotes once, and nothing is lost`, async () => {
      const { epoch, name } = await begin(drill);
      const id = switchoverWorkflowId(GROUP, epoch + 1);
      const agents = drill.stage.members.map((member) => drill.running(member.name).agent);
      await walkAndKill(drill, id, SWITCHOVER, moment, agents, async () => {
        drill.mark(`switchover, ${moment.act} ${moment.when}`, name);
        await drill.group.executeUpdate<Started, [SwitchoverAsk]>('switchover', { args: [{ by: 'a drill', reason: `${moment.act} ${moment.when}` }] });
      });
      await expectOnePromotion(drill, id, epoch, name);
    }, LIMIT_MS);
  }

  it('I2: after all that all members are alike, exactly one of them writable', async () => {
    await drill.expectAllAlike();
  }, LIMIT_MS);
});

async function begin(drill: Drill): Promise<{ epoch: number; name: string }> {
  await drill.untilSteady();
  await drill.untilFlowing();
  const { epoch } = await drill.status();
  return { epoch, name: (await drill.primary()).name };
}

async function killWorker(drill: Drill): Promise<void> {
  const { worker } = await drill.parts();
  signalIfThere(worker, 'SIGKILL');
  await drill.until('the worker to be gone', async () => ((await drill.stage.describe()).pids.worker === null ? [] : ['it runs']));
}

async function walkAndKill(drill: Drill, id: string, order: readonly Act[], moment: Moment, agents: readonly number[], fault: () => Promise<unknown>): Promise<void> {
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
async function expectOnePromotion(drill: Drill, id: string, epochBefore: number, oldPrimary: string): Promise<void> {
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
