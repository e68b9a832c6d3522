import { ApplicationFailure } from '@temporalio/common';
import type { UnderstudyError } from '../model/error.ts';

/** Makes one of our errors Temporal's, for agents and workers alike: its code becomes the failure's type, which workflows match on. */
export function failureOf(error: UnderstudyError): ApplicationFailure {
  return ApplicationFailure.create({ message: error.message, type: error.code, nonRetryable: !error.retryable, details: [error.evidence] });
}
