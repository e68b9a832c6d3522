import { chmod, chown, lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { UnderstudyError } from '../../model/error.ts';
import type { Account, Place } from './place.ts';

export function isErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

export async function exists(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** A rename or a new name is durable only once its directory is. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** What a disk, and not a mistake of ours, answers to a write. */
const DISK_TROUBLE = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'];

/**
 * Replaces a file whole: whoever reads it, also after a crash, finds the old text or the new one; the new one for sure where `durably`.
 *
 * @throws UnderstudyError `DatabaseFailed` where the disk does not take it
 */
export async function writeWhole(file: string, text: string, owner: Account, mode = 0o600, durably = true): Promise<void> {
  try {
    await replaceFile(file, text, owner, mode, durably);
  } catch (error) {
    if (!isErrno(error, ...DISK_TROUBLE)) throw error;
    throw new UnderstudyError('DatabaseFailed', `${file} cannot be written (${error.code}). Next: make room on its disk, or repair it`, { file }, error);
  }
}

async function replaceFile(file: string, text: string, owner: Account, mode: number, durably: boolean): Promise<void> {
  const fresh = `${file}.understudy-new`;
  const handle = await open(fresh, 'w', mode);
  try {
    await handle.writeFile(text);
    await handle.chmod(mode);
    if (owner.drop) await handle.chown(owner.uid, owner.gid);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  if (durably) await syncDirectory(path.dirname(file));
}

export async function removeFile(file: string): Promise<void> {
  await rm(file, { force: true });
  await syncDirectory(path.dirname(file));
}

/** Made where it is missing, owned by the account, closed to others (PostgreSQL refuses a data directory that others may read). */
export async function ownDirectory(directory: string, owner: Account): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  if (owner.drop) await chown(directory, owner.uid, owner.gid);
}

/**
 * The state directory and what of it belongs to the account. The account needs to pass through the state directory, not to read it.
 *
 * @throws UnderstudyError `ToolMissing` where a directory above is closed to the account
 */
export async function prepareState(place: Place): Promise<void> {
  const account = await place.account();
  await mkdir(place.stateDir, { recursive: true, mode: 0o711 });
  if (account.drop) await chmod(place.stateDir, (await stat(place.stateDir)).mode | 0o011);
  await ownDirectory(place.accountDir, account);
  if (place.socketDir !== place.accountDir) {
    await ownDirectory(place.socketDir, account);
    const { uid } = await lstat(place.socketDir);
    if (uid !== account.uid)
      throw new UnderstudyError(
        'DatabaseFailed',
        `${place.socketDir}, where the database's socket should be, belongs to another user (uid ${uid}). Next: remove it, or choose a shorter state directory than ${place.stateDir}.`,
      );
  }
  if (!account.drop) return;
  for (const directory of [place.accountDir, path.dirname(place.dataDir)]) await demandPassage(directory, account);
}

async function demandPassage(directory: string, account: Account): Promise<void> {
  for (let at = directory; ; at = path.dirname(at)) {
    const { mode, uid, gid } = await stat(at);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0)
      throw new UnderstudyError(
        'ToolMissing',
        `the account ${account.name}, which PostgreSQL runs as, may not pass through ${at}. Next: chmod o+x ${at}, or put ${directory} elsewhere.`,
        { directory: at },
      );
    if (at === path.dirname(at)) return;
  }
}
