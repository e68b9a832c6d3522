import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { failoverWorkflowId } from '../../src/model/name.ts';
import { descendantsOf, signalIfThere } from '../../src/stage/pids.ts';
import { runTrial } from '../../src/stage/trial.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { LIMIT_MS, describeDrill, type Drill } from './drill.ts';

const LEASE_MS = 3000;

describeDrill('durability async', { members: 3, leaseMs: LEASE_MS, durability: 'async' }, (drill) => {
  it(
    'a crash with standbys that are at its heels fails over, and the report bounds what was lost',
    async () => {
      await drill.untilSteady();
      const trial = await runTrial(drill.stage, drill.writers, 'S1', { freezeMs: 0, signal: AbortSignal.timeout(LIMIT_MS), tell: () => undefined });
      drill.note({ name: 'S1', t0Ns: trial.t0Ns, oldPort: trial.victim.port });
      await drill.untilFlowing();
      const { faults, duplicates } = await drill.judge();
      expect(duplicates).toBe(0);
      expect(faults.at(-1)).toMatchObject({ lateAcknowledgements: 0 });
      await expectBoundedLoss(drill, trial.epochBefore + 1, faults.at(-1)?.lost ?? Number.NaN);
    },
    LIMIT_MS,
  );

  it(
    'I2: a crash while every standby lags starts in place what holds more than they do, or the report bounds the loss',
    async () => {
      await drill.untilSteady();
      const { epoch } = await drill.status();
      const { name, port } = await drill.primary();
      const { guard, postmaster } = drill.running(name);
      // Nothing is sent any more, and clients are acknowledged all the same.
      const senders = descendantsOf(guard).filter(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('walsender'));
      expect(senders).toHaveLength(2);
      for (const { pid } of senders) signalIfThere(pid, 'SIGSTOP');
      await drill.untilFlowing(200);
      drill.mark('crash with lagging standbys', name);
      signalIfThere(postmaster, 'SIGKILL');
      await drill.untilFlowing();
      await drill.untilSteady();
      const { faults, lost, duplicates } = await drill.judge();
      expect(duplicates).toBe(0);
      expect(faults.at(-1)).toMatchObject({ lateAcknowledgements: 0 });
      const after = await drill.status();
      if (after.primary === name) expect({ epoch: after.epoch, lost: faults.at(-1)?.lost, port: faults.at(-1)?.newPort }).toEqual({ epoch, lost: 0, port });
      else await expectBoundedLoss(drill, epoch + 1, lost);
    },
    LIMIT_MS,
  );
});

async function expectBoundedLoss(drill: Drill, epoch: number, lostWrites: number): Promise<void> {
  const { loss } = await drill.incident(failoverWorkflowId(GROUP, epoch));
  expect(loss.words).not.toBe('');
  // What the checker finds lost, the report must not deny.
  if (lostWrites > 0) expect(loss.kind).not.toBe('none');
}
