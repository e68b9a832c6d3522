import { WorkflowFailedError } from '@temporalio/client';
import type { Incident, Step } from '../model/incident.ts';
import { explainRoll } from '../decide/roll.ts';
import type { Roll } from '../model/status.ts';
import type { Desk } from './desk.ts';
import { OperatorError, isUnseen } from './operator-error.ts';

export interface Followed {
  readonly desk: Desk;
  readonly id: string;
  /** Aborted where the person has seen enough: the incident goes on. */
  readonly signal: AbortSignal;
  /** Each step once, as it ends. */
  readonly onStep: (step: Step, incident: Incident) => void;
  readonly onNote: (words: string) => void;
}

const LOOK_EVERY_MS = 150;
/** Unanswered for so long, it is given up: how the incident goes is then not known. */
const UNSEEN_LIMIT_MS = 60_000;
/** An incident's workflow is there a moment after its group has named it. */
const BEGIN_LIMIT_MS = 10_000;

/**
 * Follows an incident to its end, step by step.
 *
 * @throws OperatorError: `unseen` after a minute without an answer, `failed` where the workflow ended without a report
 */
export async function followIncident(followed: Followed): Promise<Incident> {
  const { desk, id, signal } = followed;
  const told = new Set<string>();
  const tell = (incident: Incident): void => {
    incident.steps.forEach((step, index) => {
      if (step.outcome === 'running' || told.has(`${index}`)) return;
      told.add(`${index}`);
      followed.onStep(step, incident);
    });
  };
  const begunMs = performance.now();
  let answeredMs = begunMs;
  let noted = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      const incident = await look(desk, id);
      tell(incident);
      if (incident.outcome.outcome !== 'running') return incident;
      [answeredMs, noted] = [performance.now(), false];
    } catch (error) {
      const missing = error instanceof OperatorError && error.trouble.kind === 'missing' && performance.now() - begunMs < BEGIN_LIMIT_MS;
      if (!missing && !isUnseen(error)) throw error;
      if (performance.now() - answeredMs > UNSEEN_LIMIT_MS) throw error;
      if (!missing && !noted) followed.onNote(`${(error as Error).message}; the incident goes on without being seen from here, and is asked again`);
      noted ||= !missing;
    }
    await pause(LOOK_EVERY_MS, signal);
  }
}

/** Its answer; a workflow that has ended is asked for its result, since one that was terminated would answer `running` for ever. */
async function look(desk: Desk, id: string): Promise<Incident> {
  const handle = desk.workflows.getHandle(id);
  const { status } = await desk.call(id, () => handle.describe());
  if (status.name === 'RUNNING') return desk.call(id, () => handle.query<Incident>('incident'));
  try {
    return await desk.call(id, () => handle.result() as Promise<Incident>);
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    throw new OperatorError({ kind: 'failed' }, `${id} ended without a report (${status.name.toLowerCase()})`, {
      why: error.cause?.message ?? error.message,
      next: `understudy report ${id}`,
      cause: error,
    });
  }
}

/** The group fences the old primary first, and names the incident then: waits for one that was not there before. */
export async function awaitIncident(desk: Desk, group: string, before: ReadonlySet<string>, signal: AbortSignal): Promise<string> {
  let answeredMs = performance.now();
  for (;;) {
    signal.throwIfAborted();
    try {
      const { incidents } = await desk.status(group);
      const fresh = incidents.find(({ id }) => !before.has(id));
      if (fresh !== undefined) return fresh.id;
      answeredMs = performance.now();
    } catch (error) {
      if (!isUnseen(error) || performance.now() - answeredMs > UNSEEN_LIMIT_MS) throw error;
    }
    await pause(LOOK_EVERY_MS, signal);
  }
}

/** Follows a rolling restart to its end, telling each change once. @throws OperatorError after a minute without an answer */
export async function followRoll(followed: {
  readonly desk: Desk;
  readonly group: string;
  readonly id: string;
  readonly signal: AbortSignal;
  readonly onChange: (words: string) => void;
}): Promise<Roll> {
  const { desk, group, id, signal } = followed;
  let answeredMs = performance.now();
  let told = '';
  for (;;) {
    signal.throwIfAborted();
    try {
      const { roll } = await desk.status(group);
      if (roll?.id !== id) throw new OperatorError({ kind: 'failed' }, `${group} knows nothing of ${id} any more`, { next: `understudy status ${group}` });
      answeredMs = performance.now();
      const last = roll.done.at(-1);
      const words = `${last === undefined ? '' : `${last.member} ${last.words}; `}${explainRoll(roll)}`;
      if (roll.ended !== undefined) return roll;
      if (words !== told) followed.onChange(words);
      told = words;
    } catch (error) {
      if (!isUnseen(error) || performance.now() - answeredMs > UNSEEN_LIMIT_MS) throw error;
    }
    await pause(LOOK_EVERY_MS, signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
