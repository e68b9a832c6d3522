import { isIP, Socket } from 'node:net';
import { Client, DatabaseError } from 'pg';
import type { PostgresProbeConfig } from '../model/probe.ts';
import { bounded, sayHost } from './bounded.ts';
import type { Ending, Found } from './bounded.ts';
import type { Look, Probe, ResolveSecret } from './probe.ts';

/** SQLSTATE's class of refused logins: our account or password, or the server's rules for this address. */
const REFUSED_LOGIN = /^28/;

/** Signs in as any client does, over a connection of its own for each look, and asks for the role. */
export class PostgresProbe implements Probe {
  readonly kind = 'postgres';
  readonly #config: PostgresProbeConfig;
  readonly #resolveSecret: ResolveSecret;
  readonly #who: string;

  constructor(config: PostgresProbeConfig, resolveSecret: ResolveSecret) {
    this.#config = config;
    this.#resolveSecret = resolveSecret;
    this.#who = sayHost(config.host, config.port);
  }

  look(signal: AbortSignal): Promise<Look> {
    return bounded(this.#config.timeoutMs, signal, (ending) => this.#start(ending));
  }

  async close(): Promise<void> {
    // Each look has a connection of its own.
  }

  /** The socket is ours, so that its end is certain and its errors are heard before pg words them anew. */
  #start(ending: Ending): () => void {
    const socket = new Socket();
    if (isIP(this.#config.host) === 0) ending.at('looking up its name', 'ours');
    else ending.at('connecting');
    socket.on('lookup', () => ending.at('connecting'));
    socket.on('connect', () => ending.at('signing in'));
    socket.on('error', (error) => ending.fail(this.#who, error));
    socket.on('end', () => ending.settle({ outcome: 'down', words: `${this.#who}: closed the connection` }));
    this.#ask(socket, ending).then(
      (found) => ending.settle(found),
      (error: Error) => ending.settle(this.#meaningOf(error)),
    );
    return () => socket.destroy();
  }

  async #ask(socket: Socket, ending: Ending): Promise<Found> {
    const { host, port, database, login, expect } = this.#config;
    const client = new Client({
      host,
      port,
      database,
      user: login.user,
      ...(login.password === undefined ? {} : { password: this.#resolveSecret(login.password) }),
      application_name: 'understudy probe',
      stream: () => socket,
    });
    // What happens to the socket is heard from the socket itself.
    client.on('error', () => undefined);
    await client.connect();
    ending.at('asking for its role');
    const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
    const role = rows[0]?.standby === true ? 'standby' : 'primary';
    if (expect !== 'any' && expect !== role) return { outcome: 'down', words: `${this.#who}: is a ${role}, not a ${expect}` };
    return { outcome: 'up', words: role };
  }

  #meaningOf(error: Error): Found {
    const words = `${this.#who}: ${error.message}`;
    if (!(error instanceof DatabaseError)) return { outcome: 'unknown', words };
    return { outcome: REFUSED_LOGIN.test(error.code ?? '') ? 'unknown' : 'down', words: error.code === undefined ? words : `${words} (${error.code})` };
  }
}
