import { UnderstudyError } from '../../model/error.ts';
import type { FoundServer, FromInstance, PoolApplied, PoolDriver, PoolRead, Unknown, WantedServer } from '../pool-driver.ts';
import type { Trouble } from '../provider.ts';
import { askRuntime, saySocket } from './ask.ts';
import type { Limits, RuntimeSocket } from './ask.ts';
import { readServers, TableError } from './tables.ts';

export interface HaproxyConfig {
  /** One for each HAProxy that serves the pool, at the level `admin`. */
  readonly sockets: readonly RuntimeSocket[];
  /** For each exchange. */
  readonly timeoutMs: number;
}

const HIGHEST_WEIGHT = 256;

/** HAProxy by its runtime API; a pool is a backend there. It has no compare-and-set: what is written is read back. */
export class HaproxyDriver implements PoolDriver {
  readonly kind = 'haproxy';
  readonly #config: HaproxyConfig;

  constructor(config: HaproxyConfig) {
    this.#config = config;
  }

  async read(pool: string, signal: AbortSignal): Promise<readonly FromInstance<PoolRead>[]> {
    checkName(pool);
    return this.#each((socket) => readPool(socket, pool, this.#limits(signal)));
  }

  async apply(pool: string, server: string, wanted: WantedServer, signal: AbortSignal): Promise<readonly FromInstance<PoolApplied>[]> {
    for (const name of [pool, server]) checkName(name);
    const { weight } = wanted;
    if (weight !== undefined && (!Number.isInteger(weight) || weight < 0 || weight > HIGHEST_WEIGHT))
      throw new UnderstudyError('BadInput', `${weight} is no weight of HAProxy: a whole number from 0 to ${HIGHEST_WEIGHT}`, { pool, server });
    return this.#each((socket) => applyTo(socket, pool, server, wanted, this.#limits(signal)));
  }

  /** All at once: a dead one holds up none. */
  #each<T>(ask: (socket: RuntimeSocket) => Promise<T>): Promise<FromInstance<T>[]> {
    return Promise.all(this.#config.sockets.map(async (socket) => ({ instance: saySocket(socket), answer: await ask(socket) })));
  }

  #limits(signal: AbortSignal): Limits {
    return { timeoutMs: this.#config.timeoutMs, signal };
  }
}

/** The characters that HAProxy takes in a name: none of them ends a command. */
function checkName(name: string): void {
  if (!/^[A-Za-z0-9_.:-]{1,255}$/.test(name))
    throw new UnderstudyError('BadInput', `${JSON.stringify(name)} is no name in HAProxy: letters, digits, "-", "_", "." and ":"`, { name });
}

async function readPool(socket: RuntimeSocket, pool: string, limits: Limits): Promise<PoolRead> {
  const [state, stat] = await Promise.all([askRuntime(socket, `show servers state ${pool}`, limits), askRuntime(socket, `show stat ${pool} 4 -1`, limits)]);
  if (state.outcome !== 'answer') return state;
  if (stat.outcome !== 'answer') return stat;
  const objection = objectionIn(socket, state.text, pool) ?? objectionIn(socket, stat.text, pool);
  if (objection !== undefined) return objection;
  try {
    return { outcome: 'found', servers: readServers(state.text, stat.text) };
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    return { outcome: 'refused', words: `${saySocket(socket)} did not answer as HAProxy does: ${error.message}` };
  }
}

async function applyTo(socket: RuntimeSocket, pool: string, server: string, wanted: WantedServer, limits: Limits): Promise<PoolApplied> {
  const before = await find(socket, pool, server, limits);
  if (before.outcome !== 'server') return before;
  if (isAs(before.server, wanted)) return { outcome: 'already', server: before.server };
  const weight = wanted.weight === undefined ? [] : [`set server ${pool}/${server} weight ${wanted.weight}`];
  const state = [`set server ${pool}/${server} state ${wanted.state}`];
  // What opens has its weight first, so that it takes no more than it should; what closes, closes first.
  const commands = wanted.state === 'ready' ? [...weight, ...state] : [...state, ...weight];
  const told = await askRuntime(socket, commands.join('; '), limits);
  if (told.outcome !== 'answer') return told;
  const objection = objectionIn(socket, told.text, pool, server);
  if (objection !== undefined) return objection;
  const after = await find(socket, pool, server, limits);
  if (after.outcome !== 'server') return after;
  if (isAs(after.server, wanted)) return { outcome: 'applied', server: after.server };
  const { state: now, weight: nowWeight } = after.server;
  return {
    outcome: 'refused',
    words: `${saySocket(socket)} took ${commands.join('; ')}, and shows ${pool}/${server} as ${now} with weight ${nowWeight}: somebody else set it, or it follows another server or the DNS`,
  };
}

const isAs = (found: FoundServer, wanted: WantedServer): boolean =>
  found.state === wanted.state && (wanted.weight === undefined || found.weight === wanted.weight);

async function find(
  socket: RuntimeSocket,
  pool: string,
  server: string,
  limits: Limits,
): Promise<{ outcome: 'server'; server: FoundServer } | Unknown | Trouble> {
  const read = await readPool(socket, pool, limits);
  if (read.outcome !== 'found') return read;
  const found = read.servers.find(({ name }) => name === server);
  if (found !== undefined) return { outcome: 'server', server: found };
  const known = read.servers.map(({ name }) => name).join(', ') || 'none';
  return { outcome: 'unknown-server', words: `${saySocket(socket)} has no server ${server} in ${pool}, only ${known}` };
}

/** What HAProxy says in place of doing it; undefined where it did, which a table or an empty answer shows. */
function objectionIn(socket: RuntimeSocket, text: string, pool: string, server?: string): Unknown | Trouble | undefined {
  const said = text.trim();
  if (said === '' || said.startsWith('1\n') || said.startsWith('# ')) return undefined;
  const where = saySocket(socket);
  if (/no such backend|can't find backend|no such proxy/i.test(said)) return { outcome: 'unknown-pool', words: `${where} has no backend ${pool}` };
  if (/no such server/i.test(said)) return { outcome: 'unknown-server', words: `${where} has no server ${server ?? ''} in ${pool}` };
  const words = `${where} answered: ${said.split('\n')[0]?.slice(0, 200)}`;
  return { outcome: /permission denied/i.test(said) ? 'key-refused' : 'refused', words };
}
