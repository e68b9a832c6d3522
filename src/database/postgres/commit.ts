import { UnderstudyError } from '../../model/error.ts';
import type { Lsn } from '../../model/lsn.ts';
import type { Session } from './session.ts';

/**
 * Commits that wait for the standbys of the rule. The connection is opened ahead where a promotion is under way, since the first such commit
 * is what ends the write gap.
 */
export class Committer {
  readonly #control: Session;
  readonly #open: () => Promise<Session>;
  #session: Promise<Session> | undefined;

  constructor(control: Session, open: () => Promise<Session>) {
    this.#control = control;
    this.#open = open;
  }

  warm(): void {
    if (this.#session !== undefined) return;
    const opening = this.#open();
    this.#session = opening;
    opening.catch(() => {
      if (this.#session === opening) this.#session = undefined;
    });
  }

  /** @throws UnderstudyError `DatabaseUnreachable` where the wait was longer than the limit: the commit is then not acknowledged */
  async commit(limitMs: number): Promise<Lsn> {
    this.warm();
    const session = await (this.#session ?? this.#open());
    if (session.over !== undefined) {
      this.#session = undefined;
      return this.commit(limitMs);
    }
    const { pid } = await session.one<{ pid: number }>('select pg_backend_pid() as pid');
    try {
      const { lsn } = await session.one<{ lsn: string }>("select pg_logical_emit_message(true, 'understudy', 'open')::text as lsn", [], limitMs);
      return lsn;
    } catch (error) {
      this.#session = undefined;
      await session.close();
      // A backend that waits for a standby does not see that its client has gone; it would wait for ever.
      if (error instanceof UnderstudyError && error.evidence['timeUp'] === true) await this.#control.ask('select pg_terminate_backend($1)', [pid]);
      throw error;
    }
  }

  async close(): Promise<void> {
    if (this.#session === undefined) return;
    const [settled] = await Promise.allSettled([this.#session]);
    if (settled?.status === 'fulfilled') await settled.value.close();
  }
}
