import { existsSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import type { Desk } from '../client/desk.ts';
import type { Config } from '../model/config.ts';
import { CliError, EXIT } from './exit.ts';
import { globalsOf } from './output.ts';
import type { Program } from './program.ts';

/** 128 and the signal's number, as a shell says it. */
export const INTERRUPTED = 130;

export const REASON = ['--reason <words>', 'why: it is kept with what follows'] as const;
export const BY = ['--by <name>', 'who asks; left out: user@host of this process'] as const;
const TIMEOUT_MS = 10_000;

export interface Session {
  readonly desk: Desk;
  /** Left out where no configuration was named and none lies here: Temporal's environment and profiles are enough then. */
  readonly config: Config | undefined;
}

/**
 * Connects to Temporal, does one command's work, and closes the connection; what went wrong on the way is told in the command line's own words.
 *
 * @param given a configuration that is read already
 */
export async function withDesk<T>(command: Program, work: (session: Session) => Promise<T>, given?: Config): Promise<T> {
  const config = given ?? (await configOf(command));
  const [{ connect }, { Desk: DeskClass }, { OperatorError }] = await Promise.all([
    import('../runtime/connection.ts'),
    import('../client/desk.ts'),
    import('../client/operator-error.ts'),
  ]);
  const connected = await connect({ purpose: 'cli', ...(config === undefined ? {} : { temporal: config.temporal }) });
  try {
    return await work({ desk: new DeskClass(connected, await timeoutMs(), Object.keys(config?.groups ?? {})), config });
  } catch (error) {
    if (error instanceof OperatorError) throw toCliError(error);
    throw error;
  } finally {
    await connected.connection.close();
  }
}

/** An emergency is no time to look for a file: without one, Temporal's own environment variables say where it is. */
export async function configOf(command: Program): Promise<Config | undefined> {
  const { config } = globalsOf(command);
  let program = command;
  while (program.parent !== null) program = program.parent;
  if (program.getOptionValueSource('config') === 'default' && !existsSync(config)) return undefined;
  const { loadConfig } = await import('../runtime/config.ts');
  return loadConfig(config);
}

/** UNDERSTUDY_TIMEOUT: how long one answer of Temporal or of a worker is waited for. */
async function timeoutMs(): Promise<number> {
  const text = process.env['UNDERSTUDY_TIMEOUT'];
  if (text === undefined || text === '') return TIMEOUT_MS;
  const { DURATION_WORDS, parseDuration } = await import('../model/units.ts');
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0)
    throw new CliError(EXIT.usage, `UNDERSTUDY_TIMEOUT is ${JSON.stringify(text)}`, { next: `give it ${DURATION_WORDS}, or unset it` });
  return ms;
}

function toCliError(error: {
  trouble: { kind: 'refused' | 'unseen' | 'missing' | 'failed' };
  message: string;
  why: string | undefined;
  next: string | undefined;
}): CliError {
  const code = { refused: EXIT.refused, unseen: EXIT.unknown, missing: EXIT.failed, failed: EXIT.failed }[error.trouble.kind];
  return new CliError(code, error.message, {
    cause: error,
    ...(error.why === undefined ? {} : { why: error.why }),
    ...(error.next === undefined ? {} : { next: error.next }),
  });
}

/** Who gives the word: a person's name is kept with it. */
export function signed({ by, reason = '' }: { readonly by?: string | undefined; readonly reason?: string | undefined }): { by: string; reason: string } {
  return { by: by ?? `${userInfo().username}@${hostname()}`, reason };
}

/** Listens for Ctrl-C while something goes on that does not end by it. */
export function untilInterrupted(): { readonly signal: AbortSignal; close(): void } {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  process.once('SIGINT', end);
  process.once('SIGTERM', end);
  return {
    signal: controller.signal,
    close: () => {
      process.off('SIGINT', end);
      process.off('SIGTERM', end);
    },
  };
}
