/** How an operator's word came to nothing. */
export type Trouble =
  /** A rule said no; `override` is the command or option that gets past it. */
  | { readonly kind: 'refused'; readonly rule: string; readonly override?: string }
  /** Temporal or its workers do not answer: how things are is not known from here (I3). */
  | { readonly kind: 'unseen' }
  /** There is no such workflow. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'failed' };

/** Told to the person who asked: what is so, why, and the next command. */
export class OperatorError extends Error {
  readonly trouble: Trouble;
  readonly why: string | undefined;
  readonly next: string | undefined;

  constructor(trouble: Trouble, what: string, more: { readonly why?: string; readonly next?: string; readonly cause?: unknown } = {}) {
    super(what, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = 'OperatorError';
    this.trouble = trouble;
    this.why = more.why;
    this.next = more.next;
  }
}

export function isUnseen(error: unknown): boolean {
  return error instanceof OperatorError && error.trouble.kind === 'unseen';
}
