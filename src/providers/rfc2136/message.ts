import { CLASS, decodeName, encodeName, FormatError, readRdata, TYPE } from './rdata.ts';

/** A DNS message (RFC 1035, 4), an UPDATE among them: its zone, prerequisites and updates stand in question, answer and authority (RFC 2136, 2). */
export interface Message {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly rcode: number;
  readonly question: readonly Question[];
  readonly answer: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  /** Without the signature, which `signature` tells of. */
  readonly additional: readonly ResourceRecord[];
  /** Where the TSIG record begins in the bytes that were decoded, and what it says. */
  readonly signature?: { readonly offset: number; readonly record: ResourceRecord };
}

export interface Question {
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface ResourceRecord {
  /** With its final dot. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
  /** Uncompressed, names in lower case: equal data is equal bytes. */
  readonly rdata: Buffer;
}

export const OPCODE = { QUERY: 0, UPDATE: 5 } as const;
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  BADSIG: 16,
  BADKEY: 17,
  BADTIME: 18,
  BADTRUNC: 22,
} as const;

const RCODE_NAMES = new Map<number, string>(Object.entries(RCODE).map(([name, number]) => [number, name]));
export const rcodeName = (rcode: number): string => RCODE_NAMES.get(rcode) ?? `RCODE${rcode}`;

/** UDP without EDNS carries no more: RFC 1035, 4.2.1. */
export const UDP_LIMIT_BYTES = 512;

/** What most messages have in common; the rest is given. */
export function message(given: Partial<Message> & Pick<Message, 'id' | 'opcode'>): Message {
  return {
    response: false,
    authoritative: false,
    truncated: false,
    recursionDesired: false,
    rcode: 0,
    question: [],
    answer: [],
    authority: [],
    additional: [],
    ...given,
  };
}

/** Names that stand in the message already are written as pointers to it. The signature is not encoded: `sign` adds it. */
export function encodeMessage(message: Message): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(message.id, 0);
  const bits = [message.response, message.authoritative, message.truncated, message.recursionDesired].map(Number);
  header.writeUInt16BE((bits[0]! << 15) | (message.opcode << 11) | (bits[1]! << 10) | (bits[2]! << 9) | (bits[3]! << 8) | message.rcode, 2);
  [message.question, message.answer, message.authority, message.additional].forEach((section, index) => header.writeUInt16BE(section.length, 4 + index * 2));
  const writer = new Writer(header);
  for (const { name, type, class: klass } of message.question) {
    writer.name(name);
    writer.numbers([type, klass]);
  }
  for (const record of [...message.answer, ...message.authority, ...message.additional]) {
    writer.name(record.name);
    writer.numbers([record.type, record.class, record.ttl >>> 16, record.ttl & 0xffff, record.rdata.length]);
    writer.bytes(record.rdata);
  }
  return writer.done();
}

class Writer {
  readonly #chunks: Buffer[] = [];
  readonly #seen = new Map<string, number>();
  #offset = 0;

  constructor(header: Buffer) {
    this.bytes(header);
  }

  bytes(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#offset += chunk.length;
  }

  numbers(values: readonly number[]): void {
    const chunk = Buffer.alloc(values.length * 2);
    values.forEach((value, index) => chunk.writeUInt16BE(value, index * 2));
    this.bytes(chunk);
  }

  name(name: string): void {
    const wire = encodeName(name);
    let at = 0;
    while (wire[at] !== 0) {
      const suffix = wire.toString('latin1', at).toLowerCase();
      const known = this.#seen.get(suffix);
      if (known !== undefined) {
        this.bytes(wire.subarray(0, at));
        return this.numbers([0xc000 | known]);
      }
      // A pointer has 14 bits.
      if (this.#offset + at < 0x4000) this.#seen.set(suffix, this.#offset + at);
      at += 1 + wire[at]!;
    }
    this.bytes(wire);
  }

  done(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** @throws FormatError for anything that is not one whole message: the bytes come from anybody */
export function decodeMessage(bytes: Buffer): Message {
  try {
    return decode(bytes);
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    // Reading past the end is a RangeError of Buffer, a bad name a plain Error of dns-packet.
    throw new FormatError(`not a DNS message: ${(cause as Error).message}`, { cause });
  }
}

function decode(bytes: Buffer): Message {
  const flags = bytes.readUInt16BE(2);
  let offset = 12;
  const question: Question[] = [];
  for (let left = bytes.readUInt16BE(4); left > 0; left -= 1) {
    const { name, length } = decodeName(bytes, offset);
    offset += length;
    question.push({ name, type: bytes.readUInt16BE(offset), class: bytes.readUInt16BE(offset + 2) });
    offset += 4;
  }
  let lastAt = offset;
  const section = (count: number): ResourceRecord[] => {
    const records: ResourceRecord[] = [];
    for (; count > 0; count -= 1) {
      lastAt = offset;
      const { name, length } = decodeName(bytes, offset);
      offset += length;
      const [type, klass, ttl, size] = [
        bytes.readUInt16BE(offset),
        bytes.readUInt16BE(offset + 2),
        bytes.readUInt32BE(offset + 4),
        bytes.readUInt16BE(offset + 8),
      ];
      offset += 10;
      if (offset + size > bytes.length) throw new FormatError('a record runs past the end of its message');
      records.push({ name, type, class: klass, ttl, rdata: readRdata(type, bytes, offset, size) });
      offset += size;
    }
    return records;
  };
  const [answer, authority, additional] = [section(bytes.readUInt16BE(6)), section(bytes.readUInt16BE(8)), section(bytes.readUInt16BE(10))];
  const last = additional.at(-1);
  const signed = last?.type === TYPE.TSIG && last.class === CLASS.ANY;
  if (signed) additional.pop();
  if ([...answer, ...authority, ...additional].some((record) => record.type === TYPE.TSIG))
    throw new FormatError('a signature that is not the last record: RFC 8945, 5.1');
  return {
    id: bytes.readUInt16BE(0),
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    recursionDesired: (flags & 0x0100) !== 0,
    rcode: flags & 0xf,
    question,
    answer,
    authority,
    additional,
    ...(signed ? { signature: { offset: lastAt, record: last } } : {}),
  };
}
