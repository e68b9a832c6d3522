import { type Client, WorkflowNotFoundError } from '@temporalio/client';
import { failoverWorkflowId, groupWorkflowId, switchoverWorkflowId } from '../model/name.ts';

/**
 * The incidents of a group that run, whether the group does or not.
 *
 * Temporal's list may be seconds behind. What the group's last run began is in its history, which is not: a run ends by itself only when none of its
 * incidents is open, so that no earlier one has to be read.
 */
export async function runningIncidents(client: Client, group: string): Promise<string[]> {
  const prefixes = [failoverWorkflowId, switchoverWorkflowId].map((idOf) => idOf(group, 0).slice(0, -1));
  const ids = new Set(await begunBy(client, group));
  const byId = prefixes.map((prefix) => `WorkflowId STARTS_WITH '${prefix}'`).join(' OR ');
  for await (const { workflowId } of client.workflow.list({ query: `ExecutionStatus = 'Running' AND (${byId})` })) ids.add(workflowId);
  const found = await Promise.all([...ids].map(async (id) => ((await isRunning(client, id)) ? [id] : [])));
  return found.flat().sort();
}

/** The children that a group's last run began and did not see end. */
async function begunBy(client: Client, group: string): Promise<string[]> {
  try {
    const handle = client.workflow.getHandle(groupWorkflowId(group));
    // It is this call that names what is missing.
    await handle.describe();
    const { events } = await handle.fetchHistory();
    const open = new Set<string>();
    for (const event of events ?? []) {
      const begun = event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId;
      const over =
        event.childWorkflowExecutionCompletedEventAttributes ??
        event.childWorkflowExecutionFailedEventAttributes ??
        event.childWorkflowExecutionTerminatedEventAttributes ??
        event.childWorkflowExecutionCanceledEventAttributes ??
        event.childWorkflowExecutionTimedOutEventAttributes;
      if (begun != null) open.add(begun);
      if (over?.workflowExecution?.workflowId != null) open.delete(over.workflowExecution.workflowId);
    }
    return [...open];
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
}

async function isRunning(client: Client, id: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(id).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
