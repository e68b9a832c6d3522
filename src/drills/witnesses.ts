import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Part } from '../stage/processes.ts';
import { type ReaderLook, parseReaderLog } from '../stage/reader-log.ts';
import type { Stage } from '../stage/stage.ts';
import { StageError } from '../stage/stage-error.ts';
import { DATABASE, RECORD } from '../stage/stage-file.ts';
import { type Acknowledgement, parseWriterLog } from '../stage/writer-log.ts';
import { WriterTail } from '../stage/writers.ts';

const WHO = ['--user', DATABASE.user, '--database', DATABASE.database];

export interface Seen {
  /** Of the writer that knows the name alone. */
  readonly writes: readonly Acknowledgement[];
  /** Of those that sit beside one member each, on the same side of every cut, and write there whenever it lets them. */
  readonly beside: readonly Acknowledgement[];
  readonly looks: readonly ReaderLook[];
}

/** Those who see a drill from outside: all that the judge hears. */
export class Witnesses {
  readonly tail: WriterTail;
  readonly #parts: readonly Part[];
  readonly #writerLog: string;
  readonly #besideLogs: readonly string[];
  readonly #readerLog: string;

  private constructor(parts: readonly Part[], logs: { writer: string; beside: readonly string[]; reader: string }) {
    this.#parts = parts;
    this.#writerLog = logs.writer;
    this.#besideLogs = logs.beside;
    this.#readerLog = logs.reader;
    this.tail = new WriterTail(logs.writer);
  }

  static async start(stage: Stage): Promise<Witnesses> {
    const logOf = (name: string): string => path.join(stage.layout.logs, `${name}.jsonl`);
    const { host, port } = stage.dns;
    const writer = await stage.runBeside('writer', 'writer', ['--dns', `${host}:${port}`, '--record', RECORD, ...WHO, '--log', logOf('writer')]);
    const members = stage.members.flatMap((one) => ['--member', `${one.host}:${one.port}`]);
    const others = await Promise.all([
      stage.runBeside('reader', 'reader', [...members, ...WHO, '--log', logOf('reader')]),
      ...stage.members.map((one) => {
        const args = ['--pinned', `${one.host}:${one.port}`, ...WHO, '--log', logOf(`beside-${one.name}`), '--by', `beside-${one.name}`, '--period-ms', '50'];
        return stage.runBeside(`beside-${one.name}`, 'writer', args, one.name);
      }),
    ]);
    return new Witnesses([writer, ...others], {
      writer: logOf('writer'),
      beside: stage.members.map(({ name }) => `${logOf(`beside-${name}`)}.1`),
      reader: logOf('reader'),
    });
  }

  /** @throws StageError where a witness has ended by itself: then nothing that it did not see may be claimed */
  requireRunning(): void {
    for (const part of this.#parts) if (part.hasEnded()) throw new StageError(`${part.name} has ended by itself: nothing can be said of what it did not see`);
  }

  /** Waits until the writer has had so many more acknowledgements. */
  async untilFlowing(count: number, limitMs: number, signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + limitMs;
    const from = this.tail.read().acknowledged;
    while (this.tail.read().acknowledged < from + count) {
      this.requireRunning();
      if (performance.now() > endMs) throw new StageError(`the writer had fewer than ${count} acknowledgements in ${limitMs / 1000} s`);
      await sleep(20, undefined, { signal });
    }
  }

  async stop(): Promise<void> {
    this.requireRunning();
    await Promise.all(this.#parts.map((part) => part.end(5_000)));
  }

  read(): Seen {
    this.requireRunning();
    return this.readLogs();
  }

  /** Also after they have been stopped. */
  readLogs(): Seen {
    const acknowledged = (file: string): readonly Acknowledgement[] => parseWriterLog(readFileSync(file, 'utf8')).acknowledged;
    return {
      writes: acknowledged(this.#writerLog),
      beside: this.#besideLogs.flatMap(acknowledged),
      looks: parseReaderLog(readFileSync(this.#readerLog, 'utf8')),
    };
  }
}
