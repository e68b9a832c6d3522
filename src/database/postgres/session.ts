import { createConnection, Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, type QueryResult, type QueryResultRow } from 'pg';
import { UnderstudyError } from '../../model/error.ts';
import { loadThreadSwitch, underAccount, type ThreadSwitch } from './borrowed-account.ts';
import type { Account } from './place.ts';

/** Of every session of ours, so that we know our own among others. */
export const APPLICATION = 'understudy';

export interface SessionParts {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** Where we connect through a socket that knows its peer, as whom. */
  readonly peer: Account | undefined;
  /** As another member is reached; our own is through a socket. */
  readonly tls?: ConnectionOptions | undefined;
  /** The limit of each question that names none. */
  readonly limitMs: number;
  /** `wait` for the standbys of the commit rule; our other sessions wait for none, so that no rule can hang them. */
  readonly commits?: 'wait';
  /** For messages. */
  readonly member: string;
}

/** The server's own limit ends a question before ours does: past ours the session is of no use (it still runs the question). */
const SERVER_LIMIT_SHARE = 0.8;

/**
 * One connection that is never replaced in silence. A question that is not answered within its limit ends it: the server may still be
 * working on it, and the next question would wait behind.
 */
export class Session {
  readonly lost: Promise<string>;
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #parts: SessionParts;
  readonly #waiting = new Set<(why: string) => void>();
  #lose: (why: string) => void = () => {};
  #over: string | undefined;

  private constructor(client: Client, socket: Socket, parts: SessionParts) {
    this.#client = client;
    this.#socket = socket;
    this.#parts = parts;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    client.on('error', (error: Error) => this.#end(error.message));
    client.on('end', () => this.#end('the connection was closed'));
  }

  /** @throws UnderstudyError `DatabaseUnreachable`; its evidence holds the SQLSTATE where the server gave one */
  static async open(parts: SessionParts, signal?: AbortSignal): Promise<Session> {
    const socket = parts.peer?.drop === true && parts.host.startsWith('/') ? new PeerSocket(parts.peer, await loadThreadSwitch()) : new Socket();
    const client = new Client({
      host: parts.host,
      port: parts.port,
      user: parts.user,
      password: parts.password ?? '',
      database: parts.database,
      stream: () => socket,
      ...(parts.tls === undefined ? {} : { ssl: parts.tls }),
      // A server's limit would end a wait for a standby as a success with a warning: who waits has no such limit.
      options: `-c statement_timeout=${parts.commits === 'wait' ? 0 : Math.floor(parts.limitMs * SERVER_LIMIT_SHARE)} -c synchronous_commit=${parts.commits === 'wait' ? 'on' : 'local'} -c default_transaction_read_only=off -c lock_timeout=0 -c idle_session_timeout=0 -c client_min_messages=warning`,
      application_name: APPLICATION,
    });
    const session = new Session(client, socket, parts);
    try {
      await session.#limit(client.connect(), parts.limitMs, 'connecting', signal);
    } catch (error) {
      session.#end(error instanceof Error ? error.message : String(error));
      throw session.#unreachable('does not let us in', error);
    }
    return session;
  }

  get over(): string | undefined {
    return this.#over;
  }

  /** @throws UnderstudyError `DatabaseUnreachable` where no answer came, `DatabaseFailed` where the server refused (SQLSTATE in `evidence.code`) */
  async ask<Row extends QueryResultRow>(text: string, values: readonly unknown[] = [], limitMs = this.#parts.limitMs, name?: string): Promise<Row[]> {
    if (this.#over !== undefined) throw this.#unreachable('does not answer', new Error(this.#over));
    try {
      const asked: Promise<QueryResult<Row>> = this.#client.query<Row>({
        text,
        ...(values.length === 0 ? {} : { values: [...values] }),
        ...(name === undefined ? {} : { name }),
      });
      return (await this.#limit(asked, limitMs, 'a question')).rows;
    } catch (error) {
      const code = sqlState(error);
      // Class 57P: the server ends this session.
      if (code === undefined || code.startsWith('57P')) {
        this.#end(error instanceof Error ? error.message : String(error));
        throw this.#unreachable('does not answer', error);
      }
      throw new UnderstudyError(
        'DatabaseFailed',
        `the database of ${this.#parts.member} refused: ${(error as Error).message} (SQLSTATE ${code})`,
        { code },
        error,
      );
    }
  }

  async one<Row extends QueryResultRow>(text: string, values: readonly unknown[] = [], limitMs?: number): Promise<Row> {
    const rows = await this.ask<Row>(text, values, limitMs);
    const [row] = rows;
    if (row === undefined) throw new UnderstudyError('DatabaseFailed', `the database of ${this.#parts.member} answered with no row`, { text });
    return row;
  }

  /** A question that is asked again and again: the server plans it once, under this name. */
  async oneOften<Row extends QueryResultRow>(name: string, text: string): Promise<Row> {
    const [row] = await this.ask<Row>(text, [], this.#parts.limitMs, name);
    if (row === undefined) throw new UnderstudyError('DatabaseFailed', `the database of ${this.#parts.member} answered with no row`, { text });
    return row;
  }

  async close(): Promise<void> {
    this.#end('we closed it');
  }

  async #limit<T>(asked: Promise<T>, limitMs: number, what: string, signal?: AbortSignal): Promise<T> {
    // Whatever loses the race must not be an unhandled rejection.
    asked.catch(() => undefined);
    let give: (why: Error) => void = () => {};
    const givenUp = new Promise<never>((_, reject) => {
      give = reject;
    });
    const timer = setTimeout(() => give(new TimeUp(`${what} was not answered within ${limitMs} ms`)), limitMs);
    const onAbort = (): void => give(new TimeUp(`${what} was called off`));
    const onLost = (why: string): void => give(new Error(why));
    // Kept in a set and taken out again: a connection lives for months, and a reaction on `lost` would stay as long as it.
    this.#waiting.add(onLost);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    if (this.#over !== undefined) onLost(this.#over);
    try {
      return await Promise.race([asked, givenUp]);
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(onLost);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #end(why: string): void {
    if (this.#over !== undefined) return;
    this.#over = why;
    this.#socket.destroy();
    for (const give of this.#waiting) give(why);
    this.#lose(why);
  }

  #unreachable(what: string, error: unknown): UnderstudyError {
    const { member, host, port } = this.#parts;
    const words = error instanceof Error ? error.message : String(error);
    const code = sqlState(error) ?? (error instanceof Error && 'code' in error ? String(error.code) : undefined);
    return new UnderstudyError(
      'DatabaseUnreachable',
      `the database of ${member} (${host}:${port}) ${what}: ${words}`,
      { code, timeUp: error instanceof TimeUp },
      error,
    );
  }
}

class TimeUp extends Error {}

/** Five characters that the server sent; Node's own codes (`ECONNRESET`) are no SQLSTATE. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/**
 * A socket that connects as the database's account: `peer` authentication reads who calls at the instant of connect(2), which for a
 * Unix socket happens within this call.
 */
class PeerSocket extends Socket {
  readonly #peer: Account;
  readonly #switchTo: ThreadSwitch;

  constructor(peer: Account, switchTo: ThreadSwitch) {
    super();
    this.#peer = peer;
    this.#switchTo = switchTo;
  }

  override connect(...args: unknown[]): this {
    return underAccount(this.#peer.uid, () => (super.connect as (...given: unknown[]) => this).apply(this, args), this.#switchTo);
  }
}

/** Whether anything listens on a Unix socket. */
export function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
