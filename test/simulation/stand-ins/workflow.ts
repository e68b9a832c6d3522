import { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure, TimeoutFailure } from '@temporalio/common';
import { activeRun } from '../workflow-run.ts';
import type { ActivityOptions, Scope } from '../workflow-types.ts';

/**
 * Stands in for Temporal's workflow package, so that the real workflow code runs in the simulated world: the same words, the same order of
 * jobs, timers and conditions. Its scopes know the scope of the moment only up to the first await, which is how far the code here relies on it.
 */
export { ActivityFailure, ApplicationFailure, CancelledFailure, ChildWorkflowFailure, TimeoutFailure };

export const ActivityCancellationType = {
  TRY_CANCEL: 'TRY_CANCEL',
  WAIT_CANCELLATION_COMPLETED: 'WAIT_CANCELLATION_COMPLETED',
  ABANDON: 'ABANDON',
} as const;
export const ParentClosePolicy = { ABANDON: 'ABANDON' } as const;

/** Thrown where a run ends in order to begin anew. */
export class ContinueAsNew extends Error {
  readonly args: readonly unknown[];
  constructor(args: readonly unknown[]) {
    super('continue as new');
    this.args = args;
  }
}

export function isCancellation(error: unknown): boolean {
  if (error instanceof CancelledFailure) return true;
  return (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) && isCancellation(error.cause);
}

export class CancellationScope implements Scope {
  cancelled = false;
  readonly cancellable: boolean;
  readonly listeners = new Set<() => void>();

  constructor(options: { cancellable?: boolean } = {}) {
    this.cancellable = options.cancellable ?? true;
  }

  static current(): Scope & { consideredCancelled: boolean } {
    const scope = activeRun().currentScope;
    return Object.assign(Object.create(scope) as Scope, { consideredCancelled: scope.cancelled && scope.cancellable });
  }

  static nonCancellable<T>(act: () => Promise<T>): Promise<T> {
    return new CancellationScope({ cancellable: false }).run(act);
  }

  run<T>(act: () => Promise<T>): Promise<T> {
    const run = activeRun();
    const before = run.currentScope;
    run.currentScope = this;
    try {
      return act();
    } finally {
      run.currentScope = before;
    }
  }

  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    for (const listener of this.listeners) listener();
    this.listeners.clear();
  }
}

export function condition(holds: () => boolean, timeoutMs?: number): Promise<boolean> {
  const run = activeRun();
  if (holds()) return Promise.resolve(true);
  const seq = run.nextSeq();
  return new Promise((resolve) => {
    const timer =
      timeoutMs === undefined
        ? undefined
        : run.timer(timeoutMs, () => {
            run.conditions.delete(seq);
            resolve(false);
          });
    run.conditions.set(seq, {
      holds,
      resolve: (value) => {
        timer?.cancel();
        resolve(value);
      },
    });
  });
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void activeRun().timer(ms, resolve));
}

export function workflowInfo() {
  const { id, historyLength, suggested } = activeRun();
  return { workflowId: id, namespace: 'default', historyLength, continueAsNewSuggested: suggested, taskQueue: 'understudy' };
}

export function proxyActivities<T extends object>(options: ActivityOptions): T {
  return new Proxy({} as T, {
    get:
      (_target, type) =>
      (...args: unknown[]) => {
        const run = activeRun();
        const scope = run.currentScope;
        return new Promise((resolve, reject) => {
          const end = (): void => void scope.listeners.delete(listener);
          const scheduled = run.activity(String(type), args, options, {
            resolve: (value) => (end(), resolve(value)),
            reject: (error) => (end(), reject(error as Error)),
          });
          const listener = (): void => scheduled.cancel();
          if (scope.cancelled && scope.cancellable) scheduled.cancel();
          else scope.listeners.add(listener);
        });
      },
  });
}

interface Definition {
  readonly kind: 'signal' | 'update' | 'query';
  readonly name: string;
}

export const defineSignal = (name: string): Definition => ({ kind: 'signal', name });
export const defineUpdate = (name: string): Definition => ({ kind: 'update', name });
export const defineQuery = (name: string): Definition => ({ kind: 'query', name });

export function setHandler(definition: Definition, run: (...args: never[]) => unknown, options?: { validator?: (...args: never[]) => void }): void {
  activeRun().handle(definition.kind, definition.name, { run, validator: options?.validator });
}

export const allHandlersFinished = (): boolean => activeRun().handlersRunning === 0;

export function continueAsNew(...args: unknown[]): Promise<never> {
  return Promise.reject(new ContinueAsNew(args));
}

export async function startChild(
  workflow: (...args: never[]) => unknown,
  options: { workflowId: string; args: readonly unknown[] },
): Promise<{ result(): Promise<unknown> }> {
  const run = activeRun();
  let result: Promise<unknown> = Promise.resolve();
  await new Promise<void>((started, refused) => {
    result = new Promise((resolve, reject) => run.child(workflow, options, { resolve: started, reject: refused }, { resolve, reject }));
    // Whoever asks for it hears it; a child that was never started has none.
    result.catch(() => undefined);
  });
  return { result: () => result };
}

export function getExternalWorkflowHandle(workflowId: string) {
  const run = activeRun();
  return {
    signal: (definition: Definition, ...args: unknown[]) =>
      new Promise<void>((resolve, reject) => run.signalOther(workflowId, definition.name, args, { resolve, reject })),
  };
}

export const patched = (): boolean => true;
export function setCurrentDetails(): void {}
export function upsertSearchAttributes(): void {}

const tell = (words: string, fields?: unknown): void => activeRun().note(fields === undefined ? words : `${words} ${JSON.stringify(fields)}`);
export const log = { info: tell, warn: tell, error: tell, debug: (): void => {} };
