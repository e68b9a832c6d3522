import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { expect } from 'vitest';
import { TaskQueue, type Task } from '../../src/agent/task.ts';
import type { MemberNews, Published, PublishAsk } from '../../src/model/act.ts';
import type { GroupSpec } from '../../src/model/group.ts';
import type { Incident } from '../../src/model/incident.ts';
import { CONTROL_QUEUE, failoverWorkflowId, groupWorkflowId, switchoverWorkflowId } from '../../src/model/name.ts';
import type { GroupStatus } from '../../src/model/status.ts';
import { member as memberSpec, policy } from '../decide/world.ts';
import { FakeMember } from './fake-member.ts';
import type { Stage } from './workflow-stage.ts';

const LEASE_MS = 2000;
const LOOK_MS = 25;
const WAIT_LIMIT_MS = 30_000;
export const SIGNED = { by: 'ada', reason: 'to see what happens' } as const;

export interface Noted {
  readonly atMs: number;
  readonly member: string;
  readonly act: string;
  readonly id: string;
  readonly ask: unknown;
}

export function spec(): GroupSpec {
  return {
    name: '',
    database: 'postgres',
    leaseMs: LEASE_MS,
    members: [memberSpec('pg-a', { port: 1, priority: 3 }), memberSpec('pg-b', { port: 2, priority: 2 }), memberSpec('pg-c', { port: 3, priority: 1 })],
    durability: { mode: 'sync', confirm: 1 },
    policy: { ...policy, minIntervalMs: 0, maxPerDay: 100, answerWithinMs: 1000, restartWithinMs: 4000, stopWithinMs: 1000 },
    records: [],
  };
}

/** One group: its workflow, its members, and all that they were asked. */
export class World {
  readonly spec: GroupSpec;
  readonly members: ReadonlyMap<string, FakeMember>;
  readonly journal: Noted[] = [];
  /** I1: moments at which two members took writes. */
  readonly violations: string[] = [];
  readonly published: PublishAsk[] = [];
  /** What the fake provider answers. */
  publish: (ask: PublishAsk) => Published = (ask) => {
    this.published.push(ask);
    return { outcome: 'applied', words: 'written and read back', publishedAtMs: Date.now(), verifiedAtMs: Date.now() };
  };
  closed = false;
  readonly #stage: Stage;
  readonly #errors: unknown[] = [];
  #looking = false;
  /** Members cut off from one another: no stream between them. */
  readonly cut = new Set<string>();

  constructor(stage: Stage, of: GroupSpec) {
    this.#stage = stage;
    this.spec = of;
    this.members = new Map(of.members.map(({ name }) => [name, new FakeMember(this, name)]));
  }

  get group(): string {
    return this.spec.name;
  }

  get handle(): WorkflowHandle {
    return this.#stage.client.workflow.getHandle(groupWorkflowId(this.group));
  }

  member(name: string): FakeMember {
    const found = this.members.get(name) ?? this.#added.get(name);
    if (found === undefined) throw new Error(`no member ${name}`);
    return found;
  }

  readonly #added = new Map<string, FakeMember>();
  /** A member that the configuration does not know yet. */
  add(name: string): FakeMember {
    const added = new FakeMember(this, name);
    this.#added.set(name, added);
    added.start();
    return added;
  }

  get #all(): FakeMember[] {
    return [...this.members.values(), ...this.#added.values()];
  }

  /** Starts agents and the workflow. */
  async start(options: { agents?: readonly string[]; input?: object } = {}): Promise<void> {
    for (const name of options.agents ?? this.members.keys()) this.member(name).start();
    await this.#stage.client.workflow.start('failoverGroup', {
      workflowId: groupWorkflowId(this.group),
      taskQueue: CONTROL_QUEUE,
      workflowTaskTimeout: '10s',
      args: [{ spec: this.spec, specHash: 'h', ...options.input }],
    });
  }

  /** The same, and waits until the first primary is open and everybody follows. */
  async steady(options: { agents?: readonly string[]; input?: object } = {}): Promise<World> {
    await this.start(options);
    const others = (options.agents ?? [...this.members.keys()]).filter((name) => name !== 'pg-a');
    await this.untilStatus(
      'pg-a is open and everybody follows',
      ({ primary, phase, electable, rule }) =>
        primary === 'pg-a' &&
        phase === 'steady' &&
        electable.length === others.length &&
        (this.spec.durability.mode === 'async' || rule.names.length === others.length),
    );
    return this;
  }

  async status(): Promise<GroupStatus> {
    return this.handle.query<GroupStatus>('status');
  }

  async untilStatus(what: string, holds: (status: GroupStatus) => boolean, limitMs = WAIT_LIMIT_MS): Promise<GroupStatus> {
    let last: GroupStatus | undefined;
    await this.until(
      what,
      async () => holds((last = await this.status())),
      limitMs,
      () => last,
    );
    if (last === undefined) throw new Error('no status');
    return last;
  }

  /** Until this member is the primary, and open. Its incident may still settle clients: nobody has to wait for that. */
  untilPrimary(name: string): Promise<GroupStatus> {
    return this.untilStatus(`${name} is the primary, and all is well`, ({ primary, phase }) => primary === name && phase === 'steady');
  }

  async until(what: string, holds: () => boolean | Promise<boolean>, limitMs = WAIT_LIMIT_MS, seen: () => unknown = () => undefined): Promise<void> {
    for (const begunMs = performance.now(); ;) {
      if (this.#errors.length > 0) throw new Error(`a fake member is broken while it is waited until ${what}`, { cause: this.#errors[0] });
      if (await holds()) return;
      if (performance.now() - begunMs > limitMs) {
        const tail = this.journal.slice(-40).map((one) => `${one.atMs % 100_000} ${one.member} ${one.id}`);
        throw new Error(`not within ${limitMs} ms: ${what}\n${JSON.stringify(seen() ?? (await this.status()), null, 1)}\n${tail.join('\n')}`);
      }
      await pause(LOOK_MS);
    }
  }

  ask<T = unknown>(word: string, ask: object = {}): Promise<T> {
    return this.handle.executeUpdate<T, [object]>(word, { args: [{ ...SIGNED, ...ask }] });
  }

  /** The report of an incident, once it is over. The group notes one a moment before its workflow exists. */
  async incident(id: string): Promise<Incident> {
    for (const begunMs = performance.now(); ;) {
      try {
        return (await this.#stage.client.workflow.getHandle(id).result()) as Incident;
      } catch (error) {
        if (!(error instanceof WorkflowNotFoundError) || performance.now() - begunMs > WAIT_LIMIT_MS) throw error;
        await pause(LOOK_MS);
      }
    }
  }

  failover(epoch: number): Promise<Incident> {
    return this.incident(failoverWorkflowId(this.group, epoch));
  }

  switchover(epoch: number): Promise<Incident> {
    return this.incident(switchoverWorkflowId(this.group, epoch));
  }

  history(id = groupWorkflowId(this.group)): Promise<History> {
    return this.#stage.client.workflow.getHandle(id).fetchHistory();
  }

  /** What stands in the group's history, besides the workers' own tasks. */
  async deeds(): Promise<string[]> {
    const kindOf = (event: object): string =>
      Object.entries(event).find(([key, value]) => key.endsWith('EventAttributes') && value !== null && value !== undefined)?.[0] ?? '';
    return ((await this.history()).events ?? []).map(kindOf).filter((kind) => !kind.startsWith('workflowTask'));
  }

  /** Until nothing more is done of what has begun. */
  async untilAtRest(): Promise<string[]> {
    let before: string[] = [];
    await this.until('the group is at rest', async () => {
      await pause(300);
      const now = await this.deeds();
      const rests = now.length === before.length;
      before = now;
      return rests;
    });
    return before;
  }

  /** As the button in Temporal's UI does it: the group begins anew from its first task, and what the run before began goes on. */
  async reset(): Promise<void> {
    const { runId } = await this.handle.describe();
    const { events } = await this.handle.fetchHistory();
    const first = events?.find(({ workflowTaskCompletedEventAttributes }) => workflowTaskCompletedEventAttributes != null)?.eventId;
    if (first == null) throw new Error('no task of the group was completed yet');
    await this.#stage.connection.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: groupWorkflowId(this.group), runId },
      reason: 'a test of what follows',
      workflowTaskFinishEventId: first,
      requestId: randomUUID(),
    });
  }

  async terminate(workflowId: string): Promise<void> {
    await this.#stage.client.workflow.getHandle(workflowId).terminate('a test of what follows');
  }

  /** As the button of the Temporal UI does. */
  async pauseActivity(id: string): Promise<void> {
    await this.#stage.connection.workflowService.pauseActivity({
      namespace: 'default',
      execution: { workflowId: groupWorkflowId(this.group) },
      identity: 'a person',
      id,
    });
  }

  // ---- what members call ----

  note(member: string, act: string, task: Task): void {
    this.journal.push({ atMs: Date.now(), member, act, id: task.activityId, ask: task.input });
  }

  /** The ids of what was asked, in the order in which members took it up. */
  asked(...acts: string[]): string[] {
    return this.journal.filter(({ act }) => acts.length === 0 || acts.includes(act)).map(({ id }) => id);
  }

  queueOf(name: string): TaskQueue {
    return new TaskQueue(this.#stage.connection, 'default', name, `fake ${name}`);
  }

  async signalNews(workflowId: string, word: MemberNews): Promise<void> {
    if (this.closed) return;
    await this.#stage.client.workflow
      .getHandle(workflowId)
      .signal('news', word)
      .catch((error: Error) => {
        if (!(error instanceof WorkflowNotFoundError) && !this.closed) this.broken(error);
      });
  }

  /** From whom this standby receives now. */
  fedBy(name: string): string | undefined {
    const { database } = this.member(name);
    const upstream = this.#all.find((one) => one.name === database.upstream);
    const feeding =
      database.running && database.standby && !database.detached && upstream?.database.writable === true && !this.cut.has(name) && !this.cut.has(upstream.name);
    return feeding ? upstream.name : undefined;
  }

  followersOf(name: string): FakeMember[] {
    return this.#all.filter((one) => this.fedBy(one.name) === name);
  }

  /** Something has changed: streams flow, and everybody says what is new. */
  look(): void {
    if (this.#looking || this.closed) return;
    this.#looking = true;
    for (const one of this.#all) {
      const from = this.fedBy(one.name);
      if (from !== undefined)
        Object.assign(one.database, { timeline: this.member(from).database.timeline, at: Math.max(one.database.at, this.member(from).database.at) });
    }
    this.#looking = false;
    for (const one of this.#all) one.look();
  }

  opened(opened: FakeMember): void {
    const both = this.#all.filter(({ database }) => database.writable);
    if (both.length > 1)
      this.violations.push(
        `${opened.name} opened at epoch ${opened.epoch} beside ${both
          .filter((one) => one !== opened)
          .map(({ name, epoch }) => `${name} (epoch ${epoch})`)
          .join(', ')}`,
      );
  }

  broken(error: unknown): void {
    this.#errors.push(error);
  }

  /** Judges at the end: I1 held, and no fake was out of its depth. */
  async close(): Promise<void> {
    await this.end();
    expect(this.#errors).toEqual([]);
    expect(this.violations).toEqual([]);
  }

  /** Ends everything that this group has begun. */
  async end(): Promise<void> {
    this.closed = true;
    for (const one of this.#all) one.close();
    const { workflow } = this.#stage.client;
    for await (const { workflowId, status } of workflow.list({
      query: `WorkflowId STARTS_WITH 'failover/${this.group}/' OR WorkflowId STARTS_WITH 'switchover/${this.group}/' OR WorkflowId = '${groupWorkflowId(this.group)}'`,
    })) {
      if (status.name !== 'RUNNING') continue;
      await workflow
        .getHandle(workflowId)
        .terminate('the test is over')
        .catch((error: unknown) => {
          // It ended by itself meanwhile.
          if (!(error instanceof WorkflowNotFoundError)) throw error;
        });
    }
  }
}
