import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { AnswerBook, Answers } from './answers.ts';
import { type Caller, type KeyRing, maySee } from './keys.ts';
import { attempt, type EvaluationError, type Headers, readBody, refuse, reply, replyEmpty } from './reply.ts';
import type { Streams } from './streams.ts';

export interface OfrepParts {
  readonly answers: AnswerBook;
  readonly keys: KeyRing;
  readonly streams: Streams;
  readonly maxBodyBytes: number;
  readonly log: Logger;
  /** How browsers reach this server: `https://flags.example.com`. Left out: as they reached it for the evaluation. */
  readonly publicUrl?: string | undefined;
}

const EVALUATE = '/ofrep/v1/evaluate/flags';
const EVENTS = '/ofrep/v1/events';
/** After that long in the background, a page closes its stream; it evaluates again when it comes back. */
const INACTIVITY_DELAY_S = 120;

/**
 * OFREP 0.3.0: one flag, all flags, and the stream of events, of the one service that the key sees or of the one that the path names.
 *
 * @see https://github.com/open-feature/protocol, service/openapi.yaml
 */
export class Ofrep {
  readonly #parts: OfrepParts;
  /** Bulk bodies by key: each has its own address of the stream in it. */
  readonly #bulks = new WeakMap<Answers, Map<string, Buffer>>();

  constructor(parts: OfrepParts) {
    this.#parts = parts;
  }

  /**
   * @param path without the prefix that names a service: `/ofrep/v1/…`
   * @param named the service of that prefix
   */
  answer(request: IncomingMessage, response: ServerResponse, path: string, query: string, named: string | undefined, headers: Headers): void {
    if (path === EVENTS) return this.#events(request, response, query, named, headers);
    if (path !== EVALUATE && !path.startsWith(`${EVALUATE}/`)) return refuse(response, 404, headers, 'no such path in OFREP 0.3.0');
    if (request.method !== 'POST') return refuse(response, 405, [...headers, 'allow', 'POST'], 'POST evaluates');
    const caller = this.#callerOf(request, response, headers);
    if (caller === undefined) return;
    const key = path === EVALUATE ? undefined : decode(path.slice(EVALUATE.length + 1));
    if (key === null) return refuse(response, 400, headers, "the flag's key is no URL-encoded text", 'PARSE_ERROR');
    const waitS = caller.bucket.take();
    if (waitS > 0) return refuse(response, 429, [...headers, 'retry-after', String(waitS)], `the key ${caller.name} asks too often`, undefined, key);
    const service = serviceFor(caller, named, response, headers, key);
    if (service === undefined) return;
    const evaluate = (text: string | undefined): void => {
      if (text === undefined) {
        // The rest of it is not read: this connection is of no more use.
        return refuse(response, 413, [...headers, 'connection', 'close'], `a body holds at most ${this.#parts.maxBodyBytes} bytes`, 'PARSE_ERROR', key);
      }
      const wrong = mistakeIn(text);
      if (wrong !== undefined) return refuse(response, 400, headers, wrong.words, wrong.code, key);
      if (key === undefined) this.#all(request, response, caller, service, headers);
      else this.#one(response, service, key, headers);
    };
    readBody(request, this.#parts.maxBodyBytes, (text) => attempt(response, this.#parts.log, () => evaluate(text)));
  }

  #one(response: ServerResponse, service: string, key: string, headers: Headers): void {
    const body = this.#parts.answers.get(service).one.get(key);
    if (body === undefined) return refuse(response, 404, headers, `the service ${service} has no flag of this key`, 'FLAG_NOT_FOUND', key);
    reply(response, 200, headers, body);
  }

  #all(request: IncomingMessage, response: ServerResponse, caller: Caller, service: string, headers: Headers): void {
    const answers = this.#parts.answers.get(service);
    const tagged = [...headers, 'etag', answers.etag, 'cache-control', 'private, no-cache'];
    if (namesTag(request.headers['if-none-match'], answers.etag)) return replyEmpty(response, 304, tagged);
    reply(response, 200, tagged, this.#bulkFor(answers, caller, service));
  }

  #bulkFor(answers: Answers, caller: Caller, service: string): Buffer {
    const byKey = this.#bulks.get(answers) ?? new Map<string, Buffer>();
    this.#bulks.set(answers, byKey);
    const known = byKey.get(caller.name);
    if (known !== undefined) return known;
    const { keys, publicUrl } = this.#parts;
    const query = new URLSearchParams({ key: caller.name, ticket: keys.ticketFor(caller, service) }).toString();
    const path = `/services/${encodeURIComponent(service)}${EVENTS}?${query}`;
    const where = publicUrl === undefined ? { endpoint: { requestUri: path } } : { url: `${publicUrl.replace(/\/$/, '')}${path}` };
    const streams = [{ type: 'sse', ...where, inactivityDelaySec: INACTIVITY_DELAY_S }];
    const body = Buffer.from(`{${answers.bulk},"eventStreams":${JSON.stringify(streams)}}`);
    byKey.set(caller.name, body);
    return body;
  }

  #events(request: IncomingMessage, response: ServerResponse, query: string, named: string | undefined, headers: Headers): void {
    if (request.method !== 'GET') return refuse(response, 405, [...headers, 'allow', 'GET'], 'GET opens the stream');
    const { keys, streams, answers } = this.#parts;
    const given = new URLSearchParams(query);
    const ticket = given.get('ticket');
    // A browser's EventSource brings a ticket, which is good for the service of its path alone; other clients send their key as ever.
    const byTicket = ticket === null || named === undefined ? undefined : keys.callerOfTicket(given.get('key') ?? '', named, ticket);
    const caller = byTicket ?? this.#callerOf(request, response, headers);
    if (caller === undefined) return;
    const waitS = caller.bucket.take();
    if (waitS > 0) return refuse(response, 429, [...headers, 'retry-after', String(waitS)], `the key ${caller.name} asks too often`);
    const service = serviceFor(caller, named, response, headers, undefined);
    if (service === undefined) return;
    if (!streams.hasRoomFor(caller.name)) return refuse(response, 503, [...headers, 'retry-after', '30'], 'too many streams are open: ask again, or poll');
    const last = request.headers['last-event-id'];
    streams.open(caller.name, service, response, headers, answers.get(service), typeof last === 'string' ? last : undefined);
  }

  #callerOf(request: IncomingMessage, response: ServerResponse, headers: Headers): Caller | undefined {
    const caller = this.#parts.keys.callerOf(request.headers);
    if (caller === undefined) refuse(response, 401, [...headers, 'www-authenticate', 'Bearer'], 'this wants a key: Authorization: Bearer …, or X-API-Key');
    return caller;
  }
}

/** The service that is meant; where there is none, the response says why. */
function serviceFor(caller: Caller, named: string | undefined, response: ServerResponse, headers: Headers, key: string | undefined): string | undefined {
  if (named !== undefined) {
    if (maySee(caller, named)) return named;
    refuse(response, 403, headers, `the key ${caller.name} does not see the service ${named}`);
    return undefined;
  }
  if (caller.services !== 'all' && caller.services.length === 1) return caller.services[0];
  refuse(response, 400, headers, `the key ${caller.name} sees several services: name one, /services/<service>/ofrep/v1/…`, 'GENERAL', key);
  return undefined;
}

/** No flag depends on the context, and a wrong one is still the client's mistake to hear of. */
function mistakeIn(text: string): { code: EvaluationError; words: string } | undefined {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { code: 'PARSE_ERROR', words: 'the body is no JSON' };
  }
  if (!isObject(body)) return { code: 'PARSE_ERROR', words: 'the body is no JSON object: {"context": {…}}' };
  const { context } = body;
  if (context === undefined) return undefined;
  if (!isObject(context)) return { code: 'INVALID_CONTEXT', words: 'the context is no JSON object' };
  const { targetingKey } = context;
  if (targetingKey === undefined || typeof targetingKey === 'string') return undefined;
  return { code: 'INVALID_CONTEXT', words: 'the targetingKey is no text' };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @see RFC 9110, 13.1.2: the comparison is weak */
function namesTag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((one) => {
    const tag = one.trim();
    return tag === '*' || tag === etag || tag === `W/${etag}`;
  });
}

/** Null where it is not URL-encoded text. */
export function decode(part: string): string | null {
  if (!part.includes('%')) return part;
  try {
    return decodeURIComponent(part);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}
