import { styleText } from 'node:util';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import Table from 'cli-table3';
import { EXIT, refused } from './exit.ts';
import { NO_BORDERS } from '../runtime/no-borders.ts';

export type Format = 'table' | 'json' | 'yaml';

/** What every command knows: the options of the program itself. */
export interface Globals {
  readonly config: string;
  readonly output: Format;
  readonly debug: boolean;
  readonly yes: boolean;
}

export function globalsOf(command: CommandUnknownOpts): Globals {
  const { config, output, debug, yes } = command.optsWithGlobals() as Partial<Omit<Globals, 'output'>> & { readonly output?: Format | 'markdown' | 'md' };
  // A report's human words are Markdown.
  const format = output === undefined || output === 'markdown' || output === 'md' ? 'table' : output;
  return { config: config ?? 'understudy.yaml', output: format, debug: debug === true, yes: yes === true };
}

const gone = new AbortController();

/** Aborted when the reader of standard output has left (`| head`): what watches for ever then ends; what must clean up still does. */
export const readerGone: AbortSignal = gone.signal;

/** To be called before anything is written: an unheard EPIPE would end the process in the midst of its work. */
export function watchReaders(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    gone.abort();
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

/** Data, for standard output: as JSON or YAML where asked, else as `human` words it. */
export async function printData(format: Format, data: unknown, human: () => string): Promise<void> {
  if (readerGone.aborted) return;
  if (format === 'json') return write(`${JSON.stringify(data, null, 2)}\n`);
  if (format === 'yaml') {
    const { stringify } = await import('yaml');
    return write(stringify(data, { aliasDuplicateObjects: false }));
  }
  const words = tame(human());
  return write(words === '' || words.endsWith('\n') ? words : `${words}\n`);
}

/** One line of JSON, for those who read a stream of them. */
export function printJsonLine(data: unknown): Promise<void> {
  return write(`${JSON.stringify(data)}\n`);
}

/** Waits until it is out: a pipe may take it later than the process would end. */
function write(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

/** Words for the person, on standard error, so that data stays clean. */
export function say(words: string): void {
  process.stderr.write(`${tame(words)}\n`);
}

/**
 * What others typed, a reason or a name, must not move the cursor, set a title or turn the text on the terminal of whoever reads it later. Colours are ours,
 * and stay.
 */
// oxlint-disable-next-line no-control-regex
const COMMANDS = /\u001b(?!\[[0-9;]*m)|[\u0000-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
export const tame = (text: string): string => text.replaceAll(COMMANDS, '\ufffd');

export type Style = 'good' | 'bad' | 'note' | 'dim' | 'strong';
const STYLES = { good: 'green', bad: 'red', note: 'yellow', dim: 'dim', strong: 'bold' } as const;

/** Coloured where the stream is a terminal and NO_COLOR is not set. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(STYLES[style], text, { stream });
}

/** Columns without borders, which `awk` and the eye read alike. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const drawn = new Table({
    head: head.map((word) => paint('strong', word)),
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  drawn.push(...rows.map((row) => row.map(String)));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** `2026-11-24 10:00:00Z (3m ago)`: in UTC, with its age, since a time alone is read in the wrong zone sooner or later. */
export function formatTime(atMs: number, nowMs: number): string {
  return `${new Date(atMs)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')} (${formatAge(nowMs - atMs)})`;
}

export function formatAge(ms: number): string {
  if (ms < 0) return `in ${formatSpan(-ms)}`;
  return ms < 1000 ? 'now' : `${formatSpan(ms)} ago`;
}

/** Two units at most: `12s`, `3m 5s`, `2d 4h`. */
export function formatSpan(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const units: readonly [string, number][] = [
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ];
  let left = Math.floor(ms / 1000);
  const parts: string[] = [];
  for (const [unit, size] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0 || parts.length > 0) parts.push(count > 0 ? `${count}${unit}` : '');
    if (parts.length === 2) break;
  }
  return parts.filter((part) => part !== '').join(' ');
}

/**
 * Asks before harm. On a terminal the person is asked; elsewhere it is refused, unless --yes says that it is meant.
 *
 * @param harm what will happen, as a whole sentence
 * @throws CliError with exit code 3: the rule is `confirmation`, its override --yes
 */
export async function confirmHarm(harm: string, { yes }: { readonly yes: boolean }): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw refused('confirmation', `${harm} Nobody is here to be asked.`, 'the same command with --yes');
  const { confirm } = await import('@clack/prompts');
  const answer = await confirm({ message: `${harm} Go on?`, initialValue: false, output: process.stderr });
  if (answer !== true) throw refused('confirmation', 'you did not agree; nothing was done');
}

/** The exit code of a command that did not throw. */
export function endWith(code: keyof typeof EXIT): void {
  process.exitCode = EXIT[code];
}
