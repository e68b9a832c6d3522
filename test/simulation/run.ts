import { ChildWorkflowFailure, TerminatedFailure, WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/common';
import { CONTROL_QUEUE } from '../../src/model/name.ts';
import type { Activity, Server } from './server.ts';
import { ContinueAsNew } from './stand-ins/workflow.ts';
import { activate } from './workflow-run.ts';
import type { ActivityOptions, Ends, Handlers, Scope, WorkflowRun } from './workflow-types.ts';

const drain = (process as unknown as { _tickCallback: () => void })._tickCallback;

interface Job {
  readonly signal: boolean;
  readonly act: () => void;
}

/** As it crosses the wire. */
export function copied<T>(value: T): T {
  return value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T);
}

/** What an update hears that no handler took. */
export const UNHEARD = 'nobody hears it';

/**
 * One run of one workflow. A task takes what has come since the last one, signals first, lets the code run as far as it goes, and hands over what it ordered. A worker
 * that dies in the middle of a task makes it late: whoever begins it again sees the same, since the code is deterministic.
 */
export class Run implements WorkflowRun {
  readonly id: string;
  readonly parent: { readonly run: Run; readonly ended: Ends<unknown> } | undefined;
  readonly scope: Scope = { cancelled: false, cancellable: true, listeners: new Set() };
  currentScope: Scope = this.scope;
  /** Three at its first task, as at a server: a reset has left more there. */
  historyLength = -1;
  suggested = false;
  readonly conditions: WorkflowRun['conditions'] = new Map();
  handlersRunning = 0;
  closed: 'completed' | 'continued' | 'failed' | 'terminated' | undefined;
  readonly activities = new Set<Activity>();
  readonly args: readonly unknown[];
  readonly #server: Server;
  readonly #workflow: (...args: never[]) => unknown;
  readonly #handlers = new Map<string, Handlers>();
  #unheard: { readonly name: string; readonly args: readonly unknown[] }[] = [];
  #jobs: Job[] = [];
  #commands: (() => void)[] = [];
  #planned = false;
  #seq = 0;
  /** What its code has thrown: a task that fails is tried for ever. */
  broken: unknown;

  constructor(server: Server, id: string, workflow: (...args: never[]) => unknown, args: readonly unknown[], parent: Run['parent']) {
    this.#server = server;
    this.id = id;
    this.#workflow = workflow;
    this.args = copied(args);
    this.parent = parent;
  }

  begin(): void {
    this.addJob(() => {
      const args = copied(this.args) as never[];
      void Promise.resolve(this.#workflow(...args)).then(
        (result) => this.close('completed', copied(result)),
        (error: unknown) => {
          if (error instanceof ContinueAsNew) this.#goOn(error.args);
          else this.close('failed', error);
        },
      );
    });
  }

  #goOn(args: readonly unknown[]): void {
    // What came beside the last of its tasks is the next run's to hear.
    const unheard = this.#jobs.filter(({ signal }) => signal);
    this.#server.note(() => `${this.id} continues as new`);
    this.close('continued', undefined);
    const next = this.#server.startWorkflow(this.id, this.#workflow, args, this.parent);
    if (next !== undefined) next.#jobs.push(...unheard.map(({ act }) => ({ signal: true, act: () => next.#adopt(act) })));
  }

  #adopt(act: () => void): void {
    act();
  }

  close(how: NonNullable<Run['closed']>, result: unknown): void {
    if (this.closed !== undefined) return;
    this.closed = how;
    this.#server.forget(this);
    this.#server.onClosed(this, result);
    const { parent } = this;
    if (parent === undefined || how === 'continued') return;
    const words = `${this.id} has ${how}`;
    parent.run.addJob(() => {
      if (how === 'completed') parent.ended.resolve(result);
      else
        parent.ended.reject(
          new ChildWorkflowFailure('default', { workflowId: this.id, runId: '' }, this.id, 'NON_RETRYABLE_FAILURE', new TerminatedFailure(words)),
        );
    });
  }

  // ---- what comes in ----

  addJob(act: () => void): void {
    this.#add({ signal: false, act });
  }

  addSignal(name: string, args: readonly unknown[]): void {
    const heard = copied(args);
    const { runs } = this.#server;
    // Whichever run takes it up.
    this.#add({ signal: true, act: () => (runs.get(this.id) ?? this).#hear(name, heard) });
  }

  /** An update: refused by its validator without a trace, else its answer. */
  addUpdate(name: string, args: readonly unknown[], tell: (words: string) => void): void {
    const heard = copied(args) as never[];
    this.#add({
      signal: true,
      act: () => {
        const handlers = (this.#server.runs.get(this.id) ?? this).#handlers.get(`update ${name}`);
        if (handlers === undefined) return tell(UNHEARD);
        try {
          handlers.validator?.(...heard);
        } catch (error) {
          return tell(`refused: ${(error as Error).message}`);
        }
        tell(JSON.stringify(handlers.run(...heard)));
      },
    });
  }

  query<T>(name: string): T | undefined {
    const handlers = this.#handlers.get(`query ${name}`);
    let answer: T | undefined;
    if (handlers !== undefined) activate(this, () => (answer = handlers.run() as T));
    return answer;
  }

  #hear(name: string, args: readonly unknown[]): void {
    const handlers = this.#handlers.get(`signal ${name}`);
    if (handlers === undefined) this.#unheard.push({ name, args });
    else handlers.run(...(args as never[]));
  }

  #add(job: Job): void {
    if (this.closed !== undefined) return;
    this.historyLength += 1;
    this.#jobs.push(job);
    this.#plan();
  }

  #plan(): void {
    if (this.#planned || this.closed !== undefined) return;
    this.#planned = true;
    const { engine, workersFromMs } = this.#server;
    this.#server.later(Math.max(engine.random.between(1, 8), workersFromMs - engine.nowMs), () => {
      this.#planned = false;
      if (this.closed !== undefined || this.#jobs.length === 0) return;
      if (engine.nowMs < this.#server.workersFromMs) this.#plan();
      else this.#task();
    });
  }

  #task(): void {
    this.historyLength += 3;
    const jobs = this.#jobs;
    this.#jobs = [];
    activate(this, () => {
      for (const signal of [true, false]) {
        const some = jobs.filter((job) => job.signal === signal);
        if (some.length === 0) continue;
        for (const { act } of some) act();
        drain();
        while (this.#unblock()) drain();
      }
    });
    const commands = this.#commands;
    this.#commands = [];
    if (commands.length === 0 || this.closed !== undefined) return;
    this.#server.later(this.#server.engine.random.between(1, 6), () => {
      if (this.closed === undefined) for (const command of commands) command();
    });
  }

  #unblock(): boolean {
    for (const [seq, { holds, resolve }] of this.conditions) {
      if (!holds()) continue;
      this.conditions.delete(seq);
      resolve(true);
      return true;
    }
    return false;
  }

  // ---- what the code orders ----

  nextSeq(): number {
    return (this.#seq += 1);
  }

  handle(kind: 'signal' | 'update' | 'query', name: string, handlers: Handlers): void {
    this.#handlers.set(`${kind} ${name}`, handlers);
    if (kind !== 'signal') return;
    const waiting = this.#unheard.filter((one) => one.name === name);
    this.#unheard = this.#unheard.filter((one) => one.name !== name);
    for (const { args } of waiting) handlers.run(...(args as never[]));
  }

  timer(ms: number, ends: () => void): { cancel(): void } {
    let cancelled = false;
    this.#commands.push(() => {
      if (!cancelled) this.#server.later(ms, () => cancelled || this.addJob(() => cancelled || ends()));
    });
    return {
      cancel: () => {
        cancelled = true;
      },
    };
  }

  activity(type: string, args: readonly unknown[], options: ActivityOptions, ends: Ends<unknown>): { cancel(): void } {
    let activity: Activity | undefined;
    let cancelled = false;
    const input: unknown = copied(args[0]);
    this.#commands.push(() => {
      activity = this.#server.schedule(this, type, input, options, { resolve: (value) => ends.resolve(copied(value)), reject: (error) => ends.reject(error) });
      if (cancelled) this.#server.requestCancel(activity);
    });
    return {
      cancel: () => {
        cancelled = true;
        this.#commands.push(() => {
          if (activity !== undefined) this.#server.requestCancel(activity);
        });
      },
    };
  }

  child(workflow: (...args: never[]) => unknown, options: { workflowId: string; args: readonly unknown[] }, started: Ends<void>, ended: Ends<unknown>): void {
    this.#commands.push(() => {
      const run = this.#server.startWorkflow(options.workflowId, workflow, options.args, { run: this, ended });
      this.addJob(() => {
        if (run !== undefined) started.resolve();
        else started.reject(new WorkflowExecutionAlreadyStartedError('started already', options.workflowId, CONTROL_QUEUE));
      });
    });
  }

  signalOther(workflowId: string, name: string, args: readonly unknown[], ends: Ends<void>): void {
    this.#commands.push(() => {
      const heard = this.#server.signal(workflowId, name, args);
      this.addJob(() => (heard ? ends.resolve() : ends.reject(new WorkflowNotFoundError('not found', workflowId, undefined))));
    });
  }

  note(words: string): void {
    this.#server.note(() => `${this.id}: ${words}`);
  }
}
