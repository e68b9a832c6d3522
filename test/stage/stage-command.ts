import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { descendantsOf, listProcesses } from '../../src/stage/pids.ts';

const PROGRAM = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..', 'dist', 'src', 'bin', 'understudy.js');

/** A command of `understudy` as a process of its own, compiled: the stage's parts are. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number>;
  out = '';
  err = '';

  constructor(args: readonly string[]) {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: run "npm run build" first`);
    this.child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.out += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.err += text));
    this.ended = new Promise((resolve) => this.child.once('close', (code) => resolve(code ?? -1)));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Waits until it holds; fails early where the process has ended. */
  async until(what: string, holds: () => boolean, limitMs: number): Promise<void> {
    const endMs = Date.now() + limitMs;
    while (!holds()) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) throw new Error(`it ended before ${what}: ${this.err}`);
      if (Date.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}. It said: ${this.err}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export async function run(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const running = new Running(args);
  const code = await running.ended;
  return { code, out: running.out, err: running.err };
}

/** Every process that was told of a directory, whoever started it. */
export function processesAbout(dir: string): number[] {
  return listProcesses()
    .filter(({ pid, state }) => state !== 'Z' && pid !== process.pid && commandOf(pid).includes(dir))
    .map(({ pid }) => pid);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** The addresses that these processes and those below them listen on, as the kernel lists them: hexadecimal, port last. */
export function listeningAddresses(pids: readonly number[]): string[] {
  const all = [...new Set(pids.flatMap((pid) => [pid, ...descendantsOf(pid).map((entry) => entry.pid)]))];
  const inodes = new Set(all.flatMap(socketsOf));
  const LISTEN = '0A';
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((table) =>
    readFileSync(`/proc/net/${table}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const fields = line.trim().split(/\s+/);
        const [, local = '', , state = '', , , , , , inode = ''] = fields;
        const isUdp = table.startsWith('udp');
        return inodes.has(inode) && (isUdp || state === LISTEN) ? [`${table} ${local}`] : [];
      }),
  );
}

function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
