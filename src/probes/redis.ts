import { connect, isIP } from 'node:net';
import type { RedisProbeConfig } from '../model/probe.ts';
import { bounded, sayHost } from './bounded.ts';
import type { Ending, Found } from './bounded.ts';
import type { Look, Probe, ResolveSecret } from './probe.ts';

const READ_LIMIT_BYTES = 64 * 1024;
/** Our account's, not the server's: it answers, and well. */
const REFUSED_LOGIN = /^-(NOAUTH|WRONGPASS|NOPERM)\b/;
const ROLES: Readonly<Record<string, 'primary' | 'standby'>> = { master: 'primary', slave: 'standby' };

/** Speaks the little of RESP that two questions need. @see Redis documentation, "Redis serialization protocol specification" */
export class RedisProbe implements Probe {
  readonly kind = 'redis';
  readonly #config: RedisProbeConfig;
  readonly #resolveSecret: ResolveSecret;
  readonly #who: string;

  constructor(config: RedisProbeConfig, resolveSecret: ResolveSecret) {
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

  #start(ending: Ending): () => void {
    const { host, port } = this.#config;
    let questions: Buffer;
    try {
      questions = this.#questions();
    } catch (error) {
      ending.settle({ outcome: 'unknown', words: (error as Error).message });
      return () => undefined;
    }
    if (isIP(host) === 0) ending.at('looking up its name', 'ours');
    const socket = connect({ host, port, noDelay: true });
    let read = '';
    socket.on('lookup', () => ending.at('connecting'));
    socket.on('error', (error) => ending.fail(this.#who, error));
    socket.on('end', () => ending.settle({ outcome: 'down', words: `${this.#who}: closed the connection without an answer` }));
    socket.on('connect', () => {
      ending.at('waiting for the answer');
      socket.write(questions);
    });
    socket.on('data', (chunk: Buffer) => {
      read += chunk.toString('latin1');
      const found = this.#judge(read.split('\r\n').slice(0, -1));
      if (found !== undefined) ending.settle(found.outcome === 'up' ? found : { ...found, words: `${this.#who}: ${found.words}` });
      else if (read.length > READ_LIMIT_BYTES) ending.settle({ outcome: 'down', words: `${this.#who}: answered what is not Redis` });
    });
    return () => socket.destroy();
  }

  #questions(): Buffer {
    const { user, password, expect } = this.#config;
    const auth = password === undefined ? [] : [['AUTH', ...(user === undefined ? [] : [user]), this.#resolveSecret(password)]];
    return Buffer.concat([...auth, ['PING'], ...(expect === 'any' ? [] : [['ROLE']])].map(encode));
  }

  /** Undefined while lines are missing. ROLE's answer is an array that begins with the role, as a length and its text. */
  #judge(lines: readonly string[]): Found | undefined {
    const { password, expect } = this.#config;
    const [signedIn, ponged, array, length, role] = password === undefined ? ['+OK', ...lines] : lines;
    const trouble = troubleIn([signedIn, '+OK']) ?? troubleIn([ponged, '+PONG']);
    if (trouble !== undefined) return trouble;
    if (ponged === undefined) return undefined;
    if (expect === 'any') return { outcome: 'up' };
    if (array !== undefined && !array.startsWith('*')) return troubleIn([array, '*']);
    if (length === undefined || role === undefined) return undefined;
    const known = ROLES[role] ?? role;
    return known === expect ? { outcome: 'up', words: known } : { outcome: 'down', words: `is a ${known}, not a ${expect}` };
  }
}

function troubleIn([line, wanted]: readonly [line: string | undefined, wanted: string]): Found | undefined {
  if (line === undefined || line === wanted) return undefined;
  if (!line.startsWith('-')) return { outcome: 'down', words: 'answered what is not Redis' };
  return { outcome: REFUSED_LOGIN.test(line) ? 'unknown' : 'down', words: `answered ${line.slice(1, 200)}` };
}

function encode(words: readonly string[]): Buffer {
  return Buffer.from(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
}
