import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { execa } from 'execa';
import { isErrno } from './file.ts';
import type { Place } from './place.ts';

/** Nothing of our own environment reaches PostgreSQL's programs: a stray PGOPTIONS would change what they do. */
export const TOOL_ENV: Readonly<Record<string, string>> = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', LANG: 'C', HOME: '/', TZ: 'UTC' };

export interface ToolAnswer {
  readonly ok: boolean;
  readonly stdout: string;
  /** The last lines of what it complained about, for messages. */
  readonly words: string;
  /** All that it said. */
  readonly stderr: string;
  readonly timedOut: boolean;
}

export interface ToolOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Hears each line that the program says, on whichever of its outputs. */
  readonly hear?: (line: string) => void;
}

const WORDS_LINES = 6;

/**
 * Has the kernel kill the program as soon as we are gone. Left alive, a rewind or a copy of an agent that was killed would go on writing by path into what the
 * next agent has put there.
 */
async function tied(): Promise<readonly string[]> {
  for (const setpriv of ['/usr/bin/setpriv', '/bin/setpriv']) {
    try {
      await access(setpriv, constants.X_OK);
      return [setpriv, '--pdeathsig', 'KILL', '--', '/bin/sh', '-c', UNLESS_ORPHANED, String(process.pid)];
    } catch (error) {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error;
    }
  }
  return [];
}
let tie: Promise<readonly string[]> | undefined;

/** Whoever was killed before the kernel had been told of it would never be heard of. */
const UNLESS_ORPHANED = '[ "$PPID" = "$0" ] || exit 75; exec "$@"';

/**
 * Runs one of PostgreSQL's programs as the data's owner. An answer is returned whatever its exit code; the caller knows what a
 * failure means. None of these programs leaves a process behind that would keep our pipes open (`pg_ctl start` would: it is not used).
 */
export async function runTool(place: Place, name: string, args: readonly string[], options: ToolOptions): Promise<ToolAnswer> {
  const account = await place.account();
  tie ??= tied();
  const [program = place.tool(name), ...rest] = [...(await tie), place.tool(name), ...args];
  const running = execa(program, rest, {
    env: { ...TOOL_ENV, ...options.env },
    extendEnv: false,
    cwd: '/',
    reject: false,
    stdin: 'ignore',
    timeout: options.timeoutMs,
    forceKillAfterDelay: 2000,
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    ...(account.drop ? { uid: account.uid, gid: account.gid } : {}),
  });
  const { hear } = options;
  if (hear !== undefined) {
    for (const stream of [running.stdout, running.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        for (const line of chunk.toString().split(/[\r\n]+/)) if (line.trim() !== '') hear(line.trim());
      });
    }
  }
  const answer = await running;
  const stderr = answer.stderr ?? '';
  const said = stderr
    .trim()
    .split(/[\r\n]+/)
    .slice(-WORDS_LINES)
    .join('; ');
  const ended = answer.isCanceled
    ? 'it was called off'
    : answer.timedOut
      ? `it did not end within ${options.timeoutMs} ms`
      : answer.exitCode === undefined
        ? (answer.shortMessage ?? '')
        : '';
  return {
    ok: !answer.failed,
    stdout: answer.stdout ?? '',
    stderr,
    words: [ended, said].filter((words) => words !== '').join(': ') || 'it gave no reason',
    timedOut: answer.timedOut,
  };
}
