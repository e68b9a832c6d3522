import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIPv6 } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { normaliseName } from '../../decide/change.ts';
import type { HostPort } from '../../model/config.ts';
import { Frames, frame } from '../rfc2136/exchange.ts';
import { decodeMessage, encodeMessage, message, OPCODE, RCODE, UDP_LIMIT_BYTES } from '../rfc2136/message.ts';
import type { Message } from '../rfc2136/message.ts';
import { FormatError, TYPE } from '../rfc2136/rdata.ts';
import { check, encodeTime, markUnsigned, sign } from '../rfc2136/tsig.ts';
import type { Checked, TsigKey } from '../rfc2136/tsig.ts';
import { answerQuery } from './answer.ts';
import { loadZone, saveZone } from './state.ts';
import { applyUpdate } from './update.ts';
import { makeZone } from './zone.ts';
import type { Zone } from './zone.ts';

export interface EmbeddedOptions {
  /** Port 0 takes a free one. */
  readonly listen: HostPort;
  readonly zone: string;
  /** Who may update; anybody may ask. */
  readonly key: TsigKey;
  /** `pg-a.understudy.test. 1 A 127.0.0.1`: what a new zone begins with. */
  readonly records: readonly string[];
  /** Keeps the zone over a restart; `records` then count only where it does not exist yet. */
  readonly stateFile?: string;
  /** Hears of what should not happen: a state file that cannot be written. */
  readonly onTrouble: (error: Error) => void;
}

export interface EmbeddedServer {
  readonly address: HostPort;
  readonly zone: () => Zone;
  close(): Promise<void>;
}

/** An idle TCP connection is ended after this: RFC 7766, 6.2.3. */
const IDLE_MS = 10_000;
/** The number of ports that are tried for one that is free for UDP and TCP alike. */
const MOST_PORTS = 50;

/** An authoritative server for development: it speaks UPDATE and TSIG as real ones do, so that development runs production's code. */
export async function startEmbeddedServer(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const core = new Core(options);
  const { tcp, udp, port } = await listen(options.listen, core);
  const sockets = new Set<Socket>();
  tcp.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  return {
    address: { host: options.listen.host, port },
    zone: () => core.zone,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([new Promise<void>((resolve) => udp.close(() => resolve())), new Promise<void>((resolve) => tcp.close(() => resolve()))]);
    },
  };
}

async function listen({ host, port }: HostPort, core: Core): Promise<{ tcp: Server; udp: UdpSocket; port: number }> {
  for (let tries = 1; ; tries += 1) {
    const tcp = createServer((socket) => serveTcp(socket, core));
    tcp.listen(port, host);
    await once(tcp, 'listening');
    const taken = (tcp.address() as AddressInfo).port;
    const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    udp.on('message', (bytes, from) => {
      const reply = core.handle(bytes, 'udp');
      // A client that is gone by now is no trouble of ours.
      if (reply !== undefined) udp.send(reply, from.port, from.address, () => undefined);
    });
    udp.bind(taken, host);
    try {
      await once(udp, 'listening');
      return { tcp, udp, port: taken };
    } catch (error) {
      udp.close();
      tcp.close();
      if (port !== 0 || tries === MOST_PORTS || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

function serveTcp(socket: Socket, core: Core): void {
  const frames = new Frames();
  socket.setNoDelay(true);
  socket.setTimeout(IDLE_MS, () => socket.destroy());
  // A client that resets its connection has ended it, which is its right.
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    for (const bytes of frames.push(chunk)) {
      const reply = core.handle(bytes, 'tcp');
      if (reply !== undefined) socket.write(frame(reply));
    }
  });
}

/** What the server is without its sockets: bytes in, bytes out, one message after another, so that each update is atomic. */
class Core {
  zone: Zone;
  readonly #options: EmbeddedOptions;

  constructor(options: EmbeddedOptions) {
    const origin = normaliseName(options.zone);
    const { stateFile } = options;
    const kept = stateFile === undefined ? undefined : loadZone(stateFile, origin);
    this.zone = kept ?? makeZone(origin, options.records);
    if (stateFile !== undefined && kept === undefined) saveZone(stateFile, this.zone);
    this.#options = options;
  }

  handle(bytes: Buffer, over: 'udp' | 'tcp'): Buffer | undefined {
    let request: Message;
    let signature: Checked;
    try {
      request = decodeMessage(bytes);
      // Two servers that answer each other's answers would never end.
      if (request.response) return undefined;
      signature = check(bytes, request, this.#options.key, Date.now());
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return refuseUnreadable(bytes);
    }
    const reply = this.#answer(request, signature);
    const limitBytes = over === 'tcp' ? 0xffff : Math.max(UDP_LIMIT_BYTES, request.additional.find(({ type }) => type === TYPE.OPT)?.class ?? 0);
    const encoded = this.#encode(reply, signature);
    if (encoded.length <= limitBytes) return encoded;
    return this.#encode(
      { ...reply, truncated: true, answer: [], authority: [], additional: reply.additional.filter(({ type }) => type === TYPE.OPT) },
      signature,
    );
  }

  #answer(request: Message, signature: Checked): Message {
    const reply = (rcode: number): Message => message({ id: request.id, opcode: request.opcode, response: true, rcode, question: request.question });
    if (signature.outcome === 'bad') return reply(RCODE.NOTAUTH);
    const asksEdns = request.additional.some(({ type }) => type === TYPE.OPT);
    switch (request.opcode) {
      case OPCODE.QUERY: {
        const answer = answerQuery(this.zone, request);
        return asksEdns ? { ...answer, additional: [{ name: '.', type: TYPE.OPT, class: 1232, ttl: 0, rdata: Buffer.alloc(0) }] } : answer;
      }
      case OPCODE.UPDATE:
        return reply(signature.outcome === 'good' ? this.#update(request) : RCODE.REFUSED);
      default:
        return reply(RCODE.NOTIMP);
    }
  }

  #update(request: Message): number {
    const updated = applyUpdate(this.zone, request);
    if (updated.zone === undefined || updated.zone === this.zone) return updated.rcode;
    try {
      if (this.#options.stateFile !== undefined) saveZone(this.#options.stateFile, updated.zone);
    } catch (error) {
      // What is not kept is not done.
      this.#options.onTrouble(error as Error);
      return RCODE.SERVFAIL;
    }
    this.zone = updated.zone;
    return RCODE.NOERROR;
  }

  #encode(reply: Message, signature: Checked): Buffer {
    const bytes = encodeMessage(reply);
    const { key } = this.#options;
    if (signature.outcome === 'unsigned') return bytes;
    if (signature.outcome === 'good') return sign(bytes, key, Date.now(), signature.tsig.mac).bytes;
    // A wrong time comes under a right signature, so its refusal is signed and tells our time: RFC 8945, 5.3.2.
    if (signature.error === RCODE.BADTIME)
      return sign(bytes, key, signature.tsig.timeSeconds * 1000, signature.tsig.mac, RCODE.BADTIME, encodeTime(Math.floor(Date.now() / 1000))).bytes;
    return markUnsigned(bytes, signature.tsig, signature.error);
  }
}

function refuseUnreadable(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 12 || (bytes.readUInt16BE(2) & 0x8000) !== 0) return undefined;
  return encodeMessage(message({ id: bytes.readUInt16BE(0), opcode: (bytes.readUInt16BE(2) >> 11) & 0xf, response: true, rcode: RCODE.FORMERR }));
}
