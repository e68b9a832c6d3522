import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';

/** The first program of that name on PATH that this account may execute. */
export function findOnPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  for (const directory of (env['PATH'] ?? '').split(path.delimiter)) {
    // An empty entry would mean the working directory: a program that lies there by chance is not what was meant.
    if (directory === '') continue;
    const file = path.resolve(directory, name);
    if (isExecutable(file)) return file;
  }
  return undefined;
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch (error) {
    if (NOT_OURS.has((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** It is not there, or this account may not see or execute it: PATH may name directories of somebody else. */
const NOT_OURS: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG']);

/** What a program says of itself, or why it does not. */
export async function askProgram(program: string, flag: string, env: NodeJS.ProcessEnv): Promise<{ said: string } | { why: string }> {
  const answer = await execa(program, [flag], { env, extendEnv: false, reject: false, timeout: 20_000, stdin: 'ignore' });
  return answer.failed ? { why: `does not run (${answer.shortMessage?.split('\n')[0] ?? 'no reason given'})` } : { said: answer.stdout.trim() };
}
