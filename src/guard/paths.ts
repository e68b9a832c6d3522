import { join } from 'node:path';
import { UnderstudyError } from '../model/error.ts';

/** The kernel's limit for the path of a Unix socket, in bytes. @see unix(7), sun_path */
const SOCKET_PATH_LIMIT = 107;

/** @throws UnderstudyError `BadInput` where the directory's name is too long for a socket in it */
export function socketPath(stateDir: string): string {
  const path = join(stateDir, 'guard.sock');
  const length = Buffer.byteLength(path);
  if (length > SOCKET_PATH_LIMIT) {
    throw new UnderstudyError(
      'BadInput',
      `the guard cannot listen at ${path}: a socket's path may have ${SOCKET_PATH_LIMIT} bytes and this has ${length}; choose a state directory with a shorter name`,
      { path, length },
    );
  }
  return path;
}

/** Held exclusively for the guard's life (protocol 1.7); says its pid. */
export function lockPath(stateDir: string): string {
  return join(stateDir, 'guard.lock');
}

/** What `flock` is told to exit with where the lock is taken. */
export const LOCK_TAKEN = 75;
