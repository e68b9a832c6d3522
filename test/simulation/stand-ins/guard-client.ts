import type { GuardStatus, LaunchSpec } from '../../../src/guard/messages.ts';
import { UnderstudyError } from '../../../src/model/error.ts';
import { guardOf, type GuardProcess } from '../guard-process.ts';
import { me, sleepMs, theEngine } from '../globals.ts';
import type { Proc } from '../engine.ts';

const ANSWER_LIMIT_MS = 2000;
const START_LIMIT_MS = 10_000;
const FENCE_EXTRA_MS = 10_000;

const unreachable = (why: string): UnderstudyError => new UnderstudyError('GuardUnreachable', `the guard cannot be asked: ${why}`);

/** Stands in for src/guard/client.ts: the agent's side of the socket, with the same limits and the same words for what goes wrong. */
export class GuardClient {
  readonly lost: Promise<string>;
  readonly #guard: GuardProcess;
  readonly #mine: Proc;
  readonly #listeners = new Set<(status: GuardStatus) => void>();
  #status: GuardStatus;

  constructor(guard: GuardProcess) {
    this.#guard = guard;
    this.#mine = me();
    this.#status = guard.guard.status;
    const mine = this.#mine;
    this.lost = new Promise((resolve) => guard.proc.onDeath.push(() => void theEngine().at(0.2, mine, () => resolve('the guard closed the connection'))));
    guard.own(mine, (status) => void theEngine().at(0.05, mine, () => this.#see(status)));
  }

  get status(): GuardStatus {
    return this.#status;
  }

  onStatus(listener: (status: GuardStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(launch: LaunchSpec, epoch?: number): Promise<GuardStatus> {
    return this.#ask(START_LIMIT_MS, async (guard) => guard.start(launch, epoch)).then(requireOk);
  }

  extend(epoch: number, deadlineMs: number, fenceBeforeMs: number): Promise<boolean> {
    return this.#ask(ANSWER_LIMIT_MS, (guard) => Promise.resolve(guard.extend({ epoch, deadlineMs, fenceBeforeMs }))).then(({ answer }) => answer.ok);
  }

  fence(mode: 'fast' | 'immediate', limitMs: number, why: string): Promise<GuardStatus> {
    return this.#ask(limitMs + FENCE_EXTRA_MS, async (guard) => {
      await guard.fence(mode, limitMs, why);
      return { ok: true } as const;
    }).then(requireOk);
  }

  close(): void {
    this.#guard.disown(this.#mine);
  }

  #ask<T extends { readonly ok: boolean }>(limitMs: number, act: (guard: GuardProcess['guard']) => Promise<T>): Promise<{ answer: T; status: GuardStatus }> {
    const engine = theEngine();
    const { proc, guard } = this.#guard;
    const mine = this.#mine;
    if (!proc.alive) return Promise.reject(unreachable('the guard closed the connection'));
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (finish: () => void): void => {
        if (over) return;
        over = true;
        limit.off = true;
        finish();
      };
      const limit = engine.atOwn(limitMs, mine, () => end(() => reject(unreachable(`no answer in ${limitMs} ms`))));
      proc.onDeath.push(() => void engine.at(0.2, mine, () => end(() => reject(unreachable('the guard closed the connection')))));
      engine.at(engine.random.between(0.02, 0.2), proc, () => {
        void act(guard).then((answer) => {
          const { status } = guard;
          engine.at(0.05, mine, () => {
            this.#see(status);
            end(() => resolve({ answer, status }));
          });
        });
      });
    });
  }

  #see(status: GuardStatus): void {
    const before = this.#status;
    this.#status = status;
    if (
      before.database.state === status.database.state &&
      before.lease?.epoch === status.lease?.epoch &&
      before.lease?.deadlineMs === status.lease?.deadlineMs
    ) {
      return;
    }
    for (const listener of this.#listeners) listener(status);
  }
}

function requireOk({ answer, status }: { answer: { ok: boolean; code?: string; why?: string }; status: GuardStatus }): GuardStatus {
  if (answer.ok) return status;
  throw new UnderstudyError((answer.code ?? 'BadInput') as 'BadInput', answer.why ?? '');
}

/** The guard of the machine that asks, started where there is none; refused where another agent owns it. */
export async function ensureGuard(_options: unknown): Promise<GuardClient> {
  const { machine } = me();
  for (let tries = 0; ; tries += 1) {
    const guard = guardOf(machine);
    if (guard.proc.state === 'running' && !guard.isOwned) return new GuardClient(guard);
    if (tries >= 100) throw new UnderstudyError(guard.isOwned ? 'GuardBusy' : 'GuardUnreachable', 'the guard is not to be had');
    await sleepMs(10);
  }
}
