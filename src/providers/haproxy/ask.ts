import { connect } from 'node:net';
import type { HostPort } from '../../model/config.ts';
import type { Trouble } from '../provider.ts';

/** A socket of the runtime API: a path, or an address. */
export type RuntimeSocket = string | HostPort;

export interface Limits {
  /** For the whole exchange, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Some 100,000 servers' statistics; what is longer comes from no HAProxy. */
const MOST_BYTES = 64 * 1024 * 1024;

export const saySocket = (socket: RuntimeSocket): string => (typeof socket === 'string' ? socket : `${socket.host}:${socket.port}`);

/**
 * Sends one line of commands and reads until HAProxy closes, as it does after a line.
 *
 * @throws the signal's reason where it is aborted
 * @see https://docs.haproxy.org/2.6/management.html 9.3
 */
export async function askRuntime(to: RuntimeSocket, line: string, { timeoutMs, signal }: Limits): Promise<{ outcome: 'answer'; text: string } | Trouble> {
  signal.throwIfAborted();
  const where = saySocket(to);
  const timeout = AbortSignal.timeout(timeoutMs);
  const socket = typeof to === 'string' ? connect(to) : connect(to.port, to.host);
  const stop = (): void => void socket.destroy(new Error('stopped'));
  const either = AbortSignal.any([signal, timeout]);
  either.addEventListener('abort', stop, { once: true });
  try {
    socket.write(`${line}\n`);
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of socket) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > MOST_BYTES) return { outcome: 'refused', words: `${where} answered more than ${MOST_BYTES} bytes` };
    }
    // A stop may end the reading as if all had been said.
    if (either.aborted) throw new Error('stopped');
    const text = Buffer.concat(chunks).toString('utf8');
    // An answer ends with an empty line, so that one that broke off is known.
    if (!/(^|\n)\n$/.test(text)) return { outcome: 'unreachable', words: `${where} broke off its answer after ${length} bytes` };
    return { outcome: 'answer', text };
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) return { outcome: 'slow', words: `${where} gave no whole answer within ${timeoutMs} ms` };
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const words = `${where}: ${message}`;
    return { outcome: code === 'EACCES' || code === 'EPERM' ? 'key-refused' : 'unreachable', words };
  } finally {
    either.removeEventListener('abort', stop);
    socket.destroy();
  }
}
