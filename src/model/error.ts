/**
 * Every error that Understudy raises by name, and whether trying again can help.
 *
 * `src/runtime/failure.ts` makes the code a Temporal failure's type, which workflows match on. docs/reference/errors.md
 * explains each one; a test compares the two.
 */
export const ERRORS = {
  BadInput: { retry: false },
  ConfigInvalid: { retry: false },
  SecretMissing: { retry: false },
  UnsafeFiles: { retry: false },
  TemporalUnreachable: { retry: true },
  CodecFailed: { retry: false },
  EpochStale: { retry: false },
  OrderStale: { retry: false },
  WrongCluster: { retry: false },
  ForeignDatabase: { retry: false },
  NotInRecovery: { retry: false },
  LeaseLost: { retry: false },
  GuardUnreachable: { retry: true },
  GuardBusy: { retry: false },
  DatabaseUnreachable: { retry: true },
  DatabaseFailed: { retry: true },
  ToolMissing: { retry: false },
  CloneFailed: { retry: true },
  RewindFailed: { retry: true },
  QuarantineInterrupted: { retry: false },
} as const;

export type ErrorCode = keyof typeof ERRORS;

/**
 * An error with a code of the closed list above. The message says what was asked and what is so, for a person;
 * `evidence` is kept in the history, so it never holds a secret (I9).
 */
export class UnderstudyError extends Error {
  readonly code: ErrorCode;
  readonly evidence: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, evidence: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UnderstudyError';
    this.code = code;
    this.evidence = evidence;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retry;
  }
}
