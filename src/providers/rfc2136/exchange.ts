import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import type { HostPort } from '../../model/config.ts';
import type { Trouble } from '../provider.ts';
import { UDP_LIMIT_BYTES } from './message.ts';

export interface Limits {
  /** For the whole exchange, every repetition and a change to TCP included. */
  readonly timeoutMs: number;
  /** Ends the exchange by throwing its reason. */
  readonly signal: AbortSignal;
}

/** What the caller makes of bytes that came: undefined ignores them (a late answer, a stranger's), and the wait goes on. */
export type Accept<Answer> = (bytes: Buffer) => Answer | undefined;

type Outcome<Answer> = { readonly outcome: 'answer'; readonly answer: Answer } | Extract<Trouble, { outcome: 'unreachable' | 'slow' }>;

export const sayServer = ({ host, port }: HostPort): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** Sends over UDP, or over TCP what is too long for it, and waits for the answer. */
export function exchange<Answer>(server: HostPort, bytes: Buffer, limits: Limits, accept: Accept<Answer>): Promise<Outcome<Answer>> {
  return bytes.length > UDP_LIMIT_BYTES ? exchangeTcp(server, bytes, limits, accept) : exchangeUdp(server, bytes, limits, accept);
}

/**
 * Repeats a datagram that got no answer, since one may be lost on the way there or back. An UPDATE that is applied twice is none:
 * after the first its prerequisites no longer hold.
 */
function exchangeUdp<Answer>(server: HostPort, bytes: Buffer, limits: Limits, accept: Accept<Answer>): Promise<Outcome<Answer>> {
  return within(server, limits, (family, address, settle) => {
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    let repeat: NodeJS.Timeout | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => settle(unreachable(server, error)));
    socket.on('message', (reply) => {
      const answer = accept(reply);
      if (answer !== undefined) settle({ outcome: 'answer', answer });
    });
    socket.on('connect', () => {
      socket.send(bytes);
      repeat = setInterval(() => socket.send(bytes), Math.max(limits.timeoutMs / 4, 1));
    });
    // A connected socket takes no datagram of a stranger, and hears that nobody listens. Given a callback it would not raise its errors.
    socket.connect(server.port, address);
    return () => {
      clearInterval(repeat);
      socket.removeAllListeners('connect');
      socket.close();
    };
  });
}

export function exchangeTcp<Answer>(server: HostPort, bytes: Buffer, limits: Limits, accept: Accept<Answer>): Promise<Outcome<Answer>> {
  return within(server, limits, (_family, address, settle) => {
    const socket = connect({ host: address, port: server.port, noDelay: true });
    const frames = new Frames();
    socket.on('error', (error: NodeJS.ErrnoException) => settle(unreachable(server, error)));
    socket.on('close', () => settle({ outcome: 'unreachable', words: `${sayServer(server)} closed the connection without an answer` }));
    socket.on('connect', () => socket.write(frame(bytes)));
    socket.on('data', (chunk) => {
      for (const reply of frames.push(chunk)) {
        const answer = accept(reply);
        if (answer !== undefined) settle({ outcome: 'answer', answer });
      }
    });
    return () => socket.destroy();
  });
}

type Start<Answer> = (family: number, address: string, settle: (outcome: Outcome<Answer>) => void) => () => void;

/** One answer, or the limit, or the caller's signal: whichever is first, and nothing is left open. */
function within<Answer>(server: HostPort, { timeoutMs, signal }: Limits, start: Start<Answer>): Promise<Outcome<Answer>> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    let settled = false;
    let stop: (() => void) | undefined;
    const end = (act: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      stop?.();
      act();
    };
    const onAbort = (): void => end(() => reject(signal.reason as Error));
    const settle = (outcome: Outcome<Answer>): void => end(() => resolve(outcome));
    const timer = setTimeout(() => settle({ outcome: 'slow', words: `${sayServer(server)} gave no answer in ${timeoutMs} ms` }), timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    addressOf(server.host).then(
      ({ family, address }) => {
        if (!settled) stop = start(family, address, settle);
      },
      (error: NodeJS.ErrnoException) => settle(unreachable(server, error)),
    );
  });
}

async function addressOf(host: string): Promise<{ family: number; address: string }> {
  const family = isIP(host);
  return family === 0 ? lookup(host) : { family, address: host };
}

function unreachable(server: HostPort, error: NodeJS.ErrnoException): Extract<Trouble, { outcome: 'unreachable' }> {
  return { outcome: 'unreachable', words: `${sayServer(server)} cannot be reached: ${error.code ?? error.message}` };
}

/** Over TCP each message follows its length: RFC 1035, 4.2.2. */
export function frame(bytes: Buffer): Buffer {
  const framed = Buffer.alloc(bytes.length + 2);
  framed.writeUInt16BE(bytes.length);
  bytes.copy(framed, 2);
  return framed;
}

export class Frames {
  #rest = Buffer.alloc(0);

  /** The messages that are complete now. */
  push(chunk: Buffer): Buffer[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const whole: Buffer[] = [];
    while (this.#rest.length >= 2 && this.#rest.length >= 2 + this.#rest.readUInt16BE(0)) {
      const end = 2 + this.#rest.readUInt16BE(0);
      whole.push(this.#rest.subarray(2, end));
      this.#rest = this.#rest.subarray(end);
    }
    return whole;
  }
}
