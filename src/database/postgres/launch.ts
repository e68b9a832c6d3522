import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import { UnderstudyError } from '../../model/error.ts';
import type { LaunchSpec } from '../../guard/messages.ts';
import type { Settings } from '../driver.ts';
import type { ConfFiles } from './conf.ts';
import { exists, isErrno, prepareState, readIfThere, removeFile, writeWhole } from './file.ts';
import { demandData } from './footprint.ts';
import type { Account, Place } from './place.ts';
import { isListening } from './session.ts';
import { listenOn } from './settings.ts';
import { TOOL_ENV } from './tool.ts';

/**
 * Prepares the stopped directory for a role and says how to start it. A standby's marker is on disk before this returns.
 *
 * What belongs to the process, not to the data, is on the command line: port, addresses and sockets.
 */
export async function prepareLaunch(place: Place, conf: ConfFiles, role: 'primary' | 'standby', settings: Settings): Promise<LaunchSpec> {
  const account = await place.account();
  await prepareState(place);
  const footprint = await demandData(place, AbortSignal.timeout(20_000), `start as ${role}`);
  if (role === 'primary' && footprint.standby) {
    throw new UnderstudyError('NotInRecovery', `${place.member.name} holds a standby's copy: it is made a primary by a promotion, not by a start`, {
      footprint,
    });
  }
  await removeStalePid(place);
  if (role === 'standby') {
    await writeWhole(place.data('standby.signal'), '', account);
    await removeFile(place.data('recovery.signal'));
  }
  conf.forget();
  await conf.put(settings);
  const own = await conf.own();
  const { host, port } = place.member;
  const sockets = [...new Set([...split(own.socketDirectories), place.socketDir])];
  await removeStaleSocketLocks(place, sockets);
  const usable = [];
  for (const directory of sockets) if (directory === place.socketDir || (await mayWrite(directory, account))) usable.push(directory);
  return {
    command: [
      place.tool('postgres'),
      '-D',
      place.dataDir,
      '-c',
      `port=${port}`,
      '-c',
      `listen_addresses=${listenOn(own.listenAddresses, host)}`,
      '-c',
      `unix_socket_directories=${usable.join(',')}`,
    ],
    env: { ...TOOL_ENV },
    cwd: '/',
    ...(account.drop ? { user: { uid: account.uid, gid: account.gid } } : {}),
    logFile: place.logFile,
    stopSignals: { fast: 'SIGINT', immediate: 'SIGQUIT' },
  };
}

/** By the command line that the running server keeps in its data directory. */
export async function findMove(place: Place): Promise<string | undefined> {
  const line = await readIfThere(place.data('postmaster.opts'));
  const port = /"port=(\d+)"/.exec(line ?? '')?.[1];
  const addresses = /"listen_addresses=([^"]*)"/.exec(line ?? '')?.[1];
  // Started by somebody else: nothing is known.
  if (port === undefined || addresses === undefined) return undefined;
  const { host, port: wanted } = place.member;
  if (Number(port) === wanted && listenOn(addresses, host) === addresses) return undefined;
  return `${place.member.name} is to be at ${host}:${wanted}, and its database was started at port ${port} of ${addresses}`;
}

/** PostgreSQL does not start where it may not make one of its sockets, as in Debian's place when it runs as another account. */
async function mayWrite(directory: string, account: Account): Promise<boolean> {
  try {
    if (!account.drop) {
      await access(directory, constants.W_OK | constants.X_OK);
      return true;
    }
    const { mode, uid, gid } = await stat(directory);
    const bits = uid === account.uid ? 0o300 : gid === account.gid ? 0o030 : 0o003;
    return (mode & bits) === bits;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return false;
    throw error;
  }
}

const split = (list: string): string[] =>
  list
    .split(',')
    .map((name) => name.trim().replace(/^"(.*)"$/, '$1'))
    .filter((name) => name !== '');

export const socketPath = (place: Place): string => path.join(place.socketDir, `.s.PGSQL.${place.member.port}`);

/**
 * A killed database leaves its pid file, which names a process of a pid namespace that is gone; another process may bear the number
 * now, and PostgreSQL would refuse to start. The guard's lock says that the database is stopped; that nothing answers is checked too.
 */
export async function removeStalePid(place: Place): Promise<void> {
  if (!(await exists(place.data('postmaster.pid')))) return;
  if (await isListening(socketPath(place))) {
    throw new UnderstudyError('DatabaseFailed', `the database of ${place.member.name} runs: something answers at ${socketPath(place)}. Next: stop it first.`);
  }
  await removeFile(place.data('postmaster.pid'));
}

/** A socket's lock file holds a pid of that kind too. Only those that name our data directory are ours to remove. */
async function removeStaleSocketLocks(place: Place, directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    const socket = path.join(directory, `.s.PGSQL.${place.member.port}`);
    const lock = await readIfThere(`${socket}.lock`);
    if (lock?.split('\n')[1] !== place.dataDir) continue;
    await removeFile(`${socket}.lock`);
    await removeFile(socket);
  }
}
