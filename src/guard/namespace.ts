import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { LaunchSpec } from './messages.ts';
import { isRealtime } from './process-tree.ts';

/** What this host lets the guard do, found out by doing it. */
export interface Host {
  readonly setpriv: string | undefined;
  readonly unshare: string | undefined;
  readonly chrt: string | undefined;
  /** A pid namespace as root, within a user namespace of one's own, or none. */
  readonly namespace: 'plain' | 'user' | 'none';
  /** Why there is no namespace. */
  readonly why?: string;
  readonly realtime: boolean;
}

/** Above all ordinary processes, far below the kernel's own threads. */
const PRIORITY = '10';
const SEARCHED = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'];
const PROBE_LIMIT_MS = 5000;
const DIE_WITH_PARENT = ['--pdeathsig', 'KILL', '--'];
const NEW_PIDS = ['--pid', '--fork', '--kill-child=KILL', '--'];
const NEW_USER = ['--user', '--map-current-user'];
const NOBODY = 65_534;

/**
 * Descriptor 3 of every process of the database. The guard holds the other end: it closes when the last of them is gone.
 * Before the database is started it carries the handshake: the child says `ready` when all that kills it with the guard is in place,
 * and waits for `go`; a guard that died in between is seen as the end of the file. `up` says that the database's own process is there.
 */
export const LIFELINE = 3;
const HANDSHAKE = `echo ready >&${LIFELINE}; read -r go <&${LIFELINE} || exit 70`;
/** Process 1 of the namespace: it collects orphans as `sh` does, and its end, with the database's status, ends the namespace. */
const REAPER = `${HANDSHAKE}; "$@"; exit $?`;
const ANNOUNCE = `echo up >&${LIFELINE}; exec "$@"`;
const GATE = `${HANDSHAKE}; ${ANNOUNCE}`;

/**
 * Tries each of the tools.
 *
 * @param priority `take` gives this process real-time priority where it may; `ask` only finds out whether it could
 */
export function probeHost(priority: 'take' | 'ask'): Host {
  const setpriv = findTool('setpriv');
  const unshare = findTool('unshare');
  const chrt = findTool('chrt');
  const base = {
    setpriv,
    unshare,
    chrt,
    realtime: chrt !== undefined && (priority === 'take' ? takeRealtime(chrt) : run(chrt, ['--fifo', PRIORITY, 'true']) === undefined),
  };

  if (setpriv === undefined || unshare === undefined) {
    const missing = [setpriv === undefined ? 'setpriv' : '', unshare === undefined ? 'unshare' : ''].filter(Boolean).join(' and ');
    return { ...base, namespace: 'none', why: `${missing} of util-linux not found` };
  }
  const deathSignal = run(setpriv, [...DIE_WITH_PARENT, 'true']);
  if (deathSignal !== undefined)
    return { ...base, setpriv: undefined, namespace: 'none', why: `setpriv --pdeathsig: ${deathSignal}; a database would outlive a killed guard` };
  const plain = run(unshare, [...NEW_PIDS, 'true']);
  if (plain === undefined) return { ...base, namespace: 'plain' };
  const drop = process.getuid?.() === 0 ? [...dropTo(setpriv, { uid: NOBODY, gid: NOBODY })] : [];
  const words = [...drop, unshare, ...NEW_USER, ...NEW_PIDS, 'true'];
  const within = run(words[0] ?? unshare, words.slice(1));
  if (within === undefined) return { ...base, namespace: 'user' };
  return { ...base, namespace: 'none', why: `no pid namespace: ${plain}; within a user namespace: ${within}` };
}

/** The whole command line that starts a database so that the kernel ends it with the guard (protocol 1.4). */
export function commandFor(launch: LaunchSpec, host: Host): string[] {
  const { setpriv, unshare, chrt, namespace, realtime } = host;
  const drop = launch.user === undefined || setpriv === undefined || launch.user.uid === process.getuid?.() ? [] : dropTo(setpriv, launch.user);
  const normal = realtime && chrt !== undefined ? [chrt, '--other', '0'] : [];
  const sh = (script: string) => ['/bin/sh', '-c', script, 'sh'];
  if (setpriv === undefined) return [...sh(GATE), ...normal, ...launch.command];
  // The signal is set after rights are dropped: a change of user clears it.
  const tied = [setpriv, ...DIE_WITH_PARENT];
  if (namespace === 'none' || unshare === undefined) return [...drop, ...tied, ...sh(GATE), ...normal, ...launch.command];
  if (namespace === 'plain') return [...tied, unshare, ...NEW_PIDS, ...sh(REAPER), ...normal, ...drop, ...sh(ANNOUNCE), ...launch.command];
  return [...drop, ...tied, unshare, ...NEW_USER, ...NEW_PIDS, ...sh(REAPER), ...normal, ...sh(ANNOUNCE), ...launch.command];
}

/** Only the main thread, which does all that is urgent; its children have the priority from it. */
function takeRealtime(chrt: string): boolean {
  if (!isRealtime(process.pid)) run(chrt, ['--fifo', '--pid', PRIORITY, String(process.pid)]);
  return isRealtime(process.pid);
}

function dropTo(setpriv: string, { uid, gid }: { uid: number; gid: number }): string[] {
  return [setpriv, `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'];
}

/** Undefined where it worked, else why not. */
function run(command: string, args: readonly string[]): string | undefined {
  const { status, signal, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: PROBE_LIMIT_MS, stdio: ['ignore', 'ignore', 'pipe'] });
  if (error !== undefined) return error.message;
  if (status === 0) return undefined;
  return stderr.trim().split('\n')[0] || (signal === null ? `exit code ${status}` : `killed by ${signal}`);
}

export function findTool(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder.startsWith('/')), ...SEARCHED];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
