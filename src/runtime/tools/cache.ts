import { accessSync, chmodSync, constants, mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { UnderstudyError } from '../../model/error.ts';

/**
 * Where fetched tools are kept. For root it lies outside root's home, which no other account may enter: the database runs
 * as an account of its own, and must be able to execute what is found there.
 */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env, uid: number | undefined = process.getuid?.()): string {
  if (env['UNDERSTUDY_CACHE'] !== undefined && env['UNDERSTUDY_CACHE'] !== '') return path.resolve(env['UNDERSTUDY_CACHE']);
  if (uid === 0) return '/var/cache/understudy';
  const base = env['XDG_CACHE_HOME'];
  return path.join(base !== undefined && path.isAbsolute(base) ? base : path.join(env['HOME'] ?? homedir(), '.cache'), 'understudy');
}

/**
 * Makes sure of the cache's directory, and that nobody else can put a program into it that we would then run.
 *
 * @throws UnderstudyError `ToolMissing` where it cannot be made, or another account could write to it
 */
export function openCache(directory: string): void {
  const next = 'set UNDERSTUDY_CACHE to a directory of your own, or install the tool (see above)';
  try {
    // Whatever the umask is: the account that the database runs as must be able to enter.
    if (mkdirSync(directory, { recursive: true }) !== undefined) chmodSync(directory, 0o755);
    accessSync(directory, constants.W_OK);
  } catch (error) {
    throw new UnderstudyError(
      'ToolMissing',
      `the cache ${directory} cannot be written (${(error as NodeJS.ErrnoException).code}): ${next}`,
      { directory },
      error,
    );
  }
  if (!isOurs(directory)) throw new UnderstudyError('ToolMissing', `the cache ${directory} can be written by another account: ${next}`, { directory });
}

/** Whether only root and this account can change what lies there. */
export function isOurs(directory: string): boolean {
  const { uid, mode } = statSync(directory);
  return (uid === 0 || uid === process.getuid?.()) && (mode & 0o022) === 0;
}
