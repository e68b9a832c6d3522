import type { Trouble } from './provider.ts';

export interface HttpLimits {
  /** For the whole exchange, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export type HttpAnswer = { readonly outcome: 'answer'; readonly status: number; readonly body: string };

/** More than any zone's page of records takes; what is longer is no answer of an API that we know. */
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * One exchange over HTTP. Whatever status it has is an answer; that there is none is an outcome. A redirect is not followed, since the
 * key would go along.
 *
 * @throws the signal's reason where it is aborted
 */
export async function askHttp(
  url: string,
  request: { readonly method?: string; readonly headers: Readonly<Record<string, string>>; readonly body?: string },
  { timeoutMs, signal }: HttpLimits,
): Promise<HttpAnswer | Trouble> {
  signal.throwIfAborted();
  const where = new URL(url).host;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, { ...request, redirect: 'manual', signal: AbortSignal.any([signal, timeout]) });
    const body = await readBody(response);
    if (body === undefined) return { outcome: 'refused', words: `${where} answered more than ${MOST_BYTES} bytes` };
    return { outcome: 'answer', status: response.status, body };
  } catch (error) {
    signal.throwIfAborted();
    if (timeout.aborted) return { outcome: 'slow', words: `${where} gave no whole answer within ${timeoutMs} ms` };
    // Fetch says "fetch failed", and why in the cause.
    if (error instanceof TypeError) return { outcome: 'unreachable', words: `${where}: ${reasonOf(error)}` };
    throw error;
  }
}

async function readBody(response: Response): Promise<string | undefined> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    length += chunk.byteLength;
    if (length > MOST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function reasonOf(error: Error): string {
  const cause = error.cause;
  if (!(cause instanceof Error)) return error.message;
  const { code } = cause as NodeJS.ErrnoException;
  return cause.message !== '' ? cause.message : (code ?? error.message);
}

/** A JSON answer; undefined where it is none. */
export function readJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
