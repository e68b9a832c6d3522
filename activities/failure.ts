import { UnderstudyError } from '../src/model/error.ts';
import { failureOf } from '../src/runtime/failure.ts';

/** Runs an act of a worker; an error of ours leaves it as Temporal's. */
export async function named<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    throw failureOf(error);
  }
}
