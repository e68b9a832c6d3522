import { connect, constants } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { isIP } from 'node:net';
import type { GrpcProbeConfig } from '../model/probe.ts';
import { bounded, sayHost } from './bounded.ts';
import type { Ending, Found } from './bounded.ts';
import type { Look, Probe } from './probe.ts';

const STATUS_NAMES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const SERVING = 1;
/** PERMISSION_DENIED and UNAUTHENTICATED: our own trouble, not the server's. */
const REFUSED_US = ['7', '16'];
const READ_LIMIT_BYTES = 64 * 1024;

/**
 * Asks `grpc.health.v1.Health/Check` over HTTP/2. Not by @grpc/grpc-js: its `close` leaves a connection open that is still being made
 * (seen on 1.14.7 against a server that takes it and says nothing), and it keeps a socket's error as text only.
 *
 * @see gRPC documentation, "GRPC Health Checking Protocol"; "gRPC over HTTP2"
 */
export class GrpcProbe implements Probe {
  readonly kind = 'grpc';
  readonly #config: GrpcProbeConfig;
  readonly #who: string;

  constructor(config: GrpcProbeConfig) {
    this.#config = config;
    this.#who = sayHost(config.host, config.port);
  }

  look(signal: AbortSignal): Promise<Look> {
    return bounded(this.#config.timeoutMs, signal, (ending) => this.#start(ending));
  }

  async close(): Promise<void> {
    // Each look has a connection of its own.
  }

  #start(ending: Ending): () => void {
    ending.at('connecting', isIP(this.#config.host) === 0 ? 'ours' : 'theirs');
    const session = connect(`http://${this.#who}`);
    const fail = (error: NodeJS.ErrnoException): void => {
      // The stream falls with its session, whose own error comes next and says why.
      if (error.code === 'ERR_HTTP2_STREAM_CANCEL') return;
      if (error.code?.startsWith('ERR_HTTP2_') === true) ending.settle({ outcome: 'down', words: `${this.#who}: answered what is not gRPC (${error.code})` });
      else ending.fail(this.#who, error);
    };
    session.on('error', fail);
    session.on('connect', () => ending.at('waiting for the answer'));
    session.on('close', () => ending.settle({ outcome: 'down', words: `${this.#who}: closed the connection without an answer` }));
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    });
    let body = Buffer.alloc(0);
    let headers: IncomingHttpHeaders = {};
    const take = (more: IncomingHttpHeaders): void => void (headers = { ...headers, ...more });
    stream.on('error', fail);
    // An error comes with the headers, the status of an answer with the trailers.
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('data', (chunk: Buffer) => {
      body = Buffer.concat([body, chunk]);
      if (body.length > READ_LIMIT_BYTES) ending.settle({ outcome: 'down', words: `${this.#who}: its answer is larger than 64 kB` });
    });
    stream.on('end', () => ending.settle(this.#judge(headers, body)));
    stream.end(inFrame(encodeRequest(this.#config.service ?? '')));
    return () => session.destroy();
  }

  #judge(headers: IncomingHttpHeaders, body: Buffer): Found {
    const code = headers['grpc-status'];
    if (typeof code !== 'string') return { outcome: 'down', words: `${this.#who}: answered ${String(headers[':status'] ?? 'nothing')} without a gRPC status` };
    if (code !== '0') {
      const message = headers['grpc-message'];
      const words = `${this.#who}: answered gRPC status ${code}${typeof message === 'string' ? `: ${readPercents(message)}` : ''}`;
      return { outcome: REFUSED_US.includes(code) ? 'unknown' : 'down', words };
    }
    const answer = decodeStatus(body.subarray(FRAME_HEAD_BYTES));
    if (answer === SERVING) return { outcome: 'up' };
    return { outcome: 'down', words: `${this.#who}: answered ${STATUS_NAMES[answer] ?? `status ${answer}`}` };
  }
}

/** A byte that says "not compressed", and four of length. */
const FRAME_HEAD_BYTES = 5;

function inFrame(message: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** `message HealthCheckRequest { string service = 1; }` */
function encodeRequest(service: string): Buffer {
  const text = Buffer.from(service);
  if (text.length === 0) return text;
  const head = [0x0a];
  let left = text.length;
  for (; left > 0x7f; left >>= 7) head.push((left & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, left]), text]);
}

/** `message HealthCheckResponse { ServingStatus status = 1; }`: an enum's zero is left out. */
function decodeStatus(bytes: Buffer): number {
  return bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0;
}

/** ASCII only, which never fails; words in other letters stay as they came. */
function readPercents(text: string): string {
  return text.replace(/%([2-7][0-9A-Fa-f])/g, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
