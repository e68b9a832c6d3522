import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';

/** Every process has them gone between a look and the next: that is an answer, not an error. */
const GONE = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

function whileThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (GONE.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** The children of a process, oldest first. @see proc(5), /proc/pid/task/tid/children, which a kernel may lack */
export function childrenOf(pid: number): number[] {
  const listed = whileThere(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1'));
  if (listed !== undefined) return listed.split(' ').filter(Boolean).map(Number);
  return allPids().filter((other) => statOf(other)?.parent === pid);
}

/** Whether a process is stopped by a signal, and so cannot act on any but SIGKILL. */
export function isStopped(pid: number): boolean {
  const state = statOf(pid)?.state;
  return state === 'T' || state === 't';
}

/** One process for certain: a pid is given out again, but not with the same start. */
export interface Identity {
  readonly pid: number;
  readonly started: string;
}

export function identify(pid: number): Identity | undefined {
  const stat = statOf(pid);
  return stat === undefined ? undefined : { pid, started: stat.started };
}

/**
 * Whether it has ended; a zombie has. The first process of a pid namespace becomes one only after every other process in there has
 * ended and was collected. @see pid_namespaces(7)
 */
export function hasEnded({ pid, started }: Identity): boolean {
  const stat = statOf(pid);
  return stat === undefined || stat.started !== started || isDead(stat.state);
}

function isDead(state: string): boolean {
  return state === 'Z' || state === 'X';
}

/**
 * The processes of an account that have let go of their memory and of every file, and yet are not dead: the last steps of an end, which takes no more
 * than a moment. Whoever watched for them by a file that they held sees it closed a moment before they are gone.
 *
 * @see do_exit() in Linux: exit_mm, exit_files, and only then exit_notify
 */
export function lastMomentsOf(uid: number): Identity[] {
  return allPids().flatMap((pid) => {
    const stat = statOf(pid);
    const ends = stat !== undefined && (stat.flags & PF_EXITING) !== 0 && !isDead(stat.state) && ownerOf(pid) === uid && holdsNothing(pid);
    return ends ? [{ pid, started: stat.started }] : [];
  });
}

/** What a process without memory has in /proc is root's, so an ordinary user may not look there any more: that, too, says so. */
function holdsNothing(pid: number): boolean {
  return (whileThere(() => readdirSync(`/proc/${pid}/fd`)) ?? []).length === 0;
}

function ownerOf(pid: number): number | undefined {
  return whileThere(() => statSync(`/proc/${pid}`).uid);
}

/** The processes whose descriptor `fd` is the same open file as `link` says, ourselves left out. */
export function holdersOf(fd: number, link: string): number[] {
  return allPids().filter((pid) => pid !== process.pid && descriptorOf(pid, fd) === link);
}

/** Where a descriptor points, such as `socket:[4711]`: it names one open socket of this host. */
export function descriptorOf(pid: number, fd: number): string | undefined {
  return whileThere(() => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The name stands in brackets and may hold anything, so what follows is counted from the last one. @see proc(5), /proc/pid/stat */
function statOf(pid: number): { state: string; parent: number; flags: number; started: string; policy: number } | undefined {
  const text = whileThere(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', parent: Number(fields[1]), flags: Number(fields[6]), started: fields[19] ?? '', policy: Number(fields[38]) };
}

/** Set as the first thing of an end, whatever it was that ended it. */
const PF_EXITING = 0x4;

const SCHED_FIFO = 1;
const SCHED_RR = 2;

/** Whether the main thread of a process has real-time priority. @see sched(7) */
export function isRealtime(pid: number): boolean {
  const policy = statOf(pid)?.policy;
  return policy === SCHED_FIFO || policy === SCHED_RR;
}
