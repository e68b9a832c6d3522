import { CancellationScope, getExternalWorkflowHandle, isCancellation, type SignalDefinition } from '@temporalio/workflow';
import { groupWorkflowId } from '../src/model/name.ts';
import type { IncidentLog } from './incident-log.ts';

/**
 * Tells the group's workflow what its incident does. A group that is gone (terminated, say) stops no incident: what is begun is brought to its end, and a
 * group that is started again finds the members as they are. Not cancellable, since it speaks of what is so.
 */
export async function tellGroup<T>(group: string, signal: SignalDefinition<[T]>, word: T, log: IncidentLog): Promise<void> {
  try {
    await CancellationScope.nonCancellable(() => getExternalWorkflowHandle(groupWorkflowId(group)).signal(signal, word));
  } catch (error) {
    if (isCancellation(error) || !(error instanceof Error)) throw error;
    log.saw('workflow', `the group's workflow did not hear "${signal.name}": ${error.message}`);
  }
}
