import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import type { CodecConfig } from '../model/config.ts';
import { EncryptionCodec } from './codec.ts';

/** The compiled file, which a worker loads by its path. */
export const FAILURE_CONVERTER = fileURLToPath(new URL('failure-converter.js', import.meta.url));

/** As the SDK's workers take it. */
export function workerConverter(codec: CodecConfig | undefined): DataConverter {
  return codec === undefined ? {} : { payloadCodecs: [new EncryptionCodec(codec)], failureConverterPath: FAILURE_CONVERTER };
}
