import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from 'pino';

/** OFREP's codes for an evaluation that failed. */
export type EvaluationError = 'PARSE_ERROR' | 'INVALID_CONTEXT' | 'FLAG_NOT_FOUND' | 'GENERAL';

/** Header names and values by turns, as `writeHead` takes them without a look at each. */
export type Headers = readonly string[];

const JSON_TYPE = 'application/json; charset=utf-8';

export function reply(response: ServerResponse, code: number, headers: Headers, body: Buffer, type = JSON_TYPE): void {
  response.writeHead(code, [...headers, 'content-type', type, 'content-length', String(body.length)]);
  response.end(body);
}

export function replyEmpty(response: ServerResponse, code: 204 | 304, headers: Headers): void {
  response.writeHead(code, [...headers]);
  response.end();
}

/** @param key the flag's, where one flag was asked for */
export function refuse(response: ServerResponse, code: number, headers: Headers, errorDetails: string, errorCode?: EvaluationError, key?: string): void {
  const said = { ...(key === undefined ? {} : { key }), ...(errorCode === undefined ? {} : { errorCode }), errorDetails };
  reply(response, code, headers, Buffer.from(JSON.stringify(said)));
}

/** A failure of ours costs the one request that met it. */
export function attempt(response: ServerResponse, log: Logger, work: () => void): void {
  try {
    work();
  } catch (error) {
    log.error({ err: error, url: response.req.url?.split('?')[0] }, 'a request failed inside the flag server');
    if (response.headersSent) response.destroy();
    else refuse(response, 500, [], 'the flag server failed; its log says why');
  }
}

/**
 * Reads a body of bounded size.
 *
 * @param then is called once with the text, or with undefined where there is more than that; never where the client goes away before the end
 */
export function readBody(request: IncomingMessage, maxBytes: number, then: (text: string | undefined) => void): void {
  const announced = request.headers['content-length'];
  if (announced !== undefined && Number(announced) > maxBytes) return then(undefined);
  const chunks: Buffer[] = [];
  let length = 0;
  const onData = (chunk: Buffer): void => {
    length += chunk.length;
    if (length <= maxBytes) return void chunks.push(chunk);
    request.off('data', onData).off('end', onEnd).pause();
    then(undefined);
  };
  const onEnd = (): void => then(chunks.length === 1 ? (chunks[0] as Buffer).toString('utf8') : Buffer.concat(chunks).toString('utf8'));
  request.on('data', onData).on('end', onEnd);
}

/**
 * What lets pages of some origins read the answers; nothing for others, which a browser then keeps from them.
 *
 * @param origins exact ones, `https://shop.example.com`; `*` stands for every page: the keys guard the flags then, alone
 */
export function corsOf(origin: string | undefined, origins: readonly string[]): Headers {
  if (origin === undefined || origins.length === 0) return [];
  if (!origins.includes('*') && !origins.includes(origin)) return ['vary', 'origin'];
  return ['access-control-allow-origin', origin, 'access-control-expose-headers', 'etag, retry-after', 'vary', 'origin'];
}

/** What a page may send, said to its browser beforehand. */
export const PREFLIGHT: Headers = [
  'access-control-allow-methods',
  'GET, POST',
  'access-control-allow-headers',
  'authorization, x-api-key, content-type, if-none-match',
  'access-control-max-age',
  '600',
];
