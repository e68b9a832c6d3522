import type { ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Answers } from './answers.ts';

export interface StreamLimits {
  /** Streams at once, of all keys together. */
  readonly streams: number;
  /** And of one key. */
  readonly streamsPerKey: number;
  /** Between two comments that keep proxies from closing a silent stream. A reader that has not taken what was sent that long ago is dropped. */
  readonly keepAliveMs: number;
}

interface Stream {
  readonly key: string;
  readonly service: string;
  readonly response: ServerResponse;
  /** What is sent has not left for the network yet. */
  busy: boolean;
  /** Ticks of the keep-alive since it became busy. */
  ticks: number;
  /** To be told once that has left: the latest state only. */
  next: Answers | undefined;
}

/** The open streams of server-sent events, each of one service. An event says that something is new, never what: the client asks again with its key. */
export class Streams {
  readonly #limits: StreamLimits;
  readonly #log: Logger;
  readonly #streams = new Set<Stream>();
  readonly #timer: NodeJS.Timeout;

  constructor(limits: StreamLimits, log: Logger) {
    this.#limits = limits;
    this.#log = log;
    this.#timer = setInterval(() => {
      for (const stream of this.#streams) this.#tick(stream);
    }, limits.keepAliveMs);
    this.#timer.unref();
  }

  get count(): number {
    return this.#streams.size;
  }

  hasRoomFor(key: string): boolean {
    if (this.#streams.size >= this.#limits.streams) return false;
    let own = 0;
    for (const stream of this.#streams) if (stream.key === key) own += 1;
    return own < this.#limits.streamsPerKey;
  }

  /**
   * Begins a stream on a response whose headers are given here. What changed between the client's last evaluation and now would be heard by nobody, so it is
   * told of the present state at once, unless it has named that as the last it heard of.
   */
  open(key: string, service: string, response: ServerResponse, headers: readonly string[], answers: Answers, lastEventId: string | undefined): void {
    const stream: Stream = { key, service, response, busy: false, ticks: 0, next: undefined };
    this.#streams.add(stream);
    response.on('close', () => this.#streams.delete(stream));
    // A reader that is torn away shows here first; 'close' follows.
    response.on('error', (error) => this.#log.debug({ err: error, key, service }, 'a stream of events has broken'));
    response.writeHead(200, [...headers, 'content-type', 'text/event-stream', 'cache-control', 'no-store', 'x-accel-buffering', 'no']);
    this.#send(stream, `retry: 1000\n\n${lastEventId === idOf(answers) ? '' : eventOf(answers)}`);
  }

  tell(service: string, answers: Answers): void {
    const event = eventOf(answers);
    for (const stream of this.#streams) {
      if (stream.service !== service) continue;
      if (stream.busy) stream.next = answers;
      else this.#send(stream, event);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { response } of this.#streams) response.destroy();
    this.#streams.clear();
  }

  #send(stream: Stream, text: string): void {
    stream.busy = true;
    stream.response.write(text, (error) => {
      // It has broken: 'close' follows.
      if (error) return;
      stream.busy = false;
      stream.ticks = 0;
      const { next } = stream;
      stream.next = undefined;
      if (next !== undefined) this.#send(stream, eventOf(next));
    });
  }

  /** A reader that takes nothing would hold its place for ever: it is dropped, and an EventSource comes again by itself. */
  #tick(stream: Stream): void {
    const { response, key, service } = stream;
    if (!stream.busy) return this.#send(stream, ': still here\n\n');
    stream.ticks += 1;
    if (stream.ticks < 2) return;
    this.#streams.delete(stream);
    response.destroy();
    this.#log.warn({ key, service }, 'a reader of events takes nothing, and is dropped');
  }
}

/** An ETag without its quotes: it holds no line break and no null, so it can be an event's id. */
function idOf({ etag }: Answers): string {
  return etag.slice(1, -1);
}

/** @see OFREP 0.3.0, event streams */
function eventOf(answers: Answers): string {
  const { etag, lastModified } = answers;
  return `id: ${idOf(answers)}\ndata: ${JSON.stringify({ type: 'refetchEvaluation', etag, lastModified })}\n\n`;
}
