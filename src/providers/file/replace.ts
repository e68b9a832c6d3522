import { realpath, stat } from 'node:fs/promises';
import { writeDurably } from '../../runtime/durable-file.ts';

const NEW_FILE_MODE = 0o644;

/**
 * Replaces a file's text so that every reader, and every crash, sees the old text or the new one whole: a new file beside it, on the disk
 * before it takes the name, and the directory on the disk after. Whose it was and who may read it stays.
 *
 * @throws the system's error, with the old text in place
 */
export async function replaceFile(file: string, text: string): Promise<void> {
  const real = await realOf(file);
  const before = await statOf(real);
  await writeDurably(real, text, NEW_FILE_MODE, async (fresh) => {
    if (before === undefined) return;
    await fresh.chmod(before.mode & 0o7777);
    const now = await fresh.stat();
    if (now.uid !== before.uid || now.gid !== before.gid) await fresh.chown(before.uid, before.gid);
  });
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
