import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EncryptionCodec } from '../../src/runtime/codec.ts';
import { createCodecServer } from '../../src/runtime/codec-server.ts';

const ORIGIN = 'https://temporal.test';
const codec = new EncryptionCodec({ encodeWith: 'a', keys: { a: { env: 'A' } } }, () => Buffer.alloc(32, 7).toString('base64'));

describe('the codec server', () => {
  const server = createCodecServer(codec, ORIGIN);
  let port: number;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  interface Answer {
    readonly status: number | undefined;
    readonly headers: http.IncomingHttpHeaders;
    readonly text: string;
  }
  /** By hand: `fetch` lets nobody set these headers. */
  const ask = (method: string, path: string, headers: Record<string, string>, body = ''): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const request = http.request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      request.on('error', reject);
      request.end(body);
    });
  const JSON_TYPE = { 'content-type': 'application/json', origin: ORIGIN };

  it('opens what was sealed, and seals', async () => {
    const plain = defaultPayloadConverter.toPayload({ reason: 'x' });
    const written = {
      metadata: { encoding: Buffer.from(plain.metadata?.['encoding'] ?? []).toString('base64') },
      data: Buffer.from(plain.data ?? []).toString('base64'),
    };
    const sealed = await ask('POST', '/encode', JSON_TYPE, JSON.stringify({ payloads: [written] }));
    expect(sealed.text).not.toContain(written.data);
    const opened = await ask('POST', '/decode', JSON_TYPE, sealed.text);
    expect(opened).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': ORIGIN } });
    expect(JSON.parse(opened.text)).toEqual({ payloads: [written] });
  });

  it('asked beforehand by a browser, it allows what the UI sends', async () => {
    const answer = await ask('OPTIONS', '/decode', {
      origin: ORIGIN,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-namespace',
    });
    expect(answer).toMatchObject({ status: 204, headers: { 'access-control-allow-headers': expect.stringContaining('x-namespace') } });
  });

  it.each<[string, number, string, string, Record<string, string>, string]>([
    ['a page of another origin', 403, 'POST', '/decode', { ...JSON_TYPE, origin: 'https://evil.test' }, '{"payloads":[]}'],
    ['a name that was pointed here', 403, 'POST', '/decode', { ...JSON_TYPE, host: 'evil.test' }, '{"payloads":[]}'],
    ['what a page may send without asking', 415, 'POST', '/decode', { 'content-type': 'text/plain' }, '{"payloads":[]}'],
    ['another question', 404, 'GET', '/decode', {}, ''],
    ['no JSON', 400, 'POST', '/decode', JSON_TYPE, '{'],
    ['nothing', 400, 'POST', '/decode', JSON_TYPE, 'null'],
    ['no payloads', 400, 'POST', '/decode', JSON_TYPE, '{"payloads":[{"data":7}]}'],
    [
      'another key',
      400,
      'POST',
      '/decode',
      JSON_TYPE,
      JSON.stringify({ payloads: [{ metadata: { encoding: Buffer.from('binary/encrypted').toString('base64') }, data: '' }] }),
    ],
    ['more than any history has', 400, 'POST', '/decode', JSON_TYPE, 'x'.repeat(5_000_000)],
  ])('is refused: %s', async (_, status, method, path, headers, body) => {
    const answer = await ask(method, path, headers, body);
    expect(answer.status).toBe(status);
    if (status === 403) expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });
});
