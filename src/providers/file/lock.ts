import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { UnderstudyError } from '../../model/error.ts';
import { findOnPath } from '../../runtime/tools/on-path.ts';

/** What `flock` is told to exit with where somebody else holds the lock for too long. */
const TAKEN = 75;

/**
 * Does something while no other process of this host does the same under this lock; undefined where it could not be had in time.
 *
 * The lock is the kernel's, held by a `cat` under `flock`: it ends with its input, so with our death too, and nothing stale is left behind.
 *
 * @param timeoutMs how long to wait for whoever holds it, in milliseconds
 * @throws UnderstudyError `ToolMissing` where util-linux has no flock here; whatever `act` throws
 * @see flock(1), flock(2)
 */
export async function underLock<T>(lockFile: string, timeoutMs: number, signal: AbortSignal, act: () => Promise<T>): Promise<T | { readonly held: string }> {
  signal.throwIfAborted();
  const flock = findOnPath('flock', process.env);
  if (flock === undefined) throw new UnderstudyError('ToolMissing', 'records cannot be written to a file: flock was not found; install util-linux');
  const child = spawn(flock, ['-w', String(timeoutMs / 1000), '-E', String(TAKEN), '--no-fork', lockFile, 'cat'], { stdio: 'pipe' });
  const ended = once(child, 'close') as Promise<[number | null]>;
  const stop = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', stop, { once: true });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  // It may be gone before it is told to end.
  child.stdin.on('error', () => undefined);
  try {
    // `cat` runs only under the lock, and gives back what it is given.
    child.stdin.write('.');
    const locked = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)]);
    signal.throwIfAborted();
    if (!locked) {
      const [code] = await ended;
      return { held: code === TAKEN ? '' : said.trim() || `flock ended with ${code}` };
    }
    return await act();
  } finally {
    signal.removeEventListener('abort', stop);
    child.stdin.end();
    await ended;
  }
}
