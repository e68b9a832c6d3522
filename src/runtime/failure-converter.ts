import { DefaultFailureConverter } from '@temporalio/common';

/** Loaded by path, by workers and by the workflows' sandbox, where payloads are encrypted: a failure's words and stack are payloads then, too. */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
