/** A part of the stage did not do what it must; the message says which, what it said last, and where its log is. */
export class StageError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'StageError';
  }
}
