import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import type { Incident } from '../model/incident.ts';
import { failoverWorkflowId, groupWorkflowId, switchoverWorkflowId } from '../model/name.ts';

/**
 * The incidents of a group that run, whether the group does or not.
 *
 * Temporal's list may be seconds behind. What the group's last run began is in its history, which is not: a run ends by itself only when none of its
 * incidents is open, so that no earlier one has to be read. One that was reset has left its own to a run that the new one names.
 */
export async function runningIncidents(client: Client, group: string): Promise<string[]> {
  const ids = await knownIncidents(client, group);
  const found = await Promise.all([...ids.keys()].map(async (id) => ((await isRunning(client, id)) ? [id] : [])));
  return found.flat().sort();
}

/** What a group's incidents are at, for whoever begins the group anew. */
export interface FormerIncidents {
  /** May still promote somebody. */
  readonly deciding: readonly string[];
  /** Whether one of them has decided so lately that what a member said a moment ago may be older. */
  readonly lately: boolean;
}

/** Clocks of servers and workers may differ by some of it. */
const LATELY_MS = 60_000;

/** One whose promotion is through only settles its clients, for as long as a DNS outage lasts: it is waited for no longer. */
export async function formerIncidents(client: Client, group: string): Promise<FormerIncidents> {
  const known = await knownIncidents(client, group, new Date(Date.now() - LATELY_MS));
  const states = await Promise.all([...known].map(([id, begunMs]) => stateOf(client, id, begunMs)));
  return {
    deciding: states.flatMap(({ id, state }) => (state === 'decides' ? [id] : [])).sort(),
    lately: states.some(({ state }) => state === 'settles' || state === 'ended lately'),
  };
}

async function stateOf(client: Client, id: string, begunMs: number): Promise<{ id: string; state: 'decides' | 'settles' | 'ended lately' | 'over' }> {
  const handle = client.workflow.getHandle(id);
  try {
    const { status, closeTime } = await handle.describe();
    if (status.name !== 'RUNNING') return { id, state: (closeTime?.getTime() ?? 0) > Date.now() - LATELY_MS ? 'ended lately' : 'over' };
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    // One that was ordered a moment ago has not begun yet; the server has forgotten one of long ago.
    return { id, state: begunMs > Date.now() - LATELY_MS ? 'decides' : 'over' };
  }
  const { steps } = await handle.query<Incident>('incident');
  const promoted = steps.some(({ name, outcome }) => name === 'promote' && (outcome === 'done' || outcome === 'already'));
  return { id, state: promoted ? 'settles' : 'decides' };
}

async function knownIncidents(client: Client, group: string, closedAfter?: Date): Promise<Map<string, number>> {
  const prefixes = [failoverWorkflowId, switchoverWorkflowId].map((idOf) => idOf(group, 0).slice(0, -1));
  const ids = await begunBy(client, group);
  const byId = prefixes.map((prefix) => `WorkflowId STARTS_WITH '${prefix}'`).join(' OR ');
  const which = closedAfter === undefined ? "ExecutionStatus = 'Running'" : `(ExecutionStatus = 'Running' OR CloseTime > '${closedAfter.toISOString()}')`;
  for await (const { workflowId, startTime } of client.workflow.list({ query: `${which} AND (${byId})` })) ids.set(workflowId, startTime.getTime());
  return ids;
}

/** The children that a group's last run, and each that it was reset from, began and did not see end; with the time of each, milliseconds since 1970. */
async function begunBy(client: Client, group: string): Promise<Map<string, number>> {
  const open = new Map<string, number>();
  try {
    // It is this call that names what is missing.
    await client.workflow.getHandle(groupWorkflowId(group)).describe();
    const read = new Set<string>();
    for (let runId: string | undefined = ''; runId !== undefined && !read.has(runId);) {
      read.add(runId);
      runId = await addChildren(client, group, runId, open);
    }
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
  return open;
}

/** @param runId the run to read; empty: the last one @returns the run that it was reset from, where it was */
async function addChildren(client: Client, group: string, runId: string, open: Map<string, number>): Promise<string | undefined> {
  const { events } = await client.workflow.getHandle(groupWorkflowId(group), runId === '' ? undefined : runId).fetchHistory();
  let from: string | undefined;
  const over = new Set<string>();
  for (const event of events ?? []) {
    const begun = event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId;
    const ended =
      event.childWorkflowExecutionCompletedEventAttributes ??
      event.childWorkflowExecutionFailedEventAttributes ??
      event.childWorkflowExecutionTerminatedEventAttributes ??
      event.childWorkflowExecutionCanceledEventAttributes ??
      event.childWorkflowExecutionTimedOutEventAttributes;
    if (begun != null) open.set(begun, Number(event.eventTime?.seconds ?? 0) * 1000);
    if (ended?.workflowExecution?.workflowId != null) over.add(ended.workflowExecution.workflowId);
    const base = event.workflowTaskFailedEventAttributes?.baseRunId;
    if (base != null && base !== '') from = base;
  }
  for (const id of over) open.delete(id);
  return from;
}

async function isRunning(client: Client, id: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(id).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
