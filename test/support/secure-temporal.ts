import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type { TLSSocket } from 'node:tls';

export interface SecureTemporalOptions {
  /** The development server, which speaks no TLS and asks nobody who he is. */
  readonly target: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Those that do, asked at each call; left out: nobody needs a key. */
  readonly apiKey?: () => string | readonly string[];
}

const { HTTP2_HEADER_AUTHORIZATION: AUTHORIZATION, HTTP2_HEADER_AUTHORITY: AUTHORITY, HTTP2_HEADER_SCHEME: SCHEME } = http2.constants;

/**
 * What stands before a Temporal server in production: TLS, client certificates, an API key. It passes gRPC on, and notes who came and what he showed.
 */
export class SecureTemporal {
  readonly address: string;
  /** The common names of the certificates that were shown. */
  readonly callers = new Set<string>();
  readonly authorizations = new Set<string | undefined>();
  /** The gRPC clients that called, by their names. */
  readonly clients = new Set<string | undefined>();
  /** The gRPC client's name and the key that it showed, of each call. */
  readonly keysOfClients = new Set<string>();
  refused = 0;
  readonly #server: http2.Http2SecureServer;
  readonly #sessions = new Set<http2.Http2Session>();
  readonly #options: SecureTemporalOptions;

  private constructor(server: http2.Http2SecureServer, options: SecureTemporalOptions) {
    this.#server = server;
    this.#options = options;
    this.address = `127.0.0.1:${(server.address() as { port: number }).port}`;
    server.on('session', (session) => this.#accept(session));
  }

  static async start(options: SecureTemporalOptions): Promise<SecureTemporal> {
    const server = http2.createSecureServer({
      ca: readFileSync(options.ca),
      cert: readFileSync(options.cert),
      key: readFileSync(options.key),
      requestCert: true,
      rejectUnauthorized: true,
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new SecureTemporal(server, options);
  }

  /** Ends every connection; whoever wants to go on makes a new one. */
  disconnect(): void {
    for (const session of this.#sessions) session.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.disconnect();
    await closed;
  }

  #accept(session: http2.ServerHttp2Session): void {
    this.callers.add((session.socket as TLSSocket).getPeerCertificate().subject?.CN as string);
    const upstream = http2.connect(`http://${this.#options.target}`);
    for (const one of [session, upstream]) {
      this.#sessions.add(one);
      // Told by `close`, too.
      one.on('error', () => undefined);
      one.on('close', () => this.#sessions.delete(one));
    }
    session.on('close', () => upstream.destroy());
    upstream.on('close', () => session.destroy());
    session.on('stream', (stream, headers) => this.#pass(stream, headers, upstream));
  }

  #pass(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, upstream: http2.ClientHttp2Session): void {
    this.authorizations.add(headers.authorization);
    this.keysOfClients.add(`${/^[a-z-]+/.exec(headers['user-agent'] ?? '')?.[0]} ${headers.authorization}`);
    this.clients.add(/^[a-z-]+/.exec(headers['user-agent'] ?? '')?.[0]);
    stream.on('error', () => undefined);
    const { apiKey, target } = this.#options;
    if (apiKey !== undefined && ![apiKey()].flat().some((key) => headers.authorization === `Bearer ${key}`)) {
      this.refused += 1;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '16', 'grpc-message': 'no such key' }, { endStream: true });
      return;
    }
    if (upstream.destroyed) {
      stream.destroy();
      return;
    }
    const { [AUTHORIZATION]: _, ...rest } = headers;
    const call = upstream.request({ ...rest, [AUTHORITY]: target, [SCHEME]: 'http' });
    let trailers: http2.IncomingHttpHeaders = {};
    call.on('error', () => stream.destroyed || stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
    call.on('response', (response, flags) => {
      if (stream.destroyed) return;
      if ((flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0) stream.respond(response, { endStream: true });
      else stream.respond(response, { waitForTrailers: true });
    });
    call.on('trailers', (sent) => (trailers = sent));
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('close', () => call.destroyed || call.close(http2.constants.NGHTTP2_CANCEL));
    stream.pipe(call);
    call.pipe(stream);
  }
}
