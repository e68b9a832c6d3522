import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { findOnPath } from '../runtime/tools/on-path.ts';
import { signalIfThere } from './pids.ts';
import { StageError } from './stage-error.ts';

/** A process of the stage. */
export interface Part {
  readonly name: string;
  readonly pid: number;
  /** In words, once it has ended. */
  readonly ended: Promise<string>;
  hasEnded(): boolean;
  /** SIGTERM, and SIGKILL where it takes longer. */
  end(graceMs: number): Promise<void>;
}

export interface PartOptions {
  readonly name: string;
  /** What stands before the command so that it runs where the part is; it must become the command, and not its parent. */
  readonly enter?: readonly string[];
  readonly command: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** It says so in a JSON line of its own on standard output, with `ready: true`; or we ask, until it does not throw. */
  readonly ready: 'line' | ((signal: AbortSignal) => Promise<void>);
  readonly limitMs: number;
}

/** Where compiled programs are: beside this file's own place. */
export const programFile = (name: string): string => path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'bin', `${name}.js`);

/**
 * Starts a part and waits until it is ready. It dies with us, whatever kills us; and a Ctrl-C in the terminal goes to us alone, so that we can end the
 * parts in order.
 *
 * @throws StageError with its last words
 */
export async function startPart(options: PartOptions): Promise<Part & { readonly line: unknown }> {
  const log = openSync(options.logFile, 'a', 0o644);
  const setpriv = findOnPath('setpriv', process.env);
  const [command = '', ...args] = [
    ...(setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL', '--']),
    ...(options.enter ?? []),
    options.command,
    ...options.args,
  ];
  let child: ChildProcess;
  try {
    child = spawn(command, args, { cwd: options.cwd, env: options.env, detached: true, stdio: ['ignore', options.ready === 'line' ? 'pipe' : log, log] });
  } finally {
    closeSync(log);
  }
  let over: string | undefined;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`it could not be started: ${error.message}`));
    child.once('exit', (code, signal) => resolve(signal === null ? `it ended with code ${code}` : `it was ended by ${signal} (${constants.signals[signal]})`));
  });
  void ended.then((words) => (over = words));
  const part: Part = {
    name: options.name,
    pid: child.pid ?? 0,
    ended,
    hasEnded: () => over !== undefined,
    end: async (graceMs) => {
      if (over !== undefined || child.pid === undefined) return;
      signalIfThere(child.pid, 'SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
  const given = new AbortController();
  const limit = setTimeout(
    () => given.abort(new StageError(`${options.name} was not ready within ${options.limitMs / 1000} s${lastWords(options.logFile)}`)),
    options.limitMs,
  );
  const tooEarly = ended.then((words) => {
    throw new StageError(`${options.name} did not become ready: ${words}${lastWords(options.logFile)}`);
  });
  const outOfTime = new Promise<never>((_, reject) => given.signal.addEventListener('abort', () => reject(given.signal.reason as Error), { once: true }));
  try {
    const line = await Promise.race([options.ready === 'line' ? readyLine(child) : options.ready(given.signal), tooEarly, outOfTime]);
    return { ...part, line };
  } catch (error) {
    await part.end(0);
    throw error;
  } finally {
    clearTimeout(limit);
    // Who loses the race must not be heard as an error of nobody's.
    tooEarly.catch(() => undefined);
    outOfTime.catch(() => undefined);
    given.abort();
  }
}

/** The first JSON line that says `ready`; the rest is read on, so that the pipe never fills. */
function readyLine(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => {
    if (child.stdout === null) return;
    createInterface({ input: child.stdout }).on('line', (text) => {
      if (!text.startsWith('{')) return;
      const line: unknown = JSON.parse(text);
      if (typeof line === 'object' && line !== null && 'ready' in line && line.ready === true) resolve(line);
    });
  });
}

function lastWords(logFile: string): string {
  const lines = readFileSync(logFile, 'utf8').trim().split('\n').slice(-5);
  return lines.join('') === '' ? ` (its log ${logFile} is empty)` : `. The end of ${logFile}:\n  ${lines.join('\n  ')}`;
}
