import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import type { PostgresConfig } from '../../model/config.ts';
import { UnderstudyError } from '../../model/error.ts';

/**
 * What libpq would do by the same words, for our own client, which is asked by nobody else: read anew for each connection, so that files may be replaced.
 *
 * @throws UnderstudyError `ConfigInvalid` where a file cannot be read
 */
export async function readTls({ tls }: PostgresConfig): Promise<ConnectionOptions | undefined> {
  if (tls === undefined) return undefined;
  const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(readPem));
  return {
    // Without authorities libpq's `require` verifies nothing, and with them what `verify-ca` does.
    rejectUnauthorized: tls.mode !== 'require' || ca !== undefined,
    ...(tls.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

async function readPem(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new UnderstudyError(
      'ConfigInvalid',
      `the file ${file} of postgres.tls cannot be read (${code}). Next: write it, readable by this account.`,
      { file },
      error,
    );
  }
}
