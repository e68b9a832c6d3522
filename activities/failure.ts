import { ApplicationFailure } from '@temporalio/common';
import { UnderstudyError } from '../src/model/error.ts';

/** Makes our errors Temporal's: the code becomes the failure's type, which workflows match on. */
export async function named<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    throw ApplicationFailure.create({ message: error.message, type: error.code, nonRetryable: !error.retryable, details: [error.evidence] });
  }
}
