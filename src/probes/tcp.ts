import { connect, isIP } from 'node:net';
import type { TcpProbeConfig } from '../model/probe.ts';
import { bounded, sayHost } from './bounded.ts';
import type { Ending } from './bounded.ts';
import type { Look, Probe } from './probe.ts';

const READ_LIMIT_BYTES = 64 * 1024;

/** Connects, says what it was given to say, and waits for the words that it was given to expect. */
export class TcpProbe implements Probe {
  readonly kind = 'tcp';
  readonly #config: TcpProbeConfig;

  constructor(config: TcpProbeConfig) {
    this.#config = config;
  }

  look(signal: AbortSignal): Promise<Look> {
    return bounded(this.#config.timeoutMs, signal, (ending) => this.#start(ending));
  }

  async close(): Promise<void> {
    // Each look has a connection of its own.
  }

  #start(ending: Ending): () => void {
    const { host, port, send, expect } = this.#config;
    const who = sayHost(host, port);
    if (isIP(host) === 0) ending.at('looking up its name', 'ours');
    const socket = connect({ host, port, noDelay: true });
    let read = Buffer.alloc(0);
    socket.on('lookup', () => ending.at('connecting'));
    socket.on('error', (error) => ending.fail(who, error));
    socket.on('connect', () => {
      ending.at('connected');
      if (send !== undefined) socket.write(send, () => (expect === undefined ? ending.settle({ outcome: 'up' }) : undefined));
      else if (expect === undefined) ending.settle({ outcome: 'up' });
    });
    if (expect !== undefined) {
      socket.on('data', (chunk: Buffer) => {
        read = Buffer.concat([read, chunk]);
        if (read.subarray(0, READ_LIMIT_BYTES).includes(expect)) ending.settle({ outcome: 'up' });
        else if (read.length > READ_LIMIT_BYTES) ending.settle({ outcome: 'down', words: `${who}: no ${JSON.stringify(expect)} in its first 64 kB` });
      });
      socket.on('end', () => ending.settle({ outcome: 'down', words: `${who}: closed the connection without ${JSON.stringify(expect)}` }));
    }
    return () => socket.destroy();
  }
}
