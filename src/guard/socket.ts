import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { UnderstudyError } from '../model/error.ts';
import type { Guard, Log, Outcome } from './guard.ts';
import type { GuardLine, RequestLine } from './messages.ts';
import { parseRequest } from './requests.ts';

/** A line longer than this is no request of ours. */
const LONGEST_LINE = 256 * 1024;

interface Client {
  readonly socket: Socket;
  pid: number | undefined;
  rest: string;
}

/** The guard's socket: requests in, answers and news out. */
export class GuardServer {
  readonly #guard: Guard;
  readonly #log: Log;
  readonly #server: Server;
  readonly #clients = new Set<Client>();
  #owner: Client | undefined;
  /** Whose request is being carried out: its answer carries the status anyway. */
  #asking: Client | undefined;

  constructor(guard: Guard, log: Log) {
    this.#guard = guard;
    this.#log = log;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Only the holder of the guard's lock may call this: what lies at the path is a dead guard's. */
  async listen(path: string): Promise<void> {
    rmSync(path, { force: true });
    const mask = process.umask(0o177);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen(path, resolve);
      });
    } finally {
      process.umask(mask);
    }
  }

  /** Tells every client the status. */
  broadcast(): void {
    if (this.#clients.size === 0) return;
    const line = encode({ news: this.#guard.status });
    for (const client of this.#clients) if (client !== this.#asking) client.socket.write(line);
  }

  close(): void {
    this.#server.close();
    for (const { socket } of this.#clients) socket.end();
  }

  #accept(socket: Socket): void {
    const client: Client = { socket, pid: undefined, rest: '' };
    this.#clients.add(client);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#hear(client, text));
    // Its end is told by `close`; what it did not read is of no use to anybody.
    socket.on('error', (error) => this.#log('client lost', { clientPid: client.pid, why: error.message }));
    socket.on('close', () => {
      this.#clients.delete(client);
      if (this.#owner !== client) return;
      this.#owner = undefined;
      this.#log('agent gone', { agentPid: client.pid });
    });
  }

  #hear(client: Client, text: string): void {
    const lines = (client.rest + text).split('\n');
    client.rest = lines.pop() ?? '';
    if (client.rest.length > LONGEST_LINE) {
      this.#log('client dropped', { clientPid: client.pid, why: 'its line has no end' });
      client.socket.destroy();
      return;
    }
    for (const line of lines) this.#serve(client, line);
  }

  #serve(client: Client, line: string): void {
    let request: RequestLine;
    try {
      request = parseRequest(line);
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      // Whoever speaks another language cannot be answered by id.
      this.#log('client dropped', { clientPid: client.pid, why: error.message });
      client.socket.destroy();
      return;
    }
    this.#asking = client;
    const outcome = this.#carryOut(client, request);
    this.#asking = undefined;
    if (outcome instanceof Promise) void outcome.then((later) => this.#answer(client, request.id, later));
    else this.#answer(client, request.id, outcome);
  }

  #answer(client: Client, id: number, outcome: Outcome): void {
    if (!client.socket.destroyed) client.socket.write(encode({ id, ...outcome, status: this.#guard.status }));
  }

  #carryOut(client: Client, request: RequestLine): Outcome | Promise<Outcome> {
    if (request.ask === 'status') return { ok: true };
    if (request.ask === 'hello') return this.#greet(client, request.own, request.pid);
    if (client !== this.#owner) {
      const owner = this.#owner?.pid === undefined ? 'nobody' : `process ${this.#owner.pid}`;
      return { ok: false, code: 'GuardBusy', why: `${request.ask} was refused: the guard takes orders only from the agent that owns it, now ${owner}` };
    }
    switch (request.ask) {
      case 'extend':
        return this.#guard.extend(request);
      case 'start':
        return this.#guard.start(request.launch, request.epoch);
      case 'fence':
        return this.#guard.fence(request.mode, request.limitMs, request.why).then(() => ({ ok: true }));
    }
  }

  #greet(client: Client, own: boolean, pid: number): Outcome {
    client.pid = pid;
    if (!own || this.#owner === client) return { ok: true };
    if (this.#owner !== undefined) {
      return {
        ok: false,
        code: 'GuardBusy',
        why: `the guard is owned by the agent with process id ${this.#owner.pid}: stop that one first; a member has one agent`,
      };
    }
    this.#owner = client;
    this.#log('agent came', { agentPid: pid });
    return { ok: true };
  }
}

function encode(line: GuardLine): string {
  return `${JSON.stringify(line)}\n`;
}
