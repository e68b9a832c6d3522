import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { CommandProbeConfig } from '../model/probe.ts';
import { bounded } from './bounded.ts';
import type { Ending, Found } from './bounded.ts';
import type { Look, Probe } from './probe.ts';

/** More than this is taken and thrown away, so that a talkative program is not held up. */
const KEPT_BYTES = 4096;
const DOWN_CODES: readonly (number | null)[] = [1, 2];
const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ'];

/**
 * Runs a program and reads its exit code. One that is still running at the timeout is killed with its process group, and is down: a hung
 * check is what a hung service looks like. What left the group (`setsid`) is out of reach.
 */
export class CommandProbe implements Probe {
  readonly kind = 'command';
  readonly #config: CommandProbeConfig;

  constructor(config: CommandProbeConfig) {
    this.#config = config;
  }

  look(signal: AbortSignal): Promise<Look> {
    return bounded(this.#config.timeoutMs, signal, (ending) => this.#start(ending));
  }

  async close(): Promise<void> {
    // Each look has a process of its own.
  }

  #start(ending: Ending): () => void {
    const [program, ...args] = this.#config.argv;
    ending.at(`${program} is still running`);
    let child: ChildProcess;
    try {
      child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...inherited(), ...this.#config.env } });
    } catch (error) {
      // Some failures to spawn are thrown, others told by an event: either is of this host.
      ending.settle({ outcome: 'unknown', words: `${program} could not be run: ${(error as Error).message}` });
      return () => undefined;
    }
    const printed = keepStart(child.stdout);
    const complained = keepStart(child.stderr);
    child.on('error', (error) => ending.settle({ outcome: 'unknown', words: `${program} could not be run: ${error.message}` }));
    child.on('exit', () => {
      killGroup(child); // What it left in its group would go on, and hold its output open.
      ending.at(`${program} has ended, but something that it started holds its output`);
    });
    child.on('close', (code, signal) => ending.settle(this.#judge(code, signal, printed(), complained())));
    return () => {
      killGroup(child);
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
  }

  #judge(code: number | null, signal: NodeJS.Signals | null, printed: string, complained: string): Found {
    const program = this.#config.argv[0];
    const line = firstLine(printed);
    const words = line === '' ? firstLine(complained) : line;
    if (code === 0) return this.#config.reading === true ? readNumber(program, line) : { outcome: 'up', ...(words === '' ? {} : { words }) };
    const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
    return { outcome: DOWN_CODES.includes(code) ? 'down' : 'unknown', words: `${program} ${how}${words === '' ? '' : `: ${words}`}` };
  }
}

function readNumber(program: string, line: string): Found {
  const value = Number(line);
  if (line === '' || !Number.isFinite(value)) return { outcome: 'unknown', words: `${program} printed ${JSON.stringify(line)}, no number to read` };
  return { outcome: 'up', value };
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] as string).trim();
}

/** An observer's own environment may hold secrets, which are nobody else's business (I9). */
function inherited(): Record<string, string> {
  return Object.fromEntries(INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])));
}

function keepStart(stream: NodeJS.ReadableStream | null): () => string {
  let kept = Buffer.alloc(0);
  stream?.on('data', (chunk: Buffer) => {
    if (kept.length < KEPT_BYTES) kept = Buffer.concat([kept, chunk.subarray(0, KEPT_BYTES - kept.length)]);
  });
  return () => kept.toString('utf8');
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
