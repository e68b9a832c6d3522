import { readFileSync, readdirSync } from 'node:fs';

/** What is asked of the kernel about processes: it alone knows who lives, whoever started it. */

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** As in proc(5): R, S, D, T (stopped), Z (dead, and not yet collected by its parent). */
  readonly state: string;
  readonly name: string;
}

/** Set in the environment of all that a stage starts, so that whatever it leaves behind can be found. */
export const STAGE_VARIABLE = 'UNDERSTUDY_STAGE';

export function listProcesses(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => readProcess(Number(entry)) ?? []);
}

export function readProcess(pid: number): ProcessEntry | undefined {
  const text = readProc(pid, 'stat');
  // The name stands in parentheses and may hold anything, parentheses too.
  const found = text === undefined ? null : /^(\d+) \((.*)\) (\S) (\d+) /s.exec(text);
  if (found === null) return undefined;
  return { pid, name: found[2] ?? '', state: found[3] ?? '', parent: Number(found[4]) };
}

/** Whether it runs, or could: a dead process that waits to be collected does not. */
export function isAlive(pid: number): boolean {
  const found = readProcess(pid);
  return found !== undefined && found.state !== 'Z' && found.state !== 'X';
}

/** Everything below a process, parents before children. */
export function descendantsOf(pid: number, all: readonly ProcessEntry[] = listProcesses()): ProcessEntry[] {
  const found: ProcessEntry[] = [];
  let parents = new Set([pid]);
  while (parents.size > 0) {
    const children = all.filter((entry) => parents.has(entry.parent));
    found.push(...children);
    parents = new Set(children.map((entry) => entry.pid));
  }
  return found;
}

/** The guard of a member, frozen or not: it was told of the member's state directory. */
export function guardOf(stateDir: string): number | undefined {
  return listProcesses().find(({ pid, state }) => {
    if (state === 'Z') return false;
    const words = readProc(pid, 'cmdline')?.split('\0') ?? [];
    const flag = words.indexOf('--state-dir');
    return flag > 0 && words[flag + 1] === stateDir && words.some((word) => word.endsWith('/guard.js'));
  })?.pid;
}

/** The postmaster below a guard: the topmost process named postgres. */
export function postmasterBelow(guardPid: number): number | undefined {
  return descendantsOf(guardPid).find((entry) => entry.name === 'postgres')?.pid;
}

/**
 * Whatever still lives of a stage: it carries the stage's mark, or was told of the stage's directory. Guards are detached from their
 * agents on purpose, so a list of our own children would not do.
 */
export function processesOf(stageId: string, dir: string): ProcessEntry[] {
  const mark = `${STAGE_VARIABLE}=${stageId}`;
  return listProcesses().filter((entry) => {
    if (entry.pid === process.pid || entry.state === 'Z') return false;
    const environment = readProc(entry.pid, 'environ')?.split('\0') ?? [];
    if (environment.includes(mark)) return true;
    const command = readProc(entry.pid, 'cmdline') ?? '';
    return command.split('\0').some((word) => word.startsWith(`${dir}/members/`));
  });
}

/**
 * Ends at once whatever still lives of a stage.
 *
 * @param except pids to leave alone
 * @returns who had to be killed
 */
export function killRemains(stageId: string, dir: string, except: readonly number[] = []): ProcessEntry[] {
  const remains = processesOf(stageId, dir).filter((entry) => !except.includes(entry.pid));
  for (const { pid } of remains) signalIfThere(pid, 'SIGKILL');
  return remains;
}

/** @returns false where it was gone already */
export function signalIfThere(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Undefined where the process is gone, or is another account's and does not say. */
function readProc(pid: number, file: 'stat' | 'environ' | 'cmdline' | 'smaps_rollup'): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
}

export interface Usage {
  /** Memory with what is shared divided among those who share it, in MB; and all that is mapped. */
  readonly pssMb: number;
  readonly rssMb: number;
  /** Of all its threads since its start, in seconds. */
  readonly cpuSeconds: number;
}

/** Kernel ticks a second; fixed for user space on every Linux. @see proc(5) and sysconf(3), `_SC_CLK_TCK` */
const TICKS = 100;

/** @throws Error where the process is gone: what is measured must live */
export function usageOf(pid: number): Usage {
  const memory = readProc(pid, 'smaps_rollup');
  const stat = readProc(pid, 'stat');
  if (memory === undefined || stat === undefined) throw new Error(`process ${pid} is gone, or may not be looked at`);
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(memory)?.[1]);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pssMb: kilobytes('Pss') / 1024, rssMb: kilobytes('Rss') / 1024, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS };
}
