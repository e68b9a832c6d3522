import { mkdirSync, realpathSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { UnderstudyError } from '../model/error.ts';
import { bootTimeMs, startStopwatch } from '../runtime/clock.ts';
import { spawnGuard, type SpawnedGuard } from './launch-guard.ts';
import type { GuardAnswer, GuardLine, GuardRequest, GuardStatus, LaunchSpec } from './messages.ts';
import { socketPath } from './paths.ts';

const ANSWER_LIMIT_MS = 2000;
const START_LIMIT_MS = 10_000;
/** What a fence may take beyond the limit it was given: immediate, SIGKILL, and the teardown of large shared memory. */
const FENCE_EXTRA_MS = 10_000;
/** The two clocks are read a moment apart; more than this and they are not the same clock. */
const CLOCK_TOLERANCE_MS = 1000;

interface Pending {
  readonly resolve: (answer: GuardAnswer) => void;
  readonly reject: (error: UnderstudyError) => void;
  readonly timer: NodeJS.Timeout;
}

/** The agent's side of the guard. Its `status` is the last that the guard has told, by an answer or by itself. */
export class GuardClient {
  readonly path: string;
  /** Resolves, with the reason, when the connection has ended. */
  readonly lost: Promise<string>;
  readonly #socket: Socket;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(status: GuardStatus) => void>();
  #status: GuardStatus | undefined;
  #nextId = 1;
  #rest = '';
  #lostWhy: string | undefined;

  private constructor(path: string, socket: Socket) {
    this.path = path;
    this.#socket = socket;
    let lose: (why: string) => void = () => {};
    this.lost = new Promise((resolve) => {
      lose = resolve;
    });
    let why = 'the guard closed the connection';
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#hear(text));
    socket.on('error', (error) => {
      why = error.message;
    });
    socket.on('close', () => {
      this.#lostWhy = why;
      for (const [id, pending] of this.#pending) this.#settle(id, pending).reject(this.#unreachable(why));
      lose(why);
    });
  }

  /**
   * Connects and says hello. With `own`, this process becomes the one agent that may command the guard.
   *
   * @throws UnderstudyError `GuardUnreachable` where nobody listens or answers, `GuardBusy` where another agent owns it,
   * `BadInput` where the two do not read the same clock
   */
  static async connect(o: { stateDir: string; own: boolean }): Promise<GuardClient> {
    const path = socketPath(o.stateDir);
    const client = new GuardClient(path, await dial(path));
    try {
      const answer = await client.#ask({ ask: 'hello', own: o.own, pid: process.pid }, ANSWER_LIMIT_MS);
      requireOk(answer);
      const apartMs = Math.round(answer.status.nowMs - bootTimeMs());
      if (Math.abs(apartMs) > CLOCK_TOLERANCE_MS) {
        throw new UnderstudyError(
          'BadInput',
          `the guard at ${path} reads CLOCK_BOOTTIME ${apartMs} ms apart from this process: a container that fakes /proc/uptime? Run both in the same one, without that`,
          { apartMs },
        );
      }
    } catch (error) {
      client.close();
      throw error;
    }
    return client;
  }

  get status(): GuardStatus {
    if (this.#status === undefined) throw new Error('the guard has not said hello yet');
    return this.#status;
  }

  /** Hears each new status, until what is returned is called. */
  onStatus(listener: (status: GuardStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Starts the database unless it runs, and returns once its process is there. A primary's start names the epoch of its lease, which
   * must lie ahead.
   *
   * @throws UnderstudyError `DatabaseFailed` where it cannot be started, `LeaseLost` where its lease is over
   */
  async start(launch: LaunchSpec, epoch?: number): Promise<GuardStatus> {
    return requireOk(await this.#ask({ ask: 'start', launch, ...(epoch === undefined ? {} : { epoch }) }, START_LIMIT_MS));
  }

  /** Pushes the deadline forward. False where that lease is over: the guard has said why in its log. */
  async extend(epoch: number, deadlineMs: number, fenceBeforeMs: number): Promise<boolean> {
    const answer = await this.#ask({ ask: 'extend', epoch, deadlineMs, fenceBeforeMs }, ANSWER_LIMIT_MS);
    if (!answer.ok && answer.code === 'GuardBusy') return requireOk(answer) !== undefined;
    return answer.ok;
  }

  /** Stops the database and ends the lease; returns once its processes are gone. */
  async fence(mode: 'fast' | 'immediate', limitMs: number, why: string): Promise<GuardStatus> {
    return requireOk(await this.#ask({ ask: 'fence', mode, limitMs, why }, limitMs + FENCE_EXTRA_MS));
  }

  /** Gives up the ownership; the guard goes on with the deadline it has. */
  close(): void {
    this.#socket.destroy();
  }

  #ask(request: GuardRequest, limitMs: number): Promise<GuardAnswer> {
    if (this.#lostWhy !== undefined) return Promise.reject(this.#unreachable(this.#lostWhy));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(this.#unreachable(`no answer to ${request.ask} in ${limitMs} ms`));
      }, limitMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.#socket.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#take(JSON.parse(line) as GuardLine);
  }

  #take(line: GuardLine): void {
    this.#see('news' in line ? line.news : line.status);
    if ('news' in line) return;
    const pending = this.#pending.get(line.id);
    // An answer after its limit: the status was worth reading, the caller is gone.
    if (pending !== undefined) this.#settle(line.id, pending).resolve(line);
  }

  #see(status: GuardStatus): void {
    const before = this.#status;
    this.#status = status;
    if (before !== undefined && sameNews(before, status)) return;
    for (const listener of this.#listeners) listener(status);
  }

  #settle(id: number, pending: Pending): Pending {
    clearTimeout(pending.timer);
    this.#pending.delete(id);
    return pending;
  }

  #unreachable(why: string): UnderstudyError {
    return new UnderstudyError('GuardUnreachable', `the guard at ${this.path} cannot be asked: ${why}`, { path: this.path });
  }
}

function sameNews(one: GuardStatus, other: GuardStatus): boolean {
  return JSON.stringify([one.database, one.lease]) === JSON.stringify([other.database, other.lease]);
}

function requireOk(answer: GuardAnswer): GuardStatus {
  if (answer.ok) return answer.status;
  throw new UnderstudyError(answer.code, answer.why);
}

function dial(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const refuse = (error: Error) => reject(new UnderstudyError('GuardUnreachable', `no guard listens at ${path}: ${error.message}`, { path }, error));
    socket.once('error', refuse);
    socket.once('connect', () => {
      socket.off('error', refuse);
      resolve(socket);
    });
  });
}

const APPEAR_LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 10;
/** A dead owner's connection is seen by the guard within a moment. */
const OWNER_LIMIT_MS = 1000;

export interface EnsureGuardOptions {
  readonly stateDir: string;
  /** Left out: the one beside this file. */
  readonly guardScript?: string;
  /** False where something else starts guards, such as systemd. */
  readonly spawn: boolean;
  readonly logFile: string;
}

/**
 * Connects to this member's guard and owns it, starting one where none listens.
 *
 * @throws UnderstudyError `GuardBusy` where another agent owns it; `GuardUnreachable` where none came up; `BadInput` for a path too long
 */
export async function ensureGuard(o: EnsureGuardOptions): Promise<GuardClient> {
  const elapsedMs = startStopwatch();
  if (o.spawn) mkdirSync(o.stateDir, { recursive: true, mode: 0o700 });
  let spawned: SpawnedGuard | undefined;
  for (;;) {
    try {
      return await GuardClient.connect({ stateDir: o.stateDir, own: true });
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      const limitMs = error.code === 'GuardBusy' ? OWNER_LIMIT_MS : error.code === 'GuardUnreachable' && o.spawn ? APPEAR_LIMIT_MS : 0;
      const ended = spawned?.ended();
      if (elapsedMs() >= limitMs || (ended !== undefined && !ended.lockTaken)) {
        if (spawned === undefined) throw error;
        throw new UnderstudyError(
          error.code,
          `${error.message}. One was started: ${ended?.words ?? 'it runs but does not answer'}; see ${o.logFile}`,
          { stateDir: o.stateDir },
          error,
        );
      }
      // A guard that is just ending may hold the lock a moment longer than its socket.
      if (error.code === 'GuardUnreachable' && (spawned === undefined || ended !== undefined)) {
        spawned = spawnGuard({
          stateDir: realpathSync(o.stateDir),
          logFile: o.logFile,
          guardScript: o.guardScript ?? fileURLToPath(new URL('../bin/guard.js', import.meta.url)),
        });
      }
    }
    await pause(LOOK_EVERY_MS);
  }
}
