import { styleText } from 'node:util';
import Table from 'cli-table3';
import { createLogUpdate } from 'log-update';
import type { DemoResult } from './demo.ts';
import type { StageLine } from './stage-line.ts';
import type { FaultLine } from './timeline.ts';
import { NO_BORDERS } from '../runtime/no-borders.ts';

/** How the demo shows what it does: live on a terminal, a line for each event elsewhere. Words go to standard error, data does not come here. */
export interface DemoView {
  begin(words: string): void;
  tell(words: string): void;
  note(words: string): void;
  done(words: string): void;
  end(result: DemoResult): void;
  stay(line: StageLine): void;
  /** Nothing moves any more. */
  close(): void;
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;

/** @param out where the table goes; undefined where the result is printed as JSON instead */
export function makeView(words: NodeJS.WriteStream, out: NodeJS.WriteStream | undefined): DemoView {
  const paint = (style: 'green' | 'red' | 'dim' | 'bold', text: string): string => styleText(style, text, { stream: words });
  const write = (text: string): void => void words.write(`${text}\n`);
  const live = words.isTTY ? createLogUpdate(words) : undefined;
  let title = '';
  let detail = '';
  let sinceMs = 0;
  let timer: NodeJS.Timeout | undefined;
  const draw = (): void => {
    const frame = FRAMES[Math.floor(Date.now() / FRAME_MS) % FRAMES.length] ?? '';
    live?.(`${frame} ${title} ${paint('dim', `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`)}${detail === '' ? '' : `\n  ${paint('dim', detail)}`}`);
  };
  const still = (): void => {
    clearInterval(timer);
    timer = undefined;
    live?.clear();
  };
  return {
    begin: (text) => {
      still();
      [title, detail, sinceMs] = [text, '', Date.now()];
      if (live === undefined) return write(`… ${text}`);
      timer = setInterval(draw, FRAME_MS);
      draw();
    },
    tell: (text) => {
      detail = text;
      if (live === undefined) write(`    ${text}`);
    },
    note: (text) => {
      still();
      write(`  ${text}`);
    },
    done: (text) => {
      still();
      write(`${paint('green', '✓')} ${text}`);
    },
    end: (result) => {
      still();
      if (out !== undefined) out.write(`\n${table(result.faults)}\n\n${links(result.faults)}\n`);
      const { acknowledged, unknown, lost } = result.writes;
      write(`\n${acknowledged} writes acknowledged, ${lost} of them lost; ${unknown} were in flight when a connection broke.`);
      write(
        result.broken.length === 0
          ? paint('green', 'Every promise was kept.')
          : paint('red', `Broken:\n${result.broken.map((line) => `  ${line}`).join('\n')}`),
      );
    },
    stay: (line) => {
      write(
        `\nThe stage stays up. Ctrl-C ends it.\n  Temporal UI  ${line.temporal.ui}\n  directory    ${line.dir}\n  break it     kill -9 ${line.members.find(({ role }) => role === 'primary')?.pids.postmaster ?? '<pid>'}   (the primary's postmaster)`,
      );
      write(`  start again  understudy local start <member> --dir ${line.dir}`);
    },
    close: still,
  };
}

const ms = (value: number | undefined): string => (value === undefined ? '-' : `${value} ms`);

/** Times from the fault; the gap is the writer's. */
export function table(lines: readonly FaultLine[]): string {
  const drawn = new Table({
    head: ['fault', 'from → to', 'detected', 'decided', 'promoted', 'record', 'first write', 'write gap', 'lost'],
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right', 'right'],
  });
  drawn.push(
    ...lines.map((line) => [
      line.fault,
      `${line.from} → ${line.to}`,
      ms(line.detectedMs),
      ms(line.decidedMs),
      ms(line.promotedMs),
      ms(line.publishedMs),
      ms(line.firstWriteMs),
      ms(line.gapMs),
      String(line.lost),
    ]),
  );
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** What caused each, and where its whole story is. */
export function links(lines: readonly FaultLine[]): string {
  return lines.map((line) => `${line.incident ?? line.kind}: ${line.cause}${line.link === undefined ? '' : `\n  ${line.link}`}`).join('\n');
}
