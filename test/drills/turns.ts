import type { Drill } from './drill.ts';
import { signalIfThere } from '../../src/stage/pids.ts';

export type Act = 'inspect' | 'checkpoint' | 'stepDown' | 'promote' | 'publishRecord';
/** `ordered`: nobody has begun it; `done`: its answer is in the history, and no worker has read it. */
export interface Moment {
  readonly act: Act;
  readonly when: 'ordered' | 'done';
}

/** Of gRPC. */
const NOT_FOUND = 5;

interface Ordered {
  readonly act: string;
  readonly id: string;
  readonly closed: boolean;
}

/** Every activity that a workflow has ordered so far, by its history. */
export async function ordersOf(drill: Drill, workflowId: string): Promise<Ordered[]> {
  const { events } = await drill.stage.connected.client.workflow.getHandle(workflowId).fetchHistory();
  const closed = new Set(
    (events ?? []).flatMap((event) => {
      const end =
        event.activityTaskCompletedEventAttributes ??
        event.activityTaskFailedEventAttributes ??
        event.activityTaskTimedOutEventAttributes ??
        event.activityTaskCanceledEventAttributes;
      return end == null ? [] : [String(end.scheduledEventId)];
    }),
  );
  return (events ?? []).flatMap(({ eventId, activityTaskScheduledEventAttributes: order }) =>
    order == null ? [] : [{ act: order.activityType?.name ?? '', id: order.activityId ?? '', closed: closed.has(String(eventId)) }],
  );
}

/**
 * Lets a workflow come exactly so far and no further, by freezing whoever has the next turn: the hands (agents, DNS) while the workflow orders, the
 * worker while they act. No race decides where the worker dies.
 */
export class Turns {
  readonly #drill: Drill;
  readonly #workflowId: string;
  readonly #frozen = new Set<number>();

  constructor(drill: Drill, workflowId: string) {
    this.#drill = drill;
    this.#workflowId = workflowId;
  }

  freeze(pids: readonly number[]): void {
    for (const pid of pids) {
      signalIfThere(pid, 'SIGSTOP');
      this.#frozen.add(pid);
    }
  }

  thaw(pids: readonly number[] = [...this.#frozen]): void {
    for (const pid of pids) {
      signalIfThere(pid, 'SIGCONT');
      this.#frozen.delete(pid);
    }
  }

  /** @param agents whose turn it is when the workflow has ordered; they are frozen already */
  async walk(order: readonly Act[], moment: Moment, agents: readonly number[]): Promise<void> {
    const { worker, dns } = await this.#drill.parts();
    for (const [index, act] of order.entries()) {
      const last = act === moment.act;
      await this.#untilOrdered(act);
      if (last && moment.when === 'ordered') return;
      this.freeze([worker]);
      this.thaw(agents);
      await this.#untilClosed(act);
      if (last) return;
      this.freeze(order[index + 1] === 'publishRecord' ? [dns] : agents);
      this.thaw([worker]);
    }
  }

  async #untilOrdered(act: Act): Promise<void> {
    await this.#drill.until(
      `${act} to be ordered by ${this.#workflowId}`,
      async () => ((await this.#orders()).some((order) => order.act === act) ? [] : ['it is not']),
      { everyMs: 10 },
    );
  }

  async #untilClosed(act: Act): Promise<void> {
    await this.#drill.until(
      `${act} to be answered`,
      async () => (await this.#orders()).flatMap((order) => (order.act === act && !order.closed ? [order.id] : [])),
      { everyMs: 10 },
    );
  }

  async #orders(): Promise<Ordered[]> {
    try {
      return await ordersOf(this.#drill, this.#workflowId);
    } catch (error) {
      // It has not begun yet.
      if (error instanceof Error && 'code' in error && error.code === NOT_FOUND) return [];
      throw error;
    }
  }
}
