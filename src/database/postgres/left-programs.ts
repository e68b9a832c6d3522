import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { UnderstudyError } from '../../model/error.ts';
import { isErrno } from './file.ts';

const LIMIT_MS = 10_000;
const LOOK_EVERY_MS = 20;

/**
 * Ends what an agent before this one has left at work on a copy: the process by which pg_basebackup receives the log outlives it, since it holds both ends of the
 * pipe by which it would hear of its end. It would go on writing, by path, into what is put there next.
 *
 * @throws UnderstudyError `CloneFailed` where one cannot be ended
 */
export async function endLeftCopies(directory: string): Promise<void> {
  for (const untilMs = performance.now() + LIMIT_MS; ;) {
    const left = await copiersInto(directory);
    if (left.length === 0) return;
    if (performance.now() > untilMs)
      throw new UnderstudyError(
        'CloneFailed',
        `pg_basebackup of an agent before this one still writes into ${directory}: process ${left.join(', ')}. Next: end it`,
        {
          left,
        },
      );
    for (const pid of left) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch (error) {
        if (!isErrno(error, 'ESRCH')) throw error;
      }
    }
    await pause(LOOK_EVERY_MS);
  }
}

async function copiersInto(directory: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(async (pid) => ((await commandOf(pid))?.includes(directory) === true ? pid : undefined)));
  return found.filter((pid) => pid !== undefined);
}

/** The words of a pg_basebackup; undefined for any other process, and for one that has ended. */
async function commandOf(pid: number): Promise<string[] | undefined> {
  try {
    const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    return words[0]?.endsWith('/pg_basebackup') === true ? words : undefined;
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ESRCH')) throw error;
    return undefined;
  }
}
