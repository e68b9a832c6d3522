import { readFile } from 'node:fs/promises';
import type { LoadedDataConverter } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { type History, historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import type { Incident } from '../model/incident.ts';

/** One workflow's past, as it was recorded. */
export interface RecordedHistory {
  readonly workflowId: string;
  readonly history: History;
}

/**
 * A history from a file: what `temporal workflow show -o json`, the UI's download or historyToJSON wrote.
 *
 * @throws SyntaxError where the file is no JSON, TypeError where it is no history
 */
export async function readHistory(file: string): Promise<RecordedHistory> {
  const raw = JSON.parse(await readFile(file, 'utf8')) as { events?: unknown };
  if (!Array.isArray(raw.events) || raw.events.length === 0) throw new TypeError('it has no list of events');
  const history = historyFromJSON(raw);
  const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
  if (started === undefined || started === null) throw new TypeError('its first event does not start a workflow');
  return { workflowId: started.workflowId || file, history };
}

/** The workflow's type, as it was started. */
export function typeOf({ history }: RecordedHistory): string {
  return history.events?.[0]?.workflowExecutionStartedEventAttributes?.workflowType?.name ?? 'unknown';
}

/** The incident that a failover or a switchover left as its result; undefined where it is not over, or is none. */
export async function incidentOf(recorded: RecordedHistory, converter: LoadedDataConverter): Promise<Incident | undefined> {
  const type = typeOf(recorded);
  if (type !== 'failover' && type !== 'switchover') return undefined;
  const payloads = recorded.history.events?.at(-1)?.workflowExecutionCompletedEventAttributes?.result?.payloads;
  const [incident] = await decodeArrayFromPayloads(converter, payloads);
  return incident as Incident | undefined;
}

/** Whether its code has run at all: before its first task there is nothing to replay. */
export function hasRun({ history }: RecordedHistory): boolean {
  return (history.events ?? []).some(({ workflowTaskCompletedEventAttributes: task }) => task !== undefined && task !== null);
}

export function runIdOf({ history }: RecordedHistory): string {
  return history.events?.[0]?.workflowExecutionStartedEventAttributes?.originalExecutionRunId ?? '';
}
