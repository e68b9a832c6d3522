import { expect, it } from 'vitest';
import { groupWorkflowId, CONTROL_QUEUE } from '../../src/model/name.ts';
import type { GroupSpec } from '../../src/model/group.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import type { failoverGroup } from '../../workflows/failover-group.ts';
import { describeDrill, itEndsAlike, LIMIT_MS, type Drill } from './drill.ts';

const LEASE_MS = 4000;
/** Fewer than offering every role takes: each run ends as soon as it may. */
const EVENTS_A_RUN = 20;
const RUNS = 4;

describeDrill("a group's workflow begins anew under load", { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    'a terminated group is started again beside running members: it adopts their epoch and touches nothing',
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      const before = await snapshot(drill);
      const spec = await drill.group.query<GroupSpec>('spec');
      const sinceNs = monotonicNs();
      await drill.group.terminate('a drill');
      await drill.stage.connected.client.workflow.start<typeof failoverGroup>('failoverGroup', {
        workflowId: groupWorkflowId(GROUP),
        taskQueue: CONTROL_QUEUE,
        workflowTaskTimeout: '2s',
        args: [{ spec, eventsARun: EVENTS_A_RUN }],
      });
      await drill.untilSteady();
      await expectUntouched(drill, before, sinceNs);
    },
    LIMIT_MS,
  );

  it(
    'it continues as new again and again: no write gap, the same primary, epoch and database, and every role offered anew',
    async () => {
      const before = await snapshot(drill);
      const sinceNs = monotonicNs();
      const runs = new Set<string>();
      const orders = new Set<string>();
      await drill.until(
        `${RUNS} runs one after another`,
        async () => {
          // A group to which nothing happens writes no history, and has no reason to begin anew: this changes nothing, and is an event.
          await drill.group.signal('news', { member: 'nobody', turn: 0 });
          const { runId, raw } = await drill.group.describe();
          runs.add(runId);
          for (const { activityId } of raw.pendingActivities ?? [])
            if (activityId?.startsWith(`primary/${before.primary}/${before.epoch}/`) === true) orders.add(activityId);
          return runs.size >= RUNS && orders.size >= RUNS ? [] : [`${runs.size} runs and ${orders.size} orders so far`];
        },
        { everyMs: 250 },
      );
      await drill.untilFlowing();
      await drill.untilSteady();
      await expectUntouched(drill, before, sinceNs);
    },
    LIMIT_MS,
  );

  itEndsAlike(drill);
});

async function snapshot(drill: Drill) {
  const { primary, epoch } = await drill.status();
  return { primary, epoch, timeline: await drill.timeline(), pids: drill.stage.members.map(({ name }) => drill.running(name)) };
}

/** No gap beyond what a busy machine makes by itself: a database that was stopped would have been away for longer, and is another process. */
async function expectUntouched(drill: Drill, before: Awaited<ReturnType<typeof snapshot>>, sinceNs: number): Promise<void> {
  expect(await snapshot(drill)).toEqual(before);
  expect(drill.gapSince(sinceNs)).toBeLessThan(LEASE_MS / 2);
  expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
}
