import type { Trouble } from '../provider.ts';

/** What the batch asks to delete is not there any more, or what it creates is; `InvalidInput` is the emulator's word for it. */
const CHANGED = new Set(['InvalidChangeBatch', 'InvalidInput']);
const KEY = new Set([
  'AccessDenied',
  'AccessDeniedException',
  'CredentialsProviderError',
  'ExpiredToken',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationToken',
  'SignatureDoesNotMatch',
  'UnrecognizedClientException',
]);
const BUSY = new Set(['PriorRequestNotComplete', 'Throttling', 'ThrottlingException', 'TooManyRequestsException']);

export type RequestTrouble = Trouble | { readonly outcome: 'changed-meanwhile'; readonly words: string };

/** AWS' answer, or the lack of one, as an outcome; undefined where it is neither. */
export function troubleOf(error: unknown, timedOut: boolean, timeoutMs: number): RequestTrouble | undefined {
  if (!(error instanceof Error)) return undefined;
  if (timedOut) return { outcome: 'slow', words: `Route 53 gave no answer within ${timeoutMs} ms` };
  const { name, message } = error;
  const words = `Route 53 answered ${name}: ${message}`;
  if (CHANGED.has(name)) return { outcome: 'changed-meanwhile', words };
  if (KEY.has(name)) return { outcome: 'key-refused', words };
  if (BUSY.has(name)) return { outcome: 'slow', words };
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  if (status !== undefined) return { outcome: status >= 500 ? 'unreachable' : 'refused', words };
  // It could not be read: a gateway's page, or no Route 53.
  const response = (error as { $response?: { statusCode?: number } }).$response;
  if (response !== undefined) return { outcome: (response.statusCode ?? 0) >= 500 ? 'unreachable' : 'refused', words };
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? undefined : { outcome: 'unreachable', words: `Route 53 is out of reach: ${message || code}` };
}
