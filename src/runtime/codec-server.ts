import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { UnderstudyError } from '../model/error.ts';

/** As payloads are written in JSON: bytes in base64. @see Temporal's documentation, "Codec Server" */
interface Written {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly data?: string;
}

const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Opens payloads for a person's browser or for Temporal's command line on this machine. Whoever reaches it reads everything, so it listens on the loopback
 * alone, and answers pages of one origin alone: another page that the person has open, and a name that was pointed here, are refused.
 *
 * @param origin where Temporal's UI is: `https://temporal.example.com`
 */
export function createCodecServer(codec: PayloadCodec, origin: string): Server {
  return createServer((request, response) => {
    void answer(codec, origin, request, response);
  });
}

async function answer(codec: PayloadCodec, origin: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '', headers } = request;
  const say = (status: number, words: string): void => void response.writeHead(status, { 'content-type': 'text/plain' }).end(`${words}\n`);
  if (!/^(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?$/.test(headers.host ?? '')) return say(403, 'asked by another name than this machine has for itself');
  if (headers.origin !== undefined) {
    if (headers.origin !== origin) return say(403, `pages of ${headers.origin} are not answered`);
    response.setHeader('access-control-allow-origin', origin);
    response.setHeader('access-control-allow-methods', 'POST');
    response.setHeader('access-control-allow-headers', 'authorization,content-type,x-namespace');
    response.setHeader('access-control-allow-private-network', 'true');
    response.setHeader('vary', 'origin');
  }
  if (method === 'OPTIONS') return void response.writeHead(204).end();
  const work = /\/(encode|decode)$/.exec(url.split('?')[0] ?? '')?.[1] as 'encode' | 'decode' | undefined;
  if (method !== 'POST' || work === undefined) return say(404, 'POST /decode or /encode');
  // A page may send plain text without asking first, but not this.
  if (!headers['content-type']?.startsWith('application/json')) return say(415, 'application/json');
  const text = await readAll(request);
  const payloads = text === undefined ? undefined : parse(text);
  if (payloads === undefined) return say(400, '{ "payloads": [ … ] }');
  try {
    const made = await codec[work](payloads.map(read));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ payloads: made.map(write) }));
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    say(400, error.message);
  }
}

/** Undefined where there is more of it than a history's largest payloads make. */
async function readAll(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): Written[] | undefined {
  try {
    const { payloads } = JSON.parse(text) as { payloads?: unknown };
    return Array.isArray(payloads) && payloads.every(isWritten) ? payloads : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}

function isWritten(value: unknown): value is Written {
  if (typeof value !== 'object' || value === null) return false;
  const { metadata = {}, data = '' } = value as Record<string, unknown>;
  return typeof data === 'string' && typeof metadata === 'object' && metadata !== null && Object.values(metadata).every((one) => typeof one === 'string');
}

const read = ({ metadata = {}, data = '' }: Written): Payload => ({
  metadata: Object.fromEntries(Object.entries(metadata).map(([key, text]) => [key, Buffer.from(text, 'base64')])),
  data: Buffer.from(data, 'base64'),
});

const write = ({ metadata, data }: Payload): Written => ({
  metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')])),
  data: Buffer.from(data ?? []).toString('base64'),
});
