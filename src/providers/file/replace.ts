import { open, realpath, rename, stat } from 'node:fs/promises';
import path from 'node:path';

const NEW_FILE_MODE = 0o644;

/**
 * Replaces a file's text so that every reader, and every crash, sees the old text or the new one whole: a new file beside it, on the disk
 * before it takes the name, and the directory on the disk after. Whose it was and who may read it stays.
 *
 * @throws the system's error, with the old text in place
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const real = await realOf(file);
  const fresh = `${real}.new`;
  const before = await statOf(real);
  const handle = await open(fresh, 'w', NEW_FILE_MODE);
  try {
    if (before !== undefined) {
      await handle.chmod(before.mode & 0o7777);
      const now = await handle.stat();
      if (now.uid !== before.uid || now.gid !== before.gid) await handle.chown(before.uid, before.gid);
    }
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, real);
  const directory = await open(path.dirname(real), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Where a link leads, so that the link stays one. */
async function realOf(file: string): Promise<string> {
  return (await unlessAbsent(() => realpath(file))) ?? file;
}

const statOf = (file: string): Promise<(Awaited<ReturnType<typeof stat>> & { mode: number; uid: number; gid: number }) | undefined> =>
  unlessAbsent(() => stat(file));

/** Undefined where there is no such file. */
export async function unlessAbsent<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
