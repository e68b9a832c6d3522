import { readFileSync } from 'node:fs';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { UnderstudyError } from '../model/error.ts';
import type { HttpProbeTls } from '../model/probe.ts';
import { sayHost } from './bounded.ts';
import type { Ending } from './bounded.ts';

/** What is read of a body, at most: a health page is small, and a probe that reads a download would carry the traffic of one. */
const BODY_LIMIT_BYTES = 1024 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
  /** More came than was read; the connection was closed over it. */
  readonly cut: boolean;
  /** When the certificate ends, by the server's own word: milliseconds since 1970. Undefined without TLS. */
  readonly certificateEndsMs: number | undefined;
}

/** Asks one URL again and again over one connection that is kept. */
export class HttpExchange {
  readonly who: string;
  readonly #url: URL;
  readonly #tls: HttpProbeTls;
  readonly #options: { readonly method: string; readonly headers: Readonly<Record<string, string>> };
  #agent: HttpAgent | HttpsAgent | undefined;

  constructor(url: URL, method: string, headers: Readonly<Record<string, string>>, tls: HttpProbeTls = {}) {
    this.#url = url;
    this.#tls = tls;
    this.#options = { method, headers };
    this.who = sayHost(this.#host, url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port));
  }

  get #host(): string {
    return this.#url.hostname.replace(/^\[|\]$/g, '');
  }

  /** Sends the request; what comes of it goes to `answered` once, or ends the look. Returns what breaks it off. */
  start(ending: Ending, answered: (answer: HttpAnswer) => void): () => void {
    let stopped = false;
    let current: ClientRequest | undefined;
    const send = (again?: () => void): void => {
      if (stopped) return;
      try {
        current = this.#send(ending, answered, again);
      } catch (error) {
        // An authority's file that cannot be read, or holds no certificate: of our own side.
        ending.settle({ outcome: 'unknown', words: `${this.who} could not be asked: ${(error as Error).message}` });
      }
    };
    send(send);
    return () => {
      stopped = true;
      current?.destroy();
    };
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  /**
   * A server may close an idle connection at the very moment that it is used again, which says nothing of its health: `again` sends the
   * request on a new one.
   *
   * @see Node.js manual, "request.reusedSocket"
   */
  #send(ending: Ending, answered: (answer: HttpAnswer) => void, again: (() => void) | undefined): ClientRequest {
    const secure = this.#url.protocol === 'https:';
    this.#agent ??= secure ? this.#makeHttpsAgent() : new HttpAgent(KEPT);
    const request = (secure ? httpsRequest : httpRequest)(this.#url, { ...this.#options, agent: this.#agent });
    request.on('socket', (socket) => follow(socket, this.#host, ending));
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (request.reusedSocket && again !== undefined && (error.code === 'ECONNRESET' || error.code === 'EPIPE')) again();
      else ending.fail(this.who, error);
    });
    request.on('response', (response) => {
      ending.at('reading the body');
      this.#read(request, response, ending, answered);
    });
    request.end();
    return request;
  }

  #read(request: ClientRequest, response: IncomingMessage, ending: Ending, answered: (answer: HttpAnswer) => void): void {
    const { socket } = response;
    const certificateEndsMs = socket instanceof TLSSocket ? Date.parse(socket.getPeerCertificate().valid_to) : undefined;
    const chunks: Buffer[] = [];
    let bytes = 0;
    const tell = (cut: boolean): void => answered({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8'), cut, certificateEndsMs });
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= BODY_LIMIT_BYTES) return void chunks.push(chunk);
      tell(true);
      request.destroy();
    });
    response.on('end', () => tell(false));
    response.on('error', (error) => ending.fail(this.who, error));
  }

  /** No session is resumed: a certificate is looked at, and checked, whenever a connection is made. */
  #makeHttpsAgent(): HttpsAgent {
    const { ca, serverName } = this.#tls;
    return new HttpsAgent({
      ...KEPT,
      maxCachedSessions: 0,
      ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
      ...(serverName === undefined ? {} : { servername: serverName }),
    });
  }
}

const KEPT = { keepAlive: true, maxSockets: 1 };

/** Says how far a new connection has come. */
function follow(socket: Socket, host: string, ending: Ending): void {
  if (!socket.connecting) return ending.at('waiting for the answer');
  if (isIP(host) === 0) ending.at('looking up its name', 'ours');
  else ending.at('connecting');
  socket.once('lookup', () => ending.at('connecting'));
  socket.once('connect', () => ending.at('waiting for the answer'));
}

/** @throws UnderstudyError `ConfigInvalid` for what is no URL of HTTP */
export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new UnderstudyError('ConfigInvalid', `a probe's url is ${JSON.stringify(text)}; it must begin with http:// or https://`, { url: text });
}
