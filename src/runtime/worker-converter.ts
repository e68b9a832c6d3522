import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import type { CodecConfig } from '../model/config.ts';
import { EncryptionCodec } from './codec.ts';

/** The compiled file, which a worker loads by its path. */
const FAILURE_CONVERTER = fileURLToPath(new URL('failure-converter.js', import.meta.url));

/** Whether failures' words are to be encrypted too, which the workflows' bundle must know. */
export const encrypts = (codec: CodecConfig | undefined): boolean => codec?.encodeWith !== undefined;

/** As the SDK's workers take it. */
export function workerConverter(codec: CodecConfig | undefined): DataConverter {
  if (codec === undefined) return {};
  return { payloadCodecs: [new EncryptionCodec(codec)], ...(encrypts(codec) ? { failureConverterPath: FAILURE_CONVERTER } : {}) };
}
