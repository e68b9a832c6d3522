import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { longestGapMs } from './checker.ts';
import type { Part } from './processes.ts';
import type { Stage } from './stage.ts';
import { StageError } from './stage-error.ts';
import { DATABASE, RECORD } from './stage-file.ts';
import { type WriterLine, type WriterLog, parseWriterLog } from './writer-log.ts';

/** The writers of a run: one that follows the name, and one that holds on to each member, to see a zombie answer. */
export class Writers {
  readonly #writer: Part;
  readonly #pinned: Part;
  readonly #logFile: string;
  readonly #pinnedLogs: readonly string[];
  readonly tail: WriterTail;

  private constructor(writer: Part, pinned: Part, logFile: string, pinnedLogs: readonly string[]) {
    this.#writer = writer;
    this.#pinned = pinned;
    this.#logFile = logFile;
    this.#pinnedLogs = pinnedLogs;
    this.tail = new WriterTail(logFile);
  }

  static async start(stage: Stage): Promise<Writers> {
    const logFile = path.join(stage.layout.logs, 'writer.jsonl');
    const pinnedLog = path.join(stage.layout.logs, 'pinned.jsonl');
    const who = ['--user', DATABASE.user, '--database', DATABASE.database];
    const writer = await stage.runBeside('writer', 'writer', ['--dns', `${stage.dns.host}:${stage.dns.port}`, '--record', RECORD, ...who, '--log', logFile]);
    const pinned = await stage.runBeside('pinned', 'writer', [
      ...stage.members.flatMap(({ host, port }) => ['--pinned', `${host}:${port}`]),
      ...who,
      '--log',
      pinnedLog,
      '--by',
      'pinned',
      '--period-ms',
      '50',
    ]);
    return new Writers(
      writer,
      pinned,
      logFile,
      stage.members.map((_, index) => `${pinnedLog}.${index + 1}`),
    );
  }

  /** @throws StageError where a writer has ended by itself: then nothing that it did not see may be claimed */
  requireRunning(): void {
    for (const part of [this.#writer, this.#pinned])
      if (part.hasEnded()) throw new StageError(`${part.name} has ended by itself: nothing can be said of what it did not see`);
  }

  /** Waits until the writer has had so many more acknowledgements in a row of one server. */
  async untilFlowing(count: number, limitMs: number, signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + limitMs;
    const from = this.tail.read().acknowledged;
    while (this.tail.read().acknowledged < from + count) {
      this.requireRunning();
      if (performance.now() > endMs) throw new StageError(`the writer had fewer than ${count} acknowledgements in ${limitMs / 1000} s`);
      await sleep(20, undefined, { signal });
    }
  }

  /** The gap around a fault as it looks so far; the judgement at the end counts. */
  gapAround(t0Ns: number): number | undefined {
    const { acknowledged } = parseWriterLog(readFileSync(this.#logFile, 'utf8'));
    const from = acknowledged.findLastIndex((write) => write.ns < t0Ns);
    return longestGapMs(acknowledged.slice(Math.max(0, from)).map((write) => write.ns));
  }

  async stop(): Promise<void> {
    this.requireRunning();
    await Promise.all([this.#writer.end(5_000), this.#pinned.end(5_000)]);
  }

  read(): { writer: WriterLog; pinned: WriterLog[] } {
    const parse = (file: string): WriterLog => parseWriterLog(readFileSync(file, 'utf8'));
    return { writer: parse(this.#logFile), pinned: this.#pinnedLogs.map(parse) };
  }
}

/** What the writer has noted so far, read as it grows. */
export class WriterTail {
  readonly #file: string;
  #offset = 0;
  #rest = '';
  #acknowledged = 0;
  #lastAckNs = 0;
  #lastPort = 0;

  constructor(file: string) {
    this.#file = file;
  }

  read(): { readonly acknowledged: number; readonly lastAckNs: number; readonly lastPort: number } {
    const file = openSync(this.#file, 'r');
    try {
      const buffer = Buffer.alloc(64 * 1024);
      for (let size = readSync(file, buffer, 0, buffer.length, this.#offset); size > 0; size = readSync(file, buffer, 0, buffer.length, this.#offset)) {
        this.#offset += size;
        this.#take(buffer.toString('utf8', 0, size));
      }
    } finally {
      closeSync(file);
    }
    return { acknowledged: this.#acknowledged, lastAckNs: this.#lastAckNs, lastPort: this.#lastPort };
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const text_ of lines) {
      if (!text_.startsWith('{"k":"ack"')) continue;
      const line = JSON.parse(text_) as WriterLine & { k: 'ack' };
      this.#acknowledged += 1;
      this.#lastAckNs = line.ns;
      this.#lastPort = line.port;
    }
  }
}
