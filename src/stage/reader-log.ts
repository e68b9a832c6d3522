/** What a reader notes, one JSON object a line. Times are CLOCK_MONOTONIC in nanoseconds, the same clock as a writer's. */
export interface ReaderLook {
  /** Before the question, and when its answer was there: the answer was true at some instant between them. */
  readonly askedNs: number;
  readonly ns: number;
  readonly port: number;
  /** Out of recovery: it would take a write. */
  readonly open: boolean;
  readonly timeline: number;
  /** The highest number of the writer that it showed, where it was asked for. */
  readonly top?: number;
}

/** The looks in order of time. A last line without its end is left out: the reader was killed while it wrote it. */
export function parseReaderLog(text: string): ReaderLook[] {
  const lines = text.split('\n');
  lines.pop();
  return lines.map((line) => JSON.parse(line) as ReaderLook).sort((a, b) => a.ns - b.ns);
}
