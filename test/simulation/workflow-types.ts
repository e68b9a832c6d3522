/** What a scheduled activity, a timer or a child is to its run: where its end is told. */
export interface Ends<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

export interface ActivityOptions {
  readonly activityId: string;
  readonly taskQueue: string;
  readonly heartbeatTimeout?: number | string;
  readonly startToCloseTimeout?: number | string;
  readonly scheduleToStartTimeout?: number | string;
  readonly cancellationType: string;
  readonly retry?: { readonly maximumAttempts?: number };
}

export interface Handlers {
  readonly run: (...args: never[]) => unknown;
  readonly validator: ((...args: never[]) => void) | undefined;
}

/** What the workflow package's stand-in needs of a run. */
export interface WorkflowRun {
  readonly id: string;
  readonly scope: Scope;
  currentScope: Scope;
  historyLength: number;
  suggested: boolean;
  readonly conditions: Map<number, { readonly holds: () => boolean; readonly resolve: (value: boolean) => void }>;
  nextSeq(): number;
  handle(kind: 'signal' | 'update' | 'query', name: string, handlers: Handlers): void;
  readonly handlersRunning: number;
  timer(ms: number, ends: () => void): { cancel(): void };
  activity(type: string, args: readonly unknown[], options: ActivityOptions, ends: Ends<unknown>): { cancel(): void };
  child(workflow: (...args: never[]) => unknown, options: { workflowId: string; args: readonly unknown[] }, started: Ends<void>, ended: Ends<unknown>): void;
  signalOther(workflowId: string, name: string, args: readonly unknown[], ends: Ends<void>): void;
  note(words: string): void;
}

export interface Scope {
  cancelled: boolean;
  readonly cancellable: boolean;
  readonly listeners: Set<() => void>;
}
