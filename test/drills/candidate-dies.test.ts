import { expect, it } from 'vitest';
import { failoverWorkflowId } from '../../src/model/name.ts';
import { lookAt } from '../../src/stage/member-answers.ts';
import { signalIfThere } from '../../src/stage/pids.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { describeDrill, itEndsAlike, LIMIT_MS, type Drill } from './drill.ts';
import { Turns, ordersOf } from './turns.ts';

const LEASE_MS = 3000;

describeDrill('the elected candidate dies in its promotion', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    'I1, I2: its node is killed before it has begun: somebody takes the writes, or the group says why not until it is back',
    async () => {
      await crashAndKillCandidate(drill, async () => undefined);
    },
    LIMIT_MS,
  );

  it(
    'I1, I2: its node is killed as soon as its database is open: somebody takes the writes, or the group says why not until it is back',
    async () => {
      await crashAndKillCandidate(drill, async (candidate, agent, turns) => {
        const { port } = drill.place(candidate);
        turns.thaw([agent]);
        await drill.until(
          `${candidate} to be open`,
          async () => {
            const look = await lookAt(port);
            return 'silent' in look || look.inRecovery ? ['it is not'] : [];
          },
          { everyMs: 1 },
        );
      });
    },
    LIMIT_MS,
  );

  itEndsAlike(drill);
});

async function crashAndKillCandidate(drill: Drill, untilItsTime: (candidate: string, agent: number, turns: Turns) => Promise<void>): Promise<void> {
  await drill.untilSteady();
  await drill.untilFlowing();
  const { epoch } = await drill.status();
  const { name: old } = await drill.primary();
  const id = failoverWorkflowId(GROUP, epoch + 1);
  const agents = (await drill.standbys()).map((standby) => drill.running(standby.name).agent);
  const turns = new Turns(drill, id);
  let candidate: string;
  try {
    turns.freeze(agents);
    drill.mark('crash, and the candidate dies', old);
    signalIfThere(drill.running(old).postmaster, 'SIGKILL');
    await turns.walk(['inspect', 'promote'], { act: 'promote', when: 'ordered' }, agents);
    const order = (await ordersOf(drill, id)).find(({ act }) => act === 'promote');
    candidate = order?.id.split('/')[1] ?? 'nobody';
    await untilItsTime(candidate, drill.running(candidate).agent, turns);
    drill.killNode(candidate);
  } finally {
    turns.thaw();
  }
  // Either is right, a silent wait is not: the two that are left may not be enough to know what was acknowledged.
  const before = drill.writers.tail.read().acknowledged;
  let said = '';
  await drill.until('somebody to take the writes, or words why nobody does', async () => {
    if (drill.writers.tail.read().acknowledged > before + 20) {
      said = 'writes go on';
      return [];
    }
    const { words, held, incidents } = await drill.status();
    const ended = incidents.filter(({ endedAtMs }) => endedAtMs !== undefined).at(-1);
    said = held?.words ?? words ?? (ended !== undefined && ended.epoch > epoch ? ended.outcome : '');
    return said === '' ? ['neither'] : [];
  });
  expect(said).not.toBe('');
  await drill.stage.startPart(candidate);
  await drill.untilSteady();
  await drill.untilFlowing();
  await drill.expectNothingBroken();
}
