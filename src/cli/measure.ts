import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { msToTs } from '@temporalio/common/lib/time.js';
import { startStopwatch, wallTimeMs } from '../runtime/clock.ts';
import type { Connected } from '../runtime/connection.ts';

export interface Round {
  /** From the instant at which the lease was due to the workflow's next task in hand. */
  readonly lateMs: number;
  /** The server's clock less this host's. */
  readonly skewMs: number;
}

export const ROUNDS = 5;
export const TIMEOUT_MS = 1000;
/** The last renewal comes so early: a timer that was pushed forward by little is what a server is late with most, a fresh one not at all. */
const LAST_BEAT_MS = 100;
const LIMIT_MS = 15_000;
/** temporal.api.enums.v1.CommandType */
const SCHEDULE_ACTIVITY = 1;
const COMPLETE_WORKFLOW = 4;

/**
 * Plays a group's workflow and its primary, without a worker: an activity that beats and falls silent, five times over, in one
 * workflow. What is measured is what a failover waits for.
 */
export async function measureHeartbeatTimeouts({ client, connection, namespace }: Connected): Promise<Round[]> {
  const queue = { name: `understudy-doctor-${randomUUID()}` };
  const { workflowService } = connection;
  const identity = 'understudy doctor';
  const askedMs = wallTimeMs();
  const handle = await client.workflow.start('understudyDoctor', {
    taskQueue: queue.name,
    workflowId: `doctor/${randomUUID()}`,
    workflowExecutionTimeout: '2m',
    staticSummary: 'measures how late the server knows that a lease is over',
  });
  const { startTime } = await handle.describe();
  const skewMs = startTime.getTime() - (askedMs + wallTimeMs()) / 2;
  const within = <T>(call: () => Promise<T>): Promise<T> => connection.withDeadline(wallTimeMs() + LIMIT_MS, call);
  const answer = (taskToken: Uint8Array | null | undefined, command: object) =>
    within(() => workflowService.respondWorkflowTaskCompleted({ namespace, identity, taskToken: taskToken ?? null, commands: [command] }));
  const nextTask = () => within(() => workflowService.pollWorkflowTaskQueue({ namespace, identity, taskQueue: queue }));

  const rounds: Round[] = [];
  try {
    let task = await nextTask();
    for (let round = 0; round < ROUNDS; round += 1) {
      await answer(task.taskToken, {
        commandType: SCHEDULE_ACTIVITY,
        scheduleActivityTaskCommandAttributes: {
          activityId: String(round),
          activityType: { name: 'lease' },
          taskQueue: queue,
          startToCloseTimeout: msToTs('1m'),
          scheduleToStartTimeout: msToTs('1m'),
          heartbeatTimeout: msToTs(TIMEOUT_MS),
          retryPolicy: { maximumAttempts: 1 },
        },
      });
      const { taskToken } = await within(() => workflowService.pollActivityTaskQueue({ namespace, identity, taskQueue: queue }));
      await pause(LAST_BEAT_MS);
      const sinceLast = startStopwatch();
      await within(() => workflowService.recordActivityTaskHeartbeat({ namespace, identity, taskToken }));
      task = await nextTask();
      rounds.push({ lateMs: sinceLast() - TIMEOUT_MS, skewMs });
    }
    await answer(task.taskToken, { commandType: COMPLETE_WORKFLOW, completeWorkflowExecutionCommandAttributes: {} });
    return rounds;
  } catch (error) {
    await handle.terminate('the measurement failed');
    throw error;
  }
}
