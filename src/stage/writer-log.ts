/**
 * What a writer notes, one JSON object a line, each on the disk before it goes on. `ns` is CLOCK_MONOTONIC in nanoseconds, the same
 * clock in every process of this host; `port` is what the server said of itself (`inet_server_port`), not where we meant to connect.
 */
export type WriterLine =
  | { readonly k: 'start'; readonly ns: number; readonly wallMs: number; readonly by: string }
  /** A connection to a server that takes writes, and how long it took from the question to DNS. */
  | { readonly k: 'link'; readonly ns: number; readonly port: number; readonly tookMs: number }
  /** No connection was to be had. */
  | { readonly k: 'unlinked'; readonly ns: number; readonly words: string }
  | { readonly k: 'try'; readonly ns: number; readonly id: number; readonly port: number }
  | { readonly k: 'ack'; readonly ns: number; readonly id: number; readonly port: number; readonly timeline?: number }
  /** It may be there and may not: nobody has said so. */
  | { readonly k: 'unknown'; readonly ns: number; readonly id: number; readonly port: number; readonly words: string }
  | { readonly k: 'end'; readonly ns: number };

export interface Acknowledgement {
  readonly by: string;
  readonly id: number;
  /** When it was read by the client. */
  readonly ns: number;
  readonly port: number;
  /** That the server was writing then, by its own word. */
  readonly timeline?: number;
}

/** A writer's log, as the checker needs it. */
export interface WriterLog {
  readonly by: string;
  /** In order of time. */
  readonly acknowledged: readonly Acknowledgement[];
  readonly unknown: readonly { readonly id: number; readonly ns: number; readonly port: number; readonly words: string }[];
  readonly attempts: number;
  readonly startNs: number;
  readonly endNs: number | undefined;
}

/** CLOCK_MONOTONIC now. Exact to two nanoseconds for as long as a machine can be up. */
export const monotonicNs = (): number => Number(process.hrtime.bigint());

/**
 * Reads a log. A last line without its end is left out: the writer was killed while it wrote it, and an acknowledgement that was not
 * noted is not claimed.
 *
 * @throws Error where another line is not one of a writer's: a checker must not judge what it cannot read
 */
export function parseWriterLog(text: string): WriterLog {
  const lines = text.split('\n');
  lines.pop();
  let by: string | undefined;
  let startNs = 0;
  let endNs: number | undefined;
  let attempts = 0;
  const acknowledged: Acknowledgement[] = [];
  const unknown: { id: number; ns: number; port: number; words: string }[] = [];
  for (const [index, text_] of lines.entries()) {
    const line = readLine(text_, index + 1);
    if (line.k === 'start') {
      by = line.by;
      startNs = line.ns;
    } else if (line.k === 'try') attempts += 1;
    else if (line.k === 'ack') {
      if (by === undefined) throw new Error(`line ${index + 1}: an acknowledgement before the writer's start`);
      acknowledged.push({ by, id: line.id, ns: line.ns, port: line.port, ...(line.timeline === undefined ? {} : { timeline: line.timeline }) });
    } else if (line.k === 'unknown') unknown.push({ id: line.id, ns: line.ns, port: line.port, words: line.words });
    else if (line.k === 'end') endNs = line.ns;
  }
  if (by === undefined) throw new Error('the log has no start: no writer wrote it');
  return { by, acknowledged: acknowledged.sort((a, b) => a.ns - b.ns), unknown, attempts, startNs, endNs };
}

const KINDS: readonly string[] = ['start', 'link', 'unlinked', 'try', 'ack', 'unknown', 'end'] satisfies readonly WriterLine['k'][];

function readLine(text: string, number: number): WriterLine {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (error) {
    throw new Error(`line ${number} of the writer's log is not JSON: ${text.slice(0, 120)}`, { cause: error });
  }
  const found = line as { k?: unknown; ns?: unknown };
  if (typeof found.k !== 'string' || !KINDS.includes(found.k) || typeof found.ns !== 'number')
    throw new Error(`line ${number} of the writer's log is no line of a writer: ${text.slice(0, 120)}`);
  return line as WriterLine;
}
