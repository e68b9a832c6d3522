import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import type { HostPort, SecretRef } from '../model/config.ts';
import { AnswerBook } from './answers.ts';
import { healthAnswer, type UnknownHealth } from './health.ts';
import { type FlagKey, KeyRing, maySee, type RateLimit } from './keys.ts';
import { decode, Ofrep } from './ofrep.ts';
import { attempt, corsOf, type Headers, PREFLIGHT, refuse, reply, replyEmpty } from './reply.ts';
import type { FlagStore } from './store.ts';
import { type StreamLimits, Streams } from './streams.ts';

export interface FlagServerLimits extends RateLimit, StreamLimits {
  readonly bodyBytes: number;
  readonly connections: number;
}

export const FLAG_SERVER_LIMITS: FlagServerLimits = {
  perSecond: 2000,
  burst: 4000,
  bodyBytes: 65_536,
  connections: 4000,
  streams: 1000,
  streamsPerKey: 500,
  keepAliveMs: 15_000,
};

export interface FlagServerOptions {
  /** Port 0 takes a free one. */
  readonly listen: HostPort;
  readonly store: FlagStore;
  readonly keys: readonly FlagKey[];
  /** Whose pages may read the answers; `*` for everybody's. */
  readonly origins?: readonly string[];
  readonly limits?: Partial<FlagServerLimits>;
  /** How clients reach this server where that is not as it listens, with a path prefix at most. */
  readonly publicUrl?: string;
  /** What `GET /health/<service>` answers where a service's health is unknown; left out: 200. */
  readonly unknownIs?: UnknownHealth;
  readonly resolveSecret?: (ref: SecretRef) => string;
  readonly log: Logger;
}

export interface FlagServer {
  readonly url: string;
  /** Ends every stream and connection. The store stays its owner's. */
  stop(): Promise<void>;
}

interface Room {
  readonly options: FlagServerOptions;
  readonly answers: AnswerBook;
  readonly keys: KeyRing;
  readonly ofrep: Ofrep;
  readonly streams: Streams;
}

/**
 * Answers flags and health over HTTP: OFREP, flagd files, `/health/<service>` for load balancers, and `/health` of itself.
 *
 * @throws UnderstudyError `SecretMissing`; Error where the address cannot be listened on
 */
export async function startFlagServer(options: FlagServerOptions): Promise<FlagServer> {
  const { listen, store, log, publicUrl, resolveSecret } = options;
  const limits = { ...FLAG_SERVER_LIMITS, ...options.limits };
  const keys = new KeyRing(options.keys, limits, resolveSecret);
  const streams = new Streams(limits, log);
  const answers = new AnswerBook(store, publicUrl ?? '', (service, now) => streams.tell(service, now));
  const room: Room = { options, answers, keys, streams, ofrep: new Ofrep({ answers, keys, streams, publicUrl, log, maxBodyBytes: limits.bodyBytes }) };
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5000, keepAliveTimeout: 65_000 }, (request, response) => {
    attempt(response, log, () => answer(room, request, response));
  });
  server.maxConnections = limits.connections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => log.error({ err: error }, 'the flag server has an error of its socket'));
  const { address, port, family } = server.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  log.info({ url }, 'flags are told');
  return {
    url,
    stop: async () => {
      answers.close();
      streams.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(room: Room, request: IncomingMessage, response: ServerResponse): void {
  const { url = '/', method } = request;
  const cut = url.indexOf('?');
  const path = cut < 0 ? url : url.slice(0, cut);
  const query = cut < 0 ? '' : url.slice(cut + 1);
  const cors = corsOf(request.headers.origin, room.options.origins ?? []);
  if (method === 'OPTIONS') return replyEmpty(response, 204, cors.includes('access-control-allow-origin') ? [...cors, ...PREFLIGHT] : cors);
  if (path.startsWith('/ofrep/')) return room.ofrep.answer(request, response, path, query, undefined, cors);
  const prefixed = /^\/services\/([^/]+)(\/ofrep\/.*)$/.exec(path);
  if (prefixed !== null) {
    const [, part, rest] = prefixed as unknown as [string, string, string];
    const service = decode(part);
    if (service === null) return refuse(response, 400, cors, "the service's name is no URL-encoded text", 'PARSE_ERROR');
    return room.ofrep.answer(request, response, rest, query, service, cors);
  }
  if (method !== 'GET' && method !== 'HEAD') return refuse(response, 404, cors, 'no such path');
  if (path === '/health') return own(room, response, cors);
  const health = /^\/health\/([^/]+)$/.exec(path)?.[1];
  if (health !== undefined) return healthOf(room, request, response, decode(health), cors);
  const flagd = /^\/flagd\/([^/]+)\.json$/.exec(path)?.[1];
  if (flagd !== undefined) return flagdOf(room, request, response, decode(flagd), cors);
  refuse(response, 404, cors, 'no such path');
}

/** Of this server: it answers from what it knows while its source is away, so that alone makes it no less fit. */
function own({ options: { store }, streams }: Room, response: ServerResponse, headers: Headers): void {
  const { source, diskError } = store;
  const status = diskError === undefined && source === 'up' ? 'pass' : 'warn';
  const body = { status, source, services: store.services().length, streams: streams.count, disk: diskError === undefined ? 'pass' : 'fail' };
  reply(response, 200, headers, Buffer.from(`${JSON.stringify(body)}\n`), 'application/health+json');
}

/** Without a key, a load balancer gets the status; the checks and their words are for whoever may see the service. */
function healthOf({ options, keys }: Room, request: IncomingMessage, response: ServerResponse, service: string | null, headers: Headers): void {
  const health = service === null ? undefined : options.store.health(service);
  if (health === undefined) return refuse(response, 404, headers, 'no such service');
  const caller = keys.callerOf(request.headers);
  const { code, body } = healthAnswer(health, options.unknownIs ?? 200, caller !== undefined && maySee(caller, health.service));
  reply(response, code, [...headers, 'cache-control', 'no-store'], body, 'application/health+json');
}

function flagdOf({ answers, keys, options }: Room, request: IncomingMessage, response: ServerResponse, service: string | null, headers: Headers): void {
  const caller = keys.callerOf(request.headers);
  if (caller === undefined) return refuse(response, 401, [...headers, 'www-authenticate', 'Bearer'], 'this wants a key');
  const waitS = caller.bucket.take();
  if (waitS > 0) return refuse(response, 429, [...headers, 'retry-after', String(waitS)], `the key ${caller.name} asks too often`);
  if (service === null || !maySee(caller, service)) return refuse(response, 403, headers, `the key ${caller.name} does not see this service`);
  if (options.store.get(service) === undefined) return refuse(response, 404, headers, 'nothing is known of this service');
  reply(response, 200, headers, answers.get(service).flagd);
}
