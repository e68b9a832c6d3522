import { readFileSync } from 'node:fs';
import type { SecretRef } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';

/**
 * The secret that a name stands for, read where and when it is used, and kept nowhere (I9). One final line break of a file is no
 * part of it: editors add it.
 *
 * @throws UnderstudyError `SecretMissing`, which names the variable or the file, never a value
 */
export function resolveSecret(ref: SecretRef, env: NodeJS.ProcessEnv = process.env): string {
  if ('env' in ref) {
    const value = env[ref.env];
    if (value === undefined)
      throw new UnderstudyError('SecretMissing', `the environment variable ${ref.env} is not set. Next: set it for this process.`, { env: ref.env });
    if (value === '')
      throw new UnderstudyError('SecretMissing', `the environment variable ${ref.env} is empty. Next: set it for this process.`, { env: ref.env });
    return value;
  }
  let text: string;
  try {
    text = readFileSync(ref.file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'does not exist' : code === 'EACCES' ? 'may not be read by this account' : `cannot be read (${code})`;
    throw new UnderstudyError(
      'SecretMissing',
      `the secret's file ${ref.file} ${why}. Next: write it there, readable by this account alone.`,
      { file: ref.file },
      error,
    );
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new UnderstudyError('SecretMissing', `the secret's file ${ref.file} is empty. Next: write the secret there.`, { file: ref.file });
  return value;
}
