import { open, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

/**
 * Replaces a file's text so that every reader, and every crash, sees the old text or the new one whole: a new file beside it, `<file>.new`, on the disk before it
 * takes the name, and the directory on the disk after.
 *
 * @param mode of a file that is not there yet, less what the umask takes away
 * @param dress is called with the new file before its text is in it: whose it is, and who may read it
 * @throws the system's error, with the old text in place
 */
export async function writeDurably(file: string, text: string, mode = 0o600, dress?: (fresh: FileHandle) => Promise<void>): Promise<void> {
  const beside = `${file}.new`;
  const fresh = await open(beside, 'w', mode);
  try {
    await dress?.(fresh);
    await fresh.writeFile(text);
    await fresh.sync();
  } finally {
    await fresh.close();
  }
  await rename(beside, file);
  const folder = await open(path.dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
