import type { WorkflowBundleOption } from '@temporalio/worker';
import { type Redecision, redecide } from '../decide/redecide.ts';
import type { CodecConfig } from '../model/config.ts';
import type { GroupSpec } from '../model/group.ts';
import type { Incident } from '../model/incident.ts';
import { dataConverterOf } from '../runtime/codec.ts';
import { encrypts, workerConverter } from '../runtime/worker-converter.ts';
import { type RecordedHistory, hasRun, incidentOf, runIdOf, typeOf } from './histories.ts';

export interface ReplayInput {
  readonly histories: AsyncIterable<RecordedHistory> | Iterable<RecordedHistory>;
  /** Decide under this group's rules instead of those that the incident went by. */
  readonly specOf?: (group: string) => GroupSpec | undefined;
  /** The workflows' code; left out, the one that workers run. */
  readonly bundle?: WorkflowBundleOption;
  /** Opens what was encrypted; left out: nothing was. */
  readonly codec?: CodecConfig | undefined;
}

export interface Replayed {
  readonly workflowId: string;
  readonly runId: string;
  readonly type: string;
  readonly events: number;
  /** Whether today's code gives the same commands in the same order, by the same ids. */
  readonly same: boolean;
  /** Where it would first do otherwise. */
  readonly words?: string;
  /** Each election of a past incident, decided again: replay compares ids, not what was decided from. */
  readonly elections: readonly Redecision[];
  /** An incident without a result: not over, or ended without a report. */
  readonly open: boolean;
}

/**
 * Runs recorded histories against today's workflow code, and decides each incident's elections again.
 *
 * One that has not begun to run is left out. The code must be loaded from a compiled tree, or given as `bundle`.
 */
export async function* replayHistories({ histories, specOf, bundle, codec }: ReplayInput): AsyncGenerator<Replayed> {
  const { Worker } = await import('@temporalio/worker');
  const workflowBundle = bundle ?? (await (await import('../runtime/workflow-bundle.ts')).workflowBundle(encrypts(codec)));
  const converter = dataConverterOf(codec);
  let current: RecordedHistory | undefined;
  async function* remembering(): AsyncGenerator<RecordedHistory> {
    for await (const recorded of histories) {
      if (!hasRun(recorded)) continue;
      current = recorded;
      yield recorded;
    }
  }
  // One at a time: each result is of the history that was taken last.
  for await (const { error } of Worker.runReplayHistories({ workflowBundle, dataConverter: workerConverter(codec) }, remembering())) {
    if (current !== undefined) yield judge(current, error, specOf, await incidentOf(current, converter));
  }
}

function judge(recorded: RecordedHistory, error: Error | undefined, specOf: ReplayInput['specOf'], incident: Incident | undefined): Replayed {
  const type = typeOf(recorded);
  return {
    workflowId: recorded.workflowId,
    runId: runIdOf(recorded),
    type,
    events: recorded.history.events?.length ?? 0,
    same: error === undefined,
    ...(error === undefined ? {} : { words: shorten(error.message) }),
    elections: incident === undefined ? [] : redecide(incident, specOf?.(incident.group)),
    open: incident === undefined && type !== 'failoverGroup',
  };
}

/** Whether today's code and rules would do as was done. */
export function agrees({ same, elections }: Replayed): boolean {
  return same && elections.every((election) => election.same);
}

/** The SDK's core wraps its sentence into the words of its own structures. */
function shorten(message: string): string {
  return /\[TMPRL\d+\] (.*?)", source/.exec(message)?.[1] ?? message;
}
