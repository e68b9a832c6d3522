import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns';
import { connect, isIP } from 'node:net';
import { AUTHORITATIVE_ANSWER, decode, encode, RECURSION_DESIRED, TRUNCATED_RESPONSE } from 'dns-packet';
import type { DecodedPacket, Packet } from 'dns-packet';
import type { DnsProbeConfig } from '../model/probe.ts';
import { bounded, sayHost } from './bounded.ts';
import type { Ending, Found } from './bounded.ts';
import type { Look, Probe } from './probe.ts';

/** Asks a DNS server over UDP, and over TCP where the answer was cut short. */
export class DnsProbe implements Probe {
  readonly kind = 'dns';
  readonly #config: DnsProbeConfig;
  readonly #who: string;

  constructor(config: DnsProbeConfig) {
    this.#config = config;
    this.#who = sayHost(config.server.host, config.server.port);
  }

  look(signal: AbortSignal): Promise<Look> {
    return bounded(this.#config.timeoutMs, signal, (ending) => this.#start(ending));
  }

  async close(): Promise<void> {
    // Each look has a socket of its own.
  }

  #start(ending: Ending): () => void {
    const { host } = this.#config.server;
    let stop = (): void => undefined;
    let stopped = false;
    const ask = (address: string): void => {
      if (stopped) return;
      ending.at('asked over UDP');
      stop = this.#askUdp(address, ending, () => {
        stop();
        ending.at('asked over TCP');
        stop = this.#askTcp(address, ending);
      });
    };
    if (isIP(host) !== 0) ask(host);
    else {
      ending.at('looking up its name', 'ours');
      lookup(host, (error, address) => (error === null ? ask(address) : ending.fail(this.#who, error)));
    }
    return () => {
      stopped = true;
      stop();
    };
  }

  /** Repeats the question, since a datagram may be lost on the way there or back. */
  #askUdp(address: string, ending: Ending, truncated: () => void): () => void {
    const id = randomInt(0x10000);
    const question = encode(this.#question(id));
    const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
    let repeat: NodeJS.Timeout | undefined;
    socket.on('error', (error) => ending.fail(this.#who, error));
    socket.on('message', (bytes) => {
      const reply = this.#read(bytes, id);
      if (reply === undefined) return; // Nobody's answer to this question: a late one, or a stranger's.
      if ((flagsOf(reply) & TRUNCATED_RESPONSE) !== 0) truncated();
      else ending.settle(this.#judge(reply));
    });
    socket.on('connect', () => {
      socket.send(question);
      repeat = setInterval(() => socket.send(question), Math.max(this.#config.timeoutMs / 4, 1));
    });
    // A connected socket takes no datagram of a stranger, and hears that nobody listens.
    socket.connect(this.#config.server.port, address);
    return () => {
      clearInterval(repeat);
      socket.removeAllListeners('connect');
      socket.close();
    };
  }

  /** Over TCP each message follows its length: RFC 1035, 4.2.2. */
  #askTcp(address: string, ending: Ending): () => void {
    const id = randomInt(0x10000);
    const question = encode(this.#question(id));
    const length = Buffer.alloc(2);
    length.writeUInt16BE(question.length);
    const socket = connect({ host: address, port: this.#config.server.port, noDelay: true });
    let bytes = Buffer.alloc(0);
    socket.on('error', (error) => ending.fail(this.#who, error));
    socket.on('end', () => ending.settle({ outcome: 'down', words: `${this.#who}: closed the connection without an answer` }));
    socket.on('connect', () => socket.write(Buffer.concat([length, question])));
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length < 2 || bytes.length < 2 + bytes.readUInt16BE(0)) return;
      const reply = this.#read(bytes.subarray(2, 2 + bytes.readUInt16BE(0)), id);
      ending.settle(reply === undefined ? { outcome: 'down', words: `${this.#who}: answered what is no answer to this question` } : this.#judge(reply));
    });
    return () => socket.destroy();
  }

  #question(id: number): Packet {
    const { name, recordType, authoritative } = this.#config;
    return { type: 'query', id, flags: authoritative === true ? 0 : RECURSION_DESIRED, questions: [{ name: withoutDot(name), type: recordType, class: 'IN' }] };
  }

  #read(bytes: Buffer, id: number): DecodedPacket | undefined {
    let reply: DecodedPacket;
    try {
      reply = decode(bytes);
    } catch {
      return undefined; // dns-packet throws whatever comes up in bytes that are no message: RangeError, TypeError, Error.
    }
    const asked = reply.questions?.[0];
    const same = asked === undefined || (asked.type === this.#config.recordType && sameName(asked.name, this.#config.name));
    return reply.type === 'response' && reply.id === id && same ? reply : undefined;
  }

  #judge(reply: DecodedPacket): Found {
    const { name, recordType, expect, authoritative } = this.#config;
    const down = (words: string): Found => ({ outcome: 'down', words: `${this.#who}: ${words}` });
    const { rcode } = reply as DecodedPacket & { readonly rcode: string };
    if (rcode !== 'NOERROR') return down(`answered ${rcode} for ${name} ${recordType}`);
    if (authoritative === true && (flagsOf(reply) & AUTHORITATIVE_ANSWER) === 0) return down('answered, but not as an authority');
    const values = (reply.answers ?? []).flatMap((answer) => (answer.type === recordType ? [sayData((answer as { readonly data: unknown }).data)] : []));
    if (values.length === 0) return down(`has no ${recordType} record of ${name}`);
    const missing = (expect ?? []).filter((value) => !values.some((found) => found === value || sameName(found, value)));
    if (missing.length > 0) return down(`answered ${values.join(', ')} for ${name}, without ${missing.join(', ')}`);
    return { outcome: 'up', words: values.join(', ') };
  }
}

const flagsOf = (reply: DecodedPacket): number => reply.flags ?? 0;
const withoutDot = (name: string): string => name.replace(/\.$/, '');
const sameName = (one: string, other: string): boolean => withoutDot(one).toLowerCase() === withoutDot(other).toLowerCase();

/** A TXT record is a list of pieces, which belong together: RFC 7208, 3.3, as most readers hold it. */
function sayData(data: unknown): string {
  return Array.isArray(data) ? data.map(String).join('') : String(data);
}
