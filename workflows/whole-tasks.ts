import type { WorkflowInterceptors } from '@temporalio/workflow';
import { BETWEEN_TASKS } from '../src/model/name.ts';

/**
 * Lets no query run a workflow on.
 *
 * A query may reach a worker that holds nothing of this workflow while events wait for a task that no worker has begun yet. The SDK's core then
 * hands those events over too, at the time of the task before. What the workflow decides from them would be sent with the next task, and could never
 * be replayed: there the same events come with that task, at its time. They are known by more history at the same time, since each task has a time of
 * its own. To fail costs that query, and this worker's copy of the workflow with it: the task that follows begins from the history.
 */
export function interceptors(): WorkflowInterceptors {
  let last: { readonly events: number; readonly at: string } | undefined;
  return {
    internals: [
      {
        activate(input, next) {
          const { jobs, historyLength, timestamp } = input.activation;
          // A query by itself brings no history.
          if (jobs?.some(({ queryWorkflow }) => queryWorkflow == null) === true) {
            const now = { events: historyLength ?? 0, at: `${String(timestamp?.seconds)}.${timestamp?.nanos}` };
            if (last !== undefined && now.at === last.at && now.events > last.events) throw new Error(`${BETWEEN_TASKS}: ask again`);
            last = now;
          }
          next(input);
        },
      },
    ],
  };
}
