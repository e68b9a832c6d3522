import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { ControlActs, MemberActs } from '../src/model/act.ts';
import { CONTROL_QUEUE, memberQueue } from '../src/model/name.ts';

/** Roles end when they end; the server demands a number. */
const FOR_EVER = '3650 days';

/**
 * Every activity that a workflow orders goes through this table: queue, timeouts, retries, id and summary.
 *
 * Decisions stand in the ids (`promote/pg-b/8`), because replay compares ids, not arguments (protocol 9).
 */
export interface Order {
  readonly id: string;
  readonly summary: string;
}

/** A role: no retry by the server, and a cancellation waits until the member has let go (protocol 1.6). */
export function role(
  group: string,
  member: string,
  o: Order & { readonly heartbeatMs: number; readonly takeUpWithinMs: number | undefined },
): Pick<MemberActs, 'primary' | 'standby'> {
  return proxyActivities<MemberActs>({
    activityId: o.id,
    summary: o.summary,
    taskQueue: memberQueue(group, member),
    heartbeatTimeout: o.heartbeatMs,
    startToCloseTimeout: FOR_EVER,
    scheduleToStartTimeout: o.takeUpWithinMs ?? FOR_EVER,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { maximumAttempts: 1 },
  });
}

/** A promotion is the first lease of its epoch: it beats like a role, and the server never repeats it behind our back. */
export function promotion(group: string, member: string, o: Order & { readonly leaseMs: number; readonly limitMs: number }): Pick<MemberActs, 'promote'> {
  return proxyActivities<MemberActs>({
    activityId: o.id,
    summary: o.summary,
    taskQueue: memberQueue(group, member),
    heartbeatTimeout: o.leaseMs,
    scheduleToStartTimeout: o.leaseMs,
    startToCloseTimeout: o.limitMs,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { maximumAttempts: 1 },
  });
}

/** One question or one act of a member, within a limit, asked once. */
export function member(
  group: string,
  name: string,
  o: Order & { readonly startWithinMs: number; readonly limitMs: number },
): Omit<MemberActs, 'primary' | 'standby' | 'promote'> {
  return proxyActivities<MemberActs>({
    activityId: o.id,
    summary: o.summary,
    taskQueue: memberQueue(group, name),
    scheduleToStartTimeout: o.startWithinMs,
    startToCloseTimeout: o.limitMs,
    cancellationType: ActivityCancellationType.ABANDON,
    retry: { maximumAttempts: 1 },
  });
}

/** What any worker can do. A worker that dies in the middle costs one `limitMs`, not the incident. */
export function control(o: Order & { readonly limitMs: number; readonly attempts: number }): ControlActs {
  return proxyActivities<ControlActs>({
    activityId: o.id,
    summary: o.summary,
    taskQueue: CONTROL_QUEUE,
    startToCloseTimeout: o.limitMs,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: { ...(o.attempts > 0 ? { maximumAttempts: o.attempts } : {}), initialInterval: 100, maximumInterval: 5000 },
  });
}
