import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import {
  DefaultFailureConverter,
  type LoadedDataConverter,
  type Payload,
  type PayloadCodec,
  defaultFailureConverter,
  defaultPayloadConverter,
} from '@temporalio/common';
import proto from '@temporalio/proto';
import type { CodecConfig, SecretRef } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';
import { resolveSecret } from './secret.ts';

/** As Temporal's own examples write it, so that other codec servers read it. */
const ENCODING = Buffer.from('binary/encrypted');
const KEY_ID = 'encryption-key-id';
const KEY_BYTES = 32;
/** @see NIST SP 800-38D, 8.2: 96 bits, never twice under one key */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

const { Payload: Wire } = proto.temporal.api.common.v1;

/**
 * Encrypts every payload whole, AES-256-GCM, each with a nonce of its own. What is not encrypted passes through: histories from before the codec, and
 * signals that a person sends by Temporal's own tools.
 *
 * A payload says by which key it was made, so that keys can be changed: encrypt with the new one once every process knows it, and keep the old one for
 * as long as a history needs it.
 */
export class EncryptionCodec implements PayloadCodec {
  readonly #encodeWith: string | undefined;
  readonly #keys: ReadonlyMap<string, Buffer>;

  /** @throws UnderstudyError `SecretMissing` where a key is not there, or is no key of 32 bytes */
  constructor({ encodeWith, keys }: CodecConfig, resolve: (ref: SecretRef) => string = resolveSecret) {
    this.#encodeWith = encodeWith;
    this.#keys = new Map(Object.entries(keys).map(([id, ref]) => [id, readKey(id, resolve(ref))]));
    if (encodeWith !== undefined) this.#keyOf(encodeWith);
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    const id = this.#encodeWith;
    if (id === undefined) return payloads;
    const key = this.#keyOf(id);
    return payloads.map((payload) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce);
      const sealed = Buffer.concat([nonce, cipher.update(Wire.encode(payload).finish()), cipher.final(), cipher.getAuthTag()]);
      return { metadata: { encoding: ENCODING, [KEY_ID]: Buffer.from(id) }, data: sealed };
    });
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => (isEncrypted(payload) ? this.#open(payload) : payload));
  }

  #open({ metadata, data }: Payload): Payload {
    const id = Buffer.from(metadata?.[KEY_ID] ?? []).toString();
    const sealed = Buffer.from(data ?? []);
    const key = this.#keyOf(id);
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      return Wire.decode(Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]));
    } catch (error) {
      throw new UnderstudyError(
        'CodecFailed',
        `a payload that the key ${id} should open was made by another key of that name, or was changed. Next: compare the key's file on every host.`,
        { key: id },
        error,
      );
    }
  }

  #keyOf(id: string): Buffer {
    const key = this.#keys.get(id);
    if (key !== undefined) return key;
    const known = [...this.#keys.keys()].join(', ');
    throw new UnderstudyError(
      'CodecFailed',
      `a payload needs the codec's key ${id}, and this process knows ${known || 'none'}. Next: add it to temporal.codec.keys, and restart.`,
      { key: id },
    );
  }
}

export const isEncrypted = ({ metadata }: Payload): boolean => ENCODING.equals(metadata?.['encoding'] ?? Buffer.alloc(0));

function readKey(id: string, text: string): Buffer {
  const key = Buffer.from(text, 'base64');
  if (key.length === KEY_BYTES) return key;
  throw new UnderstudyError(
    'SecretMissing',
    `the codec's key ${id} is no ${KEY_BYTES} bytes in base64: it has ${key.length}. Next: make one by "openssl rand -base64 ${KEY_BYTES}".`,
    { key: id },
  );
}

/** What turns values into payloads and back, with encryption where the configuration names keys. Failures' words are encrypted then, too. */
export function dataConverterOf(codec: CodecConfig | undefined): LoadedDataConverter {
  if (codec === undefined) return { payloadConverter: defaultPayloadConverter, failureConverter: defaultFailureConverter, payloadCodecs: [] };
  return {
    payloadConverter: defaultPayloadConverter,
    failureConverter: new DefaultFailureConverter({ encodeCommonAttributes: codec.encodeWith !== undefined }),
    payloadCodecs: [new EncryptionCodec(codec)],
  };
}
