import { expect, it } from 'vitest';
import { signalIfThere } from '../../src/stage/pids.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { runCli } from '../cli/run-cli.ts';
import { LIMIT_MS, describeDrill, type Drill } from './drill.ts';

/** An agent is restarted within it, on a busy machine too. */
const LEASE_MS = 10_000;
/** What a busy machine makes by itself. On a quiet one the gaps are below 50 ms: they are told with the test. */
const GAP_LIMIT_MS = 1000;

async function snapshot(drill: Drill) {
  const { primary, epoch, incidents } = await drill.status();
  return { primary, epoch, incidents: incidents.length, databases: drill.stage.members.map(({ name }) => drill.running(name).postmaster) };
}

async function expectNoGap(drill: Drill, sinceNs: number, what: string): Promise<void> {
  await drill.untilFlowing();
  const gapMs = drill.gapSince(sinceNs);
  process.stderr.write(`${what}: the longest write gap was ${gapMs.toFixed(1)} ms\n`);
  expect(gapMs).toBeLessThan(GAP_LIMIT_MS);
  expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
}

describeDrill('Understudy is upgraded part by part while a group is written to', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    'two workers, one after the other: no database notices',
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      const before = await snapshot(drill);
      const second = await drill.stage.runBeside('worker-2', 'worker', ['--config', drill.stage.layout.config]);
      const sinceNs = monotonicNs();
      const { worker } = await drill.parts();
      signalIfThere(worker, 'SIGTERM');
      await drill.until('the first worker to be gone', async () => ((await drill.stage.describe()).pids.worker === null ? [] : ['it runs']));
      // The other one decides meanwhile.
      await drill.untilSteady();
      await drill.stage.startPart('worker');
      await second.end(10_000);
      await drill.untilSteady();
      await expectNoGap(drill, sinceNs, 'two workers restarted');
      expect(await snapshot(drill)).toEqual(before);
    },
    LIMIT_MS,
  );

  it(
    "every agent, the primary's too: role, lease and database go on",
    async () => {
      const before = await snapshot(drill);
      const sinceNs = monotonicNs();
      for (const { name } of drill.stage.members) {
        signalIfThere(drill.running(name).agent, 'SIGTERM');
        await drill.until('the agent to be gone', () => (drill.stage.pidsOf(name).agent === null ? [] : ['it runs']), { everyMs: 5 });
        await drill.stage.startPart(name);
        await drill.untilSteady();
      }
      await expectNoGap(drill, sinceNs, 'three agents restarted');
      expect(await snapshot(drill)).toEqual(before);
    },
    LIMIT_MS,
  );

  it(
    "a standby's guard: its database restarts with the new one, and no write waits for it; the primary's after a switchover",
    async () => {
      const before = await snapshot(drill);
      const { name: old } = await drill.primary();
      const sinceNs = monotonicNs();
      for (const { name } of await drill.standbys()) await restartGuard(drill, name);
      await expectNoGap(drill, sinceNs, "two standbys' guards restarted");
      const ran = await runCli(['switchover', GROUP, '--reason', 'a new guard', '--yes', '--config', drill.stage.layout.config]);
      expect(ran, ran.stderr).toMatchObject({ code: 0 });
      await drill.untilSteady();
      const afterNs = monotonicNs();
      await restartGuard(drill, old);
      await expectNoGap(drill, afterNs, "the old primary's guard restarted");
      expect(await drill.status()).toMatchObject({ epoch: before.epoch + 1 });
    },
    LIMIT_MS,
  );

  it(
    'I2: after all that all members are alike, exactly one of them writable',
    async () => {
      await drill.expectAllAlike();
    },
    LIMIT_MS,
  );
});

/** SIGTERM stops its database in order; the agent starts another guard, and the database under it. */
async function restartGuard(drill: Drill, name: string): Promise<void> {
  const { guard } = drill.running(name);
  signalIfThere(guard, 'SIGTERM');
  await drill.until('another guard to be there', () => {
    const now = drill.stage.pidsOf(name);
    return now.guard !== null && now.guard !== guard && now.postmaster !== null ? [] : [JSON.stringify(now)];
  });
  await drill.untilSteady();
  // Until it is named among those that may be promoted, it does not stand in for the next one.
  await drill.until(`${name} to confirm commits`, async () => ((await drill.status()).electable.includes(name) ? [] : ['not yet']));
}
