import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common';
import { Machine, Proc, type Engine } from './engine.ts';
import { DEADLINE_EXCEEDED, NOT_FOUND, rpcError, UNAVAILABLE, type Network } from './network.ts';
import { Run } from './run.ts';
import type { ActivityOptions, Ends } from './workflow-types.ts';

export const SERVER = 'temporal';

export interface Activity {
  readonly token: string;
  readonly run: Run;
  readonly type: string;
  readonly queue: string;
  readonly id: string;
  readonly input: unknown;
  readonly ends: Ends<unknown>;
  readonly heartbeatMs: number;
  readonly startToCloseMs: number;
  readonly scheduleToStartMs: number;
  readonly waitsForCancellation: boolean;
  readonly scheduledMs: number;
  startedMs: number | undefined;
  beatMs: number;
  details: unknown;
  cancelRequested: boolean;
  paused: boolean;
  open: boolean;
}

interface Poller {
  readonly queue: string;
  readonly take: (activity: Activity) => void;
  over: boolean;
}

/**
 * The Temporal server: what it promises, and nothing more. Its state is durable; it may be away for any time; a timeout never comes early, and late by little; a
 * task is handed out once, to whoever polls, whether or not that one still lives; back from an outage it expires what is due before it hears anybody.
 */
export class Server {
  readonly engine: Engine;
  readonly network: Network;
  readonly machine: Machine;
  proc: Proc;
  readonly runs = new Map<string, Run>();
  /** The incidents whose promotion is through. */
  readonly promoted = new Set<string>();
  readonly #awaited = new Map<string, (activity: Activity) => void>();
  readonly #activities = new Map<string, Activity>();
  readonly #pending = new Map<string, Activity[]>();
  #pollers: Poller[] = [];
  #backlog: (() => void)[] = [];
  #tokens = 0;
  /** How late a timeout may be. */
  lateMs = 15;
  /** No worker takes a workflow's task before this. */
  workersFromMs = 0;
  /** What any worker can do. */
  controlActivity: (activity: Activity, ends: Ends<unknown>) => void = () => {};
  note: (words: () => string) => void = () => {};
  onScheduled: (activity: Activity) => void = () => {};
  onCompleted: (activity: Activity, result: unknown) => void = () => {};
  onClosed: (run: Run, result: unknown) => void = () => {};

  constructor(engine: Engine, network: Network) {
    this.engine = engine;
    this.network = network;
    this.machine = new Machine(SERVER, 0, 0);
    this.proc = new Proc(SERVER, this.machine, 0);
  }

  get formerIncidents(): { deciding: string[]; lately: boolean } {
    const incidents = [...this.runs.values()].filter(({ id }) => !id.startsWith('group/'));
    const decides = ({ id, closed }: Run): boolean => closed === undefined && !this.promoted.has(id);
    return { deciding: incidents.filter(decides).map(({ id }) => id), lately: incidents.some((run) => !decides(run)) };
  }

  /** Tells of the next activity of this kind as soon as it is ordered. */
  nextScheduled(type: string, tell: (activity: Activity) => void): void {
    this.#awaited.set(type, tell);
  }

  // ---- away and back ----

  kill(): void {
    this.engine.kill(this.proc);
    for (const poller of this.#pollers) poller.over = true;
    this.#pollers = [];
  }

  start(): void {
    if (this.proc.alive) return;
    this.proc = new Proc(SERVER, this.machine, this.engine.nowMs);
    this.#catchUp();
  }

  freeze(): void {
    this.engine.freeze(this.proc);
  }

  thaw(): void {
    this.engine.thaw(this.proc);
    this.#catchUp();
  }

  #catchUp(): void {
    if (this.proc.state !== 'running') return;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const act of backlog) act();
  }

  /** Now, or as soon as it is there again. */
  whenUp(act: () => void): void {
    if (this.proc.state === 'running') act();
    else this.#backlog.push(act);
  }

  later(ms: number, act: () => void): void {
    this.engine.at(ms, undefined, () => this.whenUp(act));
  }

  // ---- requests ----

  /** A call of a process elsewhere: answered, refused, or never. `handle` answers at once or later, by what it is given. */
  call<T>(
    caller: Proc,
    deadlineMs: number,
    signal: AbortSignal | undefined,
    handle: (answer: (value: T) => void, refuse: (error: Error) => void) => void,
  ): Promise<T> {
    const { engine, network } = this;
    const from = caller.machine.name;
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (act: () => void): void => {
        if (over) return;
        over = true;
        timer.off = true;
        act();
      };
      const timer = engine.atOwn(deadlineMs, caller, () => end(() => reject(rpcError(DEADLINE_EXCEEDED, 'deadline exceeded'))));
      signal?.addEventListener('abort', () => end(() => reject(rpcError(1, 'cancelled'))));
      const back = (act: () => void): void => network.send(SERVER, from, caller, () => end(act));
      const arrive = (): void => {
        if (!this.proc.alive) back(() => reject(rpcError(UNAVAILABLE, 'connection refused')));
        else
          this.whenUp(() =>
            handle(
              (value) => back(() => resolve(value)),
              (error) => back(() => reject(error)),
            ),
          );
      };
      network.send(from, SERVER, undefined, arrive);
    });
  }

  poll(caller: Proc, queue: string, deadlineMs: number, signal: AbortSignal): Promise<Activity | undefined> {
    let poller: Poller | undefined;
    const drop = (): void => {
      if (poller !== undefined) poller.over = true;
    };
    const asked = this.call<Activity | undefined>(caller, deadlineMs, signal, (answer, refuse) => {
      const one: Poller = { queue, take: answer, over: false };
      poller = one;
      this.#pollers.push(one);
      // A connection that breaks is seen; one that falls silent only in the end.
      const seenMs = (): number => (caller.machine.up && this.network.isOpen(caller.machine.name, SERVER) ? this.engine.random.between(0, 3) : 20_000);
      caller.onDeath.push(() => void this.engine.at(seenMs(), undefined, drop));
      signal.addEventListener('abort', drop);
      this.proc.onDeath.push(() => {
        one.over = true;
        refuse(rpcError(UNAVAILABLE, 'the server has gone'));
      });
      this.#match(queue);
    });
    return asked;
  }

  beat(token: string, details: unknown): { paused: boolean; cancelRequested: boolean } | undefined {
    const activity = this.#activities.get(token);
    if (activity === undefined || !activity.open || activity.startedMs === undefined) return undefined;
    activity.beatMs = this.engine.nowMs;
    activity.details = details;
    return { paused: activity.paused, cancelRequested: activity.cancelRequested };
  }

  #end(token: string, tell: (activity: Activity) => void): boolean {
    const activity = this.#activities.get(token);
    if (activity === undefined || !activity.open) return false;
    this.#close(activity, () => tell(activity));
    return true;
  }

  complete(token: string, result: unknown): boolean {
    const activity = this.#activities.get(token);
    const heard = this.#end(token, ({ ends }) => ends.resolve(result));
    if (heard && activity !== undefined) {
      this.note(() => `hears that ${activity.id} is over: ${JSON.stringify(result).slice(0, 300)}`);
      this.onCompleted(activity, result);
    }
    return heard;
  }

  fail(token: string, error: unknown): boolean {
    return this.#end(token, (activity) => {
      this.note(() => `hears that ${activity.id} failed: ${(error as Error).message}`);
      activity.ends.reject(failed(activity, error as Error));
    });
  }

  notFound(): Error {
    return rpcError(NOT_FOUND, 'the activity is not known');
  }

  // ---- activities ----

  schedule(run: Run, type: string, input: unknown, options: ActivityOptions, ends: Ends<unknown>): Activity {
    const activity: Activity = {
      token: String((this.#tokens += 1)),
      run,
      type,
      queue: options.taskQueue,
      id: options.activityId,
      input,
      ends,
      heartbeatMs: ms(options.heartbeatTimeout),
      startToCloseMs: ms(options.startToCloseTimeout),
      scheduleToStartMs: ms(options.scheduleToStartTimeout),
      waitsForCancellation: options.cancellationType === 'WAIT_CANCELLATION_COMPLETED',
      scheduledMs: this.engine.nowMs,
      startedMs: undefined,
      beatMs: 0,
      details: undefined,
      cancelRequested: false,
      paused: false,
      open: true,
    };
    this.#activities.set(activity.token, activity);
    run.activities.add(activity);
    this.note(() => `schedules ${activity.id}`);
    this.onScheduled(activity);
    const met = this.#awaited.get(activity.type);
    this.#awaited.delete(activity.type);
    met?.(activity);
    if (!activity.queue.startsWith('member/')) {
      activity.startedMs = this.engine.nowMs;
      this.controlActivity(activity, {
        resolve: (value) => void this.complete(activity.token, value),
        reject: (error) => void this.fail(activity.token, error),
      });
    } else {
      let pending = this.#pending.get(activity.queue);
      if (pending === undefined) this.#pending.set(activity.queue, (pending = []));
      pending.push(activity);
      this.#match(activity.queue);
    }
    this.#watch(activity);
    return activity;
  }

  #match(queue: string): void {
    const pending = this.#pending.get(queue);
    if (pending === undefined) return;
    for (;;) {
      const task = pending.find((one) => one.open);
      if (task === undefined) {
        pending.length = 0;
        return;
      }
      const index = this.#pollers.findIndex((one) => !one.over && one.queue === queue);
      const poller = this.#pollers[index];
      if (poller === undefined) return;
      pending.splice(pending.indexOf(task), 1);
      this.#pollers.splice(index, 1);
      if (this.#pollers.length > 40) this.#pollers = this.#pollers.filter((one) => !one.over);
      task.startedMs = this.engine.nowMs;
      task.beatMs = this.engine.nowMs;
      this.#watch(task);
      poller.take(task);
    }
  }

  /** Looks again whenever the next of its timeouts may be due. */
  #watch(activity: Activity): void {
    const due = this.#dueOf(activity);
    if (due === undefined) return;
    this.later(due.atMs - this.engine.nowMs + this.engine.random.between(0, this.lateMs), () => {
      if (!activity.open) return;
      const now = this.#dueOf(activity);
      if (now === undefined) return;
      if (now.atMs > this.engine.nowMs) {
        // One look for each of its timeouts is enough.
        if (now.kind === due.kind) this.#watch(activity);
        return;
      }
      this.note(() => `times out ${activity.id}: ${now.kind}`);
      this.#close(activity, () =>
        activity.ends.reject(
          new ActivityFailure(
            'timed out',
            activity.type,
            activity.id,
            'MAXIMUM_ATTEMPTS_REACHED',
            undefined,
            new TimeoutFailure(now.kind, activity.details, now.kind),
          ),
        ),
      );
    });
  }

  #dueOf(activity: Activity): { atMs: number; kind: 'SCHEDULE_TO_START' | 'HEARTBEAT' | 'START_TO_CLOSE' } | undefined {
    const { startedMs } = activity;
    if (startedMs === undefined) {
      const atMs = activity.scheduledMs + activity.scheduleToStartMs;
      return Number.isFinite(atMs) ? { atMs, kind: 'SCHEDULE_TO_START' } : undefined;
    }
    const beatDueMs = activity.paused ? Number.POSITIVE_INFINITY : activity.beatMs + activity.heartbeatMs;
    const closeDueMs = startedMs + activity.startToCloseMs;
    if (!Number.isFinite(beatDueMs) && !Number.isFinite(closeDueMs)) return undefined;
    return beatDueMs <= closeDueMs ? { atMs: beatDueMs, kind: 'HEARTBEAT' } : { atMs: closeDueMs, kind: 'START_TO_CLOSE' };
  }

  requestCancel(activity: Activity): void {
    if (!activity.open || activity.cancelRequested) return;
    activity.cancelRequested = true;
    this.note(() => `cancels ${activity.id}`);
    if (activity.startedMs === undefined || !activity.waitsForCancellation) {
      this.#close(activity, () =>
        activity.ends.reject(new ActivityFailure('cancelled', activity.type, activity.id, 'CANCEL_REQUESTED', undefined, new CancelledFailure('cancelled'))),
      );
    }
  }

  /** What the roles in hand have said last. */
  get said(): string {
    return [...this.#activities.values()]
      .filter(({ open, type }) => open && (type === 'primary' || type === 'standby'))
      .map(({ id, startedMs, details }) => `${id} ${startedMs === undefined ? 'waits' : JSON.stringify(details)}`)
      .join('; ');
  }

  /** The button of the Temporal UI. */
  pauseRoles(member: string): void {
    for (const activity of this.#activities.values())
      if (activity.open && activity.startedMs !== undefined && activity.type === 'primary' && activity.queue.endsWith(`/${member}`)) activity.paused = true;
  }

  /** The other button: a timeout that is overdue fires at once. */
  letRolesGoOn(member: string): void {
    for (const activity of this.#activities.values()) {
      if (!activity.paused || !activity.queue.endsWith(`/${member}`)) continue;
      activity.paused = false;
      this.#watch(activity);
    }
  }

  #close(activity: Activity, tell: () => void): void {
    activity.open = false;
    activity.run.activities.delete(activity);
    this.#activities.delete(activity.token);
    activity.run.addJob(tell);
  }

  /** A run that ends forgets its activities: nobody tells their members. */
  forget(run: Run): void {
    for (const activity of run.activities) {
      activity.open = false;
      this.#activities.delete(activity.token);
    }
    run.activities.clear();
  }

  // ---- workflows ----

  startWorkflow(id: string, workflow: (...args: never[]) => unknown, args: readonly unknown[], parent?: Run['parent']): Run | undefined {
    if (this.runs.get(id)?.closed === undefined && this.runs.has(id)) return undefined;
    const run = new Run(this, id, workflow, args, parent);
    this.runs.set(id, run);
    run.begin();
    return run;
  }

  /** @returns false where nobody runs by this id */
  signal(id: string, name: string, args: readonly unknown[]): boolean {
    const run = this.runs.get(id);
    if (run === undefined || run.closed !== undefined) return false;
    run.addSignal(name, args);
    return true;
  }

  terminate(id: string): void {
    const run = this.runs.get(id);
    if (run === undefined || run.closed !== undefined) return;
    this.note(() => `${id} is terminated`);
    run.close('terminated', undefined);
  }
}

function failed(activity: Activity, error: Error): ActivityFailure {
  const cause = error instanceof ApplicationFailure ? error : ApplicationFailure.create({ message: error.message, type: 'Unexpected' });
  return new ActivityFailure('failed', activity.type, activity.id, 'MAXIMUM_ATTEMPTS_REACHED', undefined, cause);
}

function ms(timeout: number | string | undefined): number {
  if (typeof timeout === 'number') return timeout;
  // Roles end when they end: years are for ever.
  return Number.POSITIVE_INFINITY;
}
