import { createDecipheriv } from 'node:crypto';
import { fc, it as property } from '@fast-check/vitest';
import { ApplicationFailure, defaultPayloadConverter } from '@temporalio/common';
import {
  decodeArrayFromPayloads,
  decodeOptionalFailureToOptionalError,
  encodeErrorToFailure,
  encodeToPayloads,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import { describe, expect, it } from 'vitest';
import { EncryptionCodec, dataConverterOf, isEncrypted } from '../../src/runtime/codec.ts';

const KEYS: Record<string, string> = { OLD: Buffer.alloc(32, 1).toString('base64'), NEW: Buffer.alloc(32, 2).toString('base64'), SHORT: 'YWJj' };
const resolve = (ref: object): string => KEYS[(ref as { env: string }).env] ?? '';
const codec = (encodeWith: string, ...known: string[]): EncryptionCodec =>
  new EncryptionCodec({ encodeWith, keys: Object.fromEntries(known.map((name) => [name.toLowerCase(), { env: name }])) }, resolve);
const payload = (value: unknown) => defaultPayloadConverter.toPayload(value);

describe('the payload codec', () => {
  property.prop([fc.jsonValue()])('what went in comes out, and cannot be read in between', async (value) => {
    const one = codec('new', 'NEW');
    const [sealed] = await one.encode([payload(value)]);
    expect(isEncrypted(sealed ?? {})).toBe(true);
    const text = JSON.stringify(value);
    if (text.length > 8) expect(Buffer.from(sealed?.data ?? []).toString('latin1')).not.toContain(text);
    const [opened] = await one.decode([sealed ?? {}]);
    expect(defaultPayloadConverter.fromPayload(opened ?? {})).toEqual(JSON.parse(text));
  });

  it('the same twice is not the same', async () => {
    const [a, b] = await codec('new', 'NEW').encode([payload('x'), payload('x')]);
    expect(a?.data).not.toEqual(b?.data);
  });

  it('is what Temporal documents for its own examples: nonce of 12 bytes, text, tag of 16', async () => {
    const [{ metadata, data } = {}] = await codec('new', 'NEW').encode([payload('x')]);
    expect(Object.fromEntries(Object.entries(metadata ?? {}).map(([key, text]) => [key, Buffer.from(text).toString()]))).toEqual({
      encoding: 'binary/encrypted',
      'encryption-key-id': 'new',
    });
    const sealed = Buffer.from(data ?? []);
    const decipher = createDecipheriv('aes-256-gcm', Buffer.alloc(32, 2), sealed.subarray(0, 12)).setAuthTag(sealed.subarray(-16));
    expect(Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString('latin1')).toContain('"x"');
  });

  it('after a rotation what the old key made is still read, and the new one writes', async () => {
    const before = await codec('old', 'OLD').encode([payload('then')]);
    const rotated = codec('new', 'NEW', 'OLD');
    expect((await rotated.decode(before)).map((one) => defaultPayloadConverter.fromPayload(one))).toEqual(['then']);
    expect(Buffer.from((await rotated.encode(before))[0]?.metadata?.['encryption-key-id'] ?? []).toString()).toBe('new');
  });

  it('before the first key writes, every process can read: without encodeWith nothing is encrypted', async () => {
    const reader = new EncryptionCodec({ keys: { new: { env: 'NEW' } } }, resolve);
    const plain = [payload('x')];
    expect(await reader.encode(plain)).toEqual(plain);
    expect((await reader.decode(await codec('new', 'NEW').encode(plain))).map((one) => defaultPayloadConverter.fromPayload(one))).toEqual(['x']);
  });

  it('what was never encrypted passes through: signals by the Temporal UI, histories from before', async () => {
    const plain = [payload({ by: 'ada', reason: 'x' })];
    expect(await codec('new', 'NEW').decode(plain)).toEqual(plain);
  });

  it('I9: another key, a changed payload and an unknown key are told by the name of the key, never by its value', async () => {
    const sealed = await codec('old', 'OLD').encode([payload('x')]);
    await expect(codec('new', 'NEW').decode(sealed)).rejects.toMatchObject({
      code: 'CodecFailed',
      message: expect.stringMatching(/needs the codec's key old, and this process knows new/),
    });
    const data = Buffer.from(sealed[0]?.data ?? []);
    data[14] = (data[14] ?? 0) ^ 1;
    await expect(codec('old', 'OLD').decode([{ ...sealed[0], data }])).rejects.toMatchObject({
      code: 'CodecFailed',
      message: expect.stringMatching(/was changed/),
    });
    await expect(codec('old', 'OLD').decode([{ ...sealed[0], data: Buffer.alloc(3) }])).rejects.toMatchObject({ code: 'CodecFailed' });
    expect(() => codec('short', 'SHORT')).toThrow(/the codec's key short is no 32 bytes in base64: it has 3/);
  });

  it("a failure's words and stack are encrypted, its type is not: workflows and operators go by it", async () => {
    process.env['UNDERSTUDY_CODEC_TEST'] = KEYS['NEW'] ?? '';
    const converter = dataConverterOf({ encodeWith: 'new', keys: { new: { env: 'UNDERSTUDY_CODEC_TEST' } } });
    const failure = await encodeErrorToFailure(
      converter,
      ApplicationFailure.create({ message: 'host 10.0.0.1 is gone', type: 'DatabaseUnreachable', details: ['10.0.0.1'] }),
    );
    expect(failure.applicationFailureInfo?.type).toBe('DatabaseUnreachable');
    expect(JSON.stringify(failure, (_, value: unknown) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value))).not.toContain(
      '10.0.0.1',
    );
    expect((await decodeOptionalFailureToOptionalError(converter, failure))?.message).toBe('host 10.0.0.1 is gone');
  });

  it('without a codec everything is as it was', async () => {
    const converter = dataConverterOf(undefined);
    expect(await decodeArrayFromPayloads(converter, await encodeToPayloads(converter, { a: 1 }))).toEqual([{ a: 1 }]);
  });
});
