import type { MemberNews } from '../model/act.ts';
import type { Heartbeat } from '../model/role.ts';
import type { Beat, Task, TaskQueue } from './task.ts';

/** Tells the group's workflow what has changed. Delivery is retried until it is heard or newer news takes its place. */
export type TellNews = (workflowId: string, news: MemberNews) => void;

/**
 * Whoever holds a role: ended by its own findings, by a newer role for this member, or by what the server says.
 * `ended` resolves with the activity's result; undefined where nobody waits for one any more.
 */
export interface RoleHolder {
  readonly kind: 'primary' | 'standby';
  readonly epoch: number;
  readonly ended: Promise<unknown>;
  /** A newer role has come, or a promotion: lets go without touching the database, and returns once its loops have stopped. */
  supersede(why: string): Promise<void>;
  /** The guard has died, and the database with it. */
  guardLost?(): void;
}

export interface RoleContext {
  readonly task: Task;
  readonly queue: TaskQueue;
  readonly tell: TellNews;
}

/** Sends a role's heartbeats where no lease hangs on them. */
export class PlainBeats {
  #timer: NodeJS.Timeout | undefined;
  #inFlight = false;

  constructor(queue: TaskQueue, token: Uint8Array, everyMs: number, details: () => Heartbeat, heard: (beat: Beat) => void) {
    const beat = async (): Promise<void> => {
      if (this.#inFlight) return;
      this.#inFlight = true;
      const answer = await queue.beat(token, details(), Math.max(everyMs, 1000));
      this.#inFlight = false;
      if (this.#timer !== undefined) heard(answer);
    };
    this.#timer = setInterval(() => void beat(), everyMs);
    void beat();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
