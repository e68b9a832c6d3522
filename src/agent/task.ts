import type { Connection } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, type LoadedDataConverter } from '@temporalio/common';
import { decodeArrayFromPayloads, encodeErrorToFailure, encodeToPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { UnderstudyError } from '../model/error.ts';
import { bootTimeMs } from '../runtime/clock.ts';
import { dataConverterOf } from '../runtime/codec.ts';
import { failureOf } from '../runtime/failure.ts';
import { Reach } from './reach.ts';

/** The activity task in hand: everything that an act needs to know of the one who asked. */
export interface Task {
  readonly token: Uint8Array;
  readonly type: string;
  readonly activityId: string;
  readonly workflowId: string;
  readonly runId: string;
  readonly heartbeatTimeoutMs: number;
  readonly input: unknown;
}

/** What the server says to a heartbeat. The first four are acknowledgements: the server has counted it (protocol 1.2). */
export type Beat = 'ok' | 'cancel-requested' | 'paused' | 'reset' | 'gone' | 'unanswered';

/** gRPC's own words for "the token is not known" (protocol 1.6). */
const NOT_FOUND = 5;
const POLL_LIMIT_MS = 70_000;

/**
 * One member's task queue, polled without an SDK worker: an agent must hold its heartbeats in its own hands, and a raw client is lighter,
 * starts faster and carries no native code.
 *
 * @see docs/decisions/0003-agent-without-sdk-worker.md
 */
export class TaskQueue {
  readonly #connection: Connection;
  readonly #namespace: string;
  readonly #queue: string;
  readonly #identity: string;
  readonly reach = new Reach(bootTimeMs());
  readonly #converter: LoadedDataConverter;

  constructor(connection: Connection, namespace: string, queue: string, identity: string, converter = dataConverterOf(undefined)) {
    this.#converter = converter;
    this.#connection = connection;
    this.#namespace = namespace;
    this.#queue = queue;
    this.#identity = identity;
  }

  /** The next task, or undefined where none came in the poll's time. Throws what gRPC throws where the server cannot be reached. */
  async poll(signal: AbortSignal): Promise<Task | undefined> {
    // Temporal's client never takes its listener off a signal again: each poll gets one of its own.
    const own = new AbortController();
    const stop = (): void => own.abort();
    signal.addEventListener('abort', stop, { once: true });
    const answer = await this.#connection
      .withAbortSignal(own.signal, () =>
        this.#connection.withDeadline(Date.now() + POLL_LIMIT_MS, () =>
          this.#connection.workflowService.pollActivityTaskQueue({
            namespace: this.#namespace,
            taskQueue: { name: this.#queue },
            identity: this.#identity,
          }),
        ),
      )
      .finally(() => signal.removeEventListener('abort', stop))
      .catch((error: unknown) => {
        if (!signal.aborted) this.#failed(error);
        throw error;
      });
    this.reach.answered(bootTimeMs());
    if (answer.taskToken.length === 0) return undefined;
    let input: unknown;
    try {
      [input] = await decodeArrayFromPayloads(this.#converter, answer.input?.payloads);
    } catch (error) {
      // Not readable by us: whoever asked hears so, and the next task is none the worse for it.
      await this.fail(answer.taskToken, error);
      return undefined;
    }
    const timeout = answer.heartbeatTimeout;
    return {
      token: answer.taskToken,
      type: answer.activityType?.name ?? '',
      activityId: answer.activityId,
      workflowId: answer.workflowExecution?.workflowId ?? '',
      runId: answer.workflowExecution?.runId ?? '',
      heartbeatTimeoutMs: Number(timeout?.seconds ?? 0) * 1000 + (timeout?.nanos ?? 0) / 1e6,
      input,
    };
  }

  /** One acknowledged send. It never throws: whatever is no clear word of the server is `unanswered` and changes nothing. */
  async beat(token: Uint8Array, details: unknown, limitMs: number): Promise<Beat> {
    try {
      const payloads = await encodeToPayloads(this.#converter, details);
      const answer = await this.#connection.withDeadline(Date.now() + limitMs, () =>
        this.#connection.workflowService.recordActivityTaskHeartbeat({
          namespace: this.#namespace,
          identity: this.#identity,
          taskToken: token,
          details: { payloads: payloads ?? [] },
        }),
      );
      this.reach.answered(bootTimeMs());
      if (answer.activityPaused) return 'paused';
      if (answer.cancelRequested) return 'cancel-requested';
      return answer.activityReset ? 'reset' : 'ok';
    } catch (error) {
      this.#failed(error);
      return codeOf(error) === NOT_FOUND ? 'gone' : 'unanswered';
    }
  }

  /** "Not found" is an answer, too. */
  #failed(error: unknown): void {
    if (isTransient(error)) this.reach.failed();
    else this.reach.answered(bootTimeMs());
  }

  /** @returns false where the server does not know the token any more: nobody waits for this answer */
  async complete(token: Uint8Array, result: unknown): Promise<boolean> {
    const payloads = await encodeToPayloads(this.#converter, result);
    return this.#answer(() =>
      this.#connection.workflowService.respondActivityTaskCompleted({
        namespace: this.#namespace,
        identity: this.#identity,
        taskToken: token,
        result: { payloads: payloads ?? [] },
      }),
    );
  }

  async fail(token: Uint8Array, error: unknown): Promise<boolean> {
    const failure = await encodeErrorToFailure(this.#converter, toFailure(error));
    return this.#answer(() =>
      this.#connection.workflowService.respondActivityTaskFailed({ namespace: this.#namespace, identity: this.#identity, taskToken: token, failure }),
    );
  }

  /** Repeats until the server has heard it or says that it does not know the token. */
  async #answer(send: () => Promise<unknown>): Promise<boolean> {
    for (;;) {
      try {
        await this.#connection.withDeadline(Date.now() + 2000, send);
        return true;
      } catch (error) {
        if (codeOf(error) === NOT_FOUND) return false;
        if (!isTransient(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }
}

/** Makes our errors Temporal's: the code becomes the failure's type, which workflows match on. */
export function toFailure(error: unknown): Error {
  if (error instanceof UnderstudyError) return failureOf(error);
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  return ApplicationFailure.create({
    message: error instanceof Error ? error.message : String(error),
    type: 'Unexpected',
    ...(error instanceof Error ? { cause: error } : {}),
  });
}

function codeOf(error: unknown): number | undefined {
  const code = error !== null && typeof error === 'object' && 'code' in error ? error.code : undefined;
  return typeof code === 'number' ? code : undefined;
}

/**
 * Deadline exceeded, unavailable, exhausted, aborted, internal: the same words again may go through. So may a refusal of who we are, while a key or a
 * certificate is being replaced: an agent that gave up over it could renew no lease.
 */
export function isTransient(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && [1, 4, 7, 8, 10, 13, 14, 16].includes(code);
}
