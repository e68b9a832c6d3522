import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export interface LogOptions {
  /** Which process speaks: `agent`, `guard`, `worker`. */
  readonly name: string;
  /** `trace` to `fatal`; left out: UNDERSTUDY_LOG_LEVEL, else `info`. */
  readonly level?: string;
  /** Left out: standard error, so that what a command prints on standard output stays clean. */
  readonly file?: string;
  /** Fields of every line: group, member, epoch. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Where a secret could come by: its value is replaced, whatever it is (I9). Objects are logged by their own fields, never whole configurations. */
const SECRETS = ['password', 'secret', 'token', 'taskToken', 'apiKey', 'authorization', 'passphrase', 'connectionString'];
const REDACTED = SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]);

/**
 * A line is a constant message and fields. JSON for machines; in words on a terminal.
 *
 * Lines are written before the call returns: the last words of a process that is about to be killed are the ones that matter.
 */
export async function openLog({ name, level, file, fields = {} }: LogOptions): Promise<Logger> {
  const destination = await destinationOf(file);
  return pino(
    {
      name,
      level: level ?? (process.env['UNDERSTUDY_LOG_LEVEL'] || 'info'),
      base: { pid: process.pid, ...fields },
      redact: { paths: REDACTED, censor: '(secret)' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorFields, error: errorFields },
    },
    destination,
  );
}

async function destinationOf(file: string | undefined): Promise<DestinationStream> {
  if (file !== undefined) return pino.destination({ dest: file, sync: true, mkdir: true });
  if (!process.stderr.isTTY) return pino.destination({ dest: 2, sync: true });
  const { default: pretty } = await import('pino-pretty');
  return pretty({ destination: 2, sync: true, colorize: process.env['NO_COLOR'] === undefined, translateTime: 'UTC:HH:MM:ss.l', ignore: 'pid,name' });
}

/** An error by its code, message and evidence, its causes inside; the stack only for what nobody has named. */
function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code: unknown = 'code' in error ? error.code : undefined;
  const evidence: unknown = 'evidence' in error ? error.evidence : undefined;
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    message: error.message,
    ...(evidence === undefined ? {} : { evidence }),
    ...(code === undefined ? { stack: error.stack } : {}),
    ...(error.cause === undefined ? {} : { cause: errorFields(error.cause) }),
  };
}
