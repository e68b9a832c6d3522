/** Durations and sizes as people write them. Stricter than the usual libraries, which read `3s foo`, `16MiB` (as 16) or `3` without a word. */

const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;
const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export const DURATION_PATTERN = DURATION;
export const DURATION_WORDS = 'a duration such as 500ms, 3s, 5m, 1h or 1d';

/** Milliseconds; undefined where the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : Math.round(Number(match[1]) * (MS[match[2] as string] as number));
}

/** The shortest exact form: `90s`, not `1.5m`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = MS[unit] as number;
    if (ms >= size && ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

/** PostgreSQL's units, each 1024 of the one before. @see PostgreSQL manual, "Parameter Names and Values" */
const SIZE = /^(\d+(?:\.\d+)?)(B|kB|MB|GB|TB)$/;
const BYTES: Readonly<Record<string, number>> = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };

export const SIZE_PATTERN = SIZE;
export const SIZE_WORDS = 'a size such as 512kB, 16MB or 10GB';

/** Bytes; undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  return match === null ? undefined : Math.round(Number(match[1]) * (BYTES[match[2] as string] as number));
}

/** The largest unit that leaves at most one decimal: for people, not exact. */
export function formatSize(bytes: number): string {
  for (const unit of ['TB', 'GB', 'MB', 'kB']) {
    const size = BYTES[unit] as number;
    if (bytes >= size) return `${Number((bytes / size).toFixed(1))} ${unit}`;
  }
  return `${bytes} B`;
}
