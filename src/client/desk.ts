import { randomUUID } from 'node:crypto';
import type { WorkflowClient } from '@temporalio/client';
import type { GroupSpec } from '../model/group.ts';
import type { Incident } from '../model/incident.ts';
import { groupWorkflowId } from '../model/name.ts';
import type { GroupStatus } from '../model/status.ts';
import type { Connected } from '../runtime/connection.ts';
import { explainTemporal } from './explain.ts';
import { OperatorError } from './operator-error.ts';

const GROUP_PREFIX = groupWorkflowId('');

/**
 * Where an operator stands: asks groups and incidents, and gives them words. Every call has a limit, and every error says what is so.
 */
export class Desk {
  readonly connected: Connected;
  readonly #timeoutMs: number;
  /** Groups that the configuration names, for the words of an error. */
  readonly #configured: readonly string[];

  constructor(connected: Connected, timeoutMs: number, configured: readonly string[] = []) {
    this.connected = connected;
    this.#timeoutMs = timeoutMs;
    this.#configured = configured;
  }

  get workflows(): WorkflowClient {
    return this.connected.client.workflow;
  }

  status(group: string): Promise<GroupStatus> {
    return this.#ofGroup(group, () => this.workflows.getHandle(groupWorkflowId(group)).query<GroupStatus>('status'));
  }

  spec(group: string): Promise<GroupSpec> {
    return this.#ofGroup(group, () => this.workflows.getHandle(groupWorkflowId(group)).query<GroupSpec>('spec'));
  }

  /** Gives a group a word as an Update; the answer is the workflow's. Sent twice under one id, it counts once. */
  tell<Answer>(group: string, word: string, ask: object): Promise<Answer> {
    return this.#ofGroup(group, () =>
      this.workflows.getHandle(groupWorkflowId(group)).executeUpdate<Answer, [object]>(word, { args: [ask], updateId: randomUUID() }),
    );
  }

  tellIncident(id: string, word: 'approve' | 'decline', ask: object): Promise<string> {
    return this.call(id, () => this.workflows.getHandle(id).executeUpdate<string, [object]>(word, { args: [ask], updateId: randomUUID() }));
  }

  /** The incident as it stands: the running workflow's answer, or the result of one that has ended. */
  async incident(id: string): Promise<Incident> {
    const handle = this.workflows.getHandle(id);
    const { status } = await this.call(id, () => handle.describe());
    if (status.name === 'COMPLETED') return this.call(id, () => handle.result() as Promise<Incident>);
    return this.call(id, () => handle.query<Incident>('incident'));
  }

  /** The groups that run, by Temporal's list, which may be some seconds behind. */
  async groups(): Promise<string[]> {
    return this.call('the list of groups', async () => {
      const names: string[] = [];
      for await (const { workflowId } of this.workflows.list({ query: "WorkflowType = 'failoverGroup' AND ExecutionStatus = 'Running'" })) {
        if (workflowId.startsWith(GROUP_PREFIX)) names.push(workflowId.slice(GROUP_PREFIX.length));
      }
      return names.sort();
    });
  }

  /**
   * Calls Temporal with a limit.
   *
   * @param asked what was asked for, in words, at the head of an error
   * @throws OperatorError for everything that can be foreseen
   */
  async call<T>(asked: string, work: () => Promise<T>, timeoutMs = this.#timeoutMs): Promise<T> {
    try {
      return await this.connected.connection.withDeadline(Date.now() + timeoutMs, work);
    } catch (error) {
      throw explainTemporal(error, asked, this.workflows) ?? error;
    }
  }

  async #ofGroup<T>(group: string, work: () => Promise<T>): Promise<T> {
    try {
      return await this.call(`group ${group}`, work);
    } catch (error) {
      if (error instanceof OperatorError && error.trouble.kind === 'missing') throw await this.#missing(group, error);
      throw error;
    }
  }

  async #missing(group: string, cause: OperatorError): Promise<OperatorError> {
    const running = await this.groups();
    const why =
      running.length === 0 ? `no group runs in namespace ${this.connected.namespace} of ${this.connected.address}` : `these run: ${running.join(', ')}`;
    const next = this.#configured.includes(group)
      ? 'understudy apply starts it: the configuration names it'
      : running.length === 0
        ? 'understudy apply'
        : `understudy status ${running[0]}`;
    return new OperatorError({ kind: 'missing' }, `there is no group ${group}`, { why, next, cause });
  }
}
