import type { WorkflowClient } from '@temporalio/client';
import type { RecordedHistory } from './histories.ts';

const TYPES = "('failoverGroup', 'failover', 'switchover')";

/** Every run of every group and incident that the server still keeps, the newest first. */
export async function* allHistories(client: WorkflowClient): AsyncGenerator<RecordedHistory> {
  for await (const { workflowId, runId } of client.list({ query: `WorkflowType IN ${TYPES}` })) {
    yield { workflowId, history: await client.getHandle(workflowId, runId).fetchHistory() };
  }
}

/** The last run of one workflow. */
export async function historyOf(client: WorkflowClient, workflowId: string): Promise<RecordedHistory> {
  return { workflowId, history: await client.getHandle(workflowId).fetchHistory() };
}
