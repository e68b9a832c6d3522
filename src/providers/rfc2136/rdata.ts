import dnsPacket from 'dns-packet';

/** Types by number: the IANA registry "Resource Record (RR) TYPEs". */
export const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, TSIG: 250, IXFR: 251, AXFR: 252, ANY: 255 } as const;
export const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const;

export type TypeName = keyof typeof TYPE;

/** The bytes are no DNS message, or a record in them is not what its type says. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
}

/** The parts of dns-packet that are right, and that its published types leave out: names, and the data of a record. */
interface Parts {
  readonly name: {
    encode(text: string): Buffer;
    decode: { (bytes: Buffer, offset: number): string; bytes: number };
  };
  record(type: string): { encode(data: unknown): Buffer; decode(bytes: Buffer, offset: number): unknown };
}
const parts = dnsPacket as unknown as Parts;

const NAMES = new Map<number, TypeName>(Object.entries(TYPE).map(([name, number]) => [number, name as TypeName]));

/** `A`, or `TYPE65280` for a type that has no name here. */
export const typeName = (type: number): string => NAMES.get(type) ?? `TYPE${type}`;

/** A name as it stands in a message, uncompressed and in the case given. */
export function encodeName(name: string): Buffer {
  const text = name.replace(/\.$/, '');
  if (text !== '' && (text.length > 253 || text.split('.').some((label) => label === '' || Buffer.byteLength(label) > 63)))
    throw new FormatError(`not a DNS name: ${JSON.stringify(name)}`);
  // Its encoder makes two bytes of the root.
  return text === '' ? Buffer.alloc(1) : parts.name.encode(text);
}

/** A name with its final dot, in the case it came in, and how many bytes it took where it stood. */
export function decodeName(bytes: Buffer, offset: number): { name: string; length: number } {
  const name = parts.name.decode(bytes, offset);
  return { name: name.endsWith('.') ? name : `${name}.`, length: parts.name.decode.bytes };
}

/**
 * A record's data with its names uncompressed and in lower case, so that equal data is equal bytes.
 * Empty data is left empty: an update's class ANY and NONE have none (RFC 2136, 2.4 and 2.5).
 */
export function readRdata(type: number, message: Buffer, offset: number, length: number): Buffer {
  const raw = message.subarray(offset, offset + length);
  if (length === 0) return Buffer.alloc(0);
  const need = type === TYPE.A ? 4 : type === TYPE.AAAA ? 16 : undefined;
  if (need !== undefined && length !== need) throw new FormatError(`${typeName(type)} data of ${length} bytes`);
  if (!holdsNames(type)) return Buffer.from(raw);
  // Its decoder begins at the length field, which stands right before the data.
  return encodeData(type, lowered(parts.record(typeName(type)).decode(message, offset - 2)));
}

const holdsNames = (type: number): boolean =>
  type === TYPE.NS || type === TYPE.CNAME || type === TYPE.SOA || type === TYPE.PTR || type === TYPE.MX || type === TYPE.SRV;

function lowered(data: unknown): unknown {
  if (typeof data === 'string') return data.toLowerCase();
  return Object.fromEntries(
    Object.entries(data as Record<string, unknown>).map(([key, value]) => [key, typeof value === 'string' ? value.toLowerCase() : value]),
  );
}

/** Its encoders put the length first, which is ours to write. */
function encodeData(type: number, data: unknown): Buffer {
  const encoded = parts.record(typeName(type)).encode(data);
  return encoded.subarray(2, 2 + encoded.readUInt16BE(0));
}

/** Data in presentation form, as a zone file has it. */
export function rdataToText(type: number, rdata: Buffer): string {
  const data = (): unknown => parts.record(typeName(type)).decode(Buffer.concat([lengthOf(rdata), rdata]), 0);
  const dotted = (name: string): string => (name.endsWith('.') ? name : `${name}.`);
  switch (type) {
    case TYPE.A:
    case TYPE.AAAA:
      return data() as string;
    case TYPE.NS:
    case TYPE.CNAME:
    case TYPE.PTR:
      return dotted(data() as string);
    case TYPE.TXT:
      return txtStrings(rdata).map(quote).join(' ');
    case TYPE.SRV: {
      const srv = data() as { priority: number; weight: number; port: number; target: string };
      return `${srv.priority} ${srv.weight} ${srv.port} ${dotted(srv.target)}`;
    }
    case TYPE.MX: {
      const mx = data() as { preference: number; exchange: string };
      return `${mx.preference} ${dotted(mx.exchange)}`;
    }
    case TYPE.SOA: {
      const soa = data() as { mname: string; rname: string; serial: number; refresh: number; retry: number; expire: number; minimum: number };
      return `${dotted(soa.mname)} ${dotted(soa.rname)} ${soa.serial} ${soa.refresh} ${soa.retry} ${soa.expire} ${soa.minimum}`;
    }
    default:
      // RFC 3597, the form of what has none of its own.
      return `\\# ${rdata.length} ${rdata.toString('hex')}`;
  }
}

/** The other way. @throws FormatError where the text is no data of that type */
export function textToRdata(type: number, text: string): Buffer {
  const words = text.trim().split(/\s+/);
  const number = (index: number): number => {
    const value = Number(words[index]);
    if (!Number.isInteger(value) || value < 0) throw new FormatError(`not ${typeName(type)} data: ${text}`);
    return value;
  };
  const name = (index: number): string => {
    const value = words[index];
    if (value === undefined) throw new FormatError(`not ${typeName(type)} data: ${text}`);
    encodeName(value);
    return value.toLowerCase();
  };
  switch (type) {
    case TYPE.A:
    case TYPE.AAAA:
      try {
        return encodeData(type, text.trim());
      } catch (cause) {
        throw new FormatError(`not an address: ${text}`, { cause });
      }
    case TYPE.NS:
    case TYPE.CNAME:
    case TYPE.PTR:
      return encodeName(name(0));
    case TYPE.TXT:
      return txtData(unquote(text));
    case TYPE.SRV:
      return encodeData(type, { priority: number(0), weight: number(1), port: number(2), target: name(3) });
    case TYPE.MX:
      return encodeData(type, { preference: number(0), exchange: name(1) });
    case TYPE.SOA:
      return encodeData(type, {
        mname: name(0),
        rname: name(1),
        serial: number(2),
        refresh: number(3),
        retry: number(4),
        expire: number(5),
        minimum: number(6),
      });
    default: {
      const generic = /^\\# (\d+) ([0-9a-f]*)$/i.exec(text.trim());
      if (generic === null) throw new FormatError(`not ${typeName(type)} data: ${text}`);
      return Buffer.from(generic[2]!, 'hex');
    }
  }
}

function lengthOf(rdata: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(rdata.length);
  return length;
}

export function txtData(strings: readonly string[]): Buffer {
  return Buffer.concat(
    strings.flatMap((text) => {
      const bytes = Buffer.from(text, 'latin1');
      if (bytes.length > 255) throw new FormatError(`a string of ${bytes.length} bytes: TXT holds strings of at most 255`);
      return [Buffer.from([bytes.length]), bytes];
    }),
  );
}

export function txtStrings(rdata: Buffer): string[] {
  const strings: string[] = [];
  for (let offset = 0; offset < rdata.length; offset += 1 + rdata[offset]!) {
    if (offset + 1 + rdata[offset]! > rdata.length) throw new FormatError('a TXT string runs past its record');
    strings.push(rdata.toString('latin1', offset + 1, offset + 1 + rdata[offset]!));
  }
  return strings;
}

const quote = (text: string): string =>
  `"${text.replace(/["\\]/g, '\\$&').replace(/[^ -~]/g, (byte) => `\\${byte.charCodeAt(0).toString().padStart(3, '0')}`)}"`;

function unquote(text: string): string[] {
  const strings = [...text.matchAll(/"((?:[^"\\]|\\.)*)"|([^\s"]+)/g)].map((match) => match[1] ?? match[2] ?? '');
  return strings.map((string) =>
    string.replace(/\\(\d{3})|\\(.)/g, (_whole, code: string | undefined, char: string) => (code === undefined ? char : String.fromCharCode(Number(code)))),
  );
}
