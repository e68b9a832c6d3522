import { UnderstudyError } from '../model/error.ts';

/** What a script may rely on. */
export const EXIT = {
  /** Done, or nothing to do. */
  done: 0,
  failed: 1,
  /** Only of what was asked to show a difference: there is one. */
  wouldChange: 2,
  /** A rule said no; the words name it and its override. Harm that nobody has confirmed is refused too: the override is --yes. */
  refused: 3,
  /** It cannot be seen from here how it is. */
  unknown: 4,
  usage: 64,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end of a command that is told to the person in front of it: what, why, and the next command. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly why: string | undefined;
  readonly next: string | undefined;

  constructor(exitCode: ExitCode, what: string, more: { why?: string; next?: string; cause?: unknown } = {}) {
    super(what, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.why = more.why;
    this.next = more.next;
  }
}

/** A rule said no. */
export function refused(rule: string, why: string, override?: string): CliError {
  return new CliError(EXIT.refused, `refused by the rule ${rule}`, { why, ...(override === undefined ? {} : { next: override }) });
}

/** Where nothing answers, how things are is not known; that is no failure of theirs (I3). */
const UNSEEN: ReadonlySet<string> = new Set(['TemporalUnreachable']);

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof UnderstudyError && UNSEEN.has(error.code)) return EXIT.unknown;
  return EXIT.failed;
}

/** What, why and next, each on a line of its own; the stack only where it was asked for. */
export function explainError(error: unknown, debug: boolean): string {
  const lines: string[] = [];
  if (error instanceof CliError) {
    lines.push(`understudy: ${error.message}`);
    if (error.why !== undefined) lines.push(`Why: ${error.why}`);
    if (error.next !== undefined) lines.push(`Next: ${error.next}`);
  } else if (error instanceof UnderstudyError) {
    lines.push(`understudy: ${error.message.replace(/ Next: /, '\nNext: ')}`);
  } else {
    lines.push(`understudy: an error that nobody foresaw: ${error instanceof Error ? error.message : String(error)}`);
    if (!debug) lines.push('Next: run the same command with --debug, and report what it prints');
  }
  if (debug && error instanceof Error) lines.push(...stacks(error));
  return lines.join('\n');
}

function stacks(error: Error): string[] {
  const own = error.stack === undefined ? [] : [error.stack];
  return error.cause instanceof Error ? [...own, 'caused by:', ...stacks(error.cause)] : own;
}
