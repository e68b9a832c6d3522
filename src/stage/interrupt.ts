/** The first word to stop is obeyed in order; further ones change nothing, since the end is under way. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Which signal it was, once there was one. */
  name(): NodeJS.Signals | undefined;
  /** Until then the process stays for them. */
  close(): void;
}

export class Interrupted extends Error {
  constructor(name: NodeJS.Signals) {
    super(`stopped by ${name}`);
    this.name = 'Interrupted';
  }
}

/** Whether an error is the end that was asked for: Node's own waits word it in their way. */
export function isInterruption(error: unknown, { signal }: Interrupt): boolean {
  return error instanceof Interrupted || (signal.aborted && error instanceof Error && error.name === 'AbortError');
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  let first: NodeJS.Signals | undefined;
  const hear = (name: NodeJS.Signals): void => {
    first ??= name;
    controller.abort(new Interrupted(first));
  };
  for (const name of SIGNALS) process.on(name, hear);
  return {
    signal: controller.signal,
    name: () => first,
    close: () => {
      for (const name of SIGNALS) process.off(name, hear);
    },
  };
}
