import { createHmac, timingSafeEqual } from 'node:crypto';
import { UnderstudyError } from '../../model/error.ts';
import { RCODE } from './message.ts';
import type { Message, ResourceRecord } from './message.ts';
import { CLASS, decodeName, encodeName, FormatError, TYPE } from './rdata.ts';

/** Transaction signatures: RFC 8945. */
export interface TsigKey {
  readonly name: string;
  readonly algorithm: TsigAlgorithm;
  readonly secret: Buffer;
}

export type TsigAlgorithm = 'hmac-sha256' | 'hmac-sha512';
const HASHES: Readonly<Record<TsigAlgorithm, string>> = { 'hmac-sha256': 'sha256', 'hmac-sha512': 'sha512' };
export const isTsigAlgorithm = (text: string): text is TsigAlgorithm => Object.hasOwn(HASHES, text);

/** How far two clocks may be apart: RFC 8945, 10. */
const FUDGE_SECONDS = 300;

export interface Tsig {
  readonly keyName: string;
  readonly algorithm: string;
  readonly timeSeconds: number;
  readonly fudgeSeconds: number;
  readonly mac: Buffer;
  readonly originalId: number;
  readonly error: number;
  /** With BADTIME, the server's clock in 48 bits. */
  readonly other: Buffer;
}

export type Checked =
  | { readonly outcome: 'good'; readonly tsig: Tsig }
  | { readonly outcome: 'unsigned' }
  /** `error` is what a server answers with: BADKEY, BADSIG, BADTIME or BADTRUNC. */
  | { readonly outcome: 'bad'; readonly error: number; readonly tsig: Tsig; readonly words: string };

/** @throws UnderstudyError `ConfigInvalid` where the secret is not Base64; the message does not hold it */
export function makeKey(name: string, algorithm: TsigAlgorithm, secretBase64: string): TsigKey {
  const text = secretBase64.trim();
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text))
    throw new UnderstudyError('ConfigInvalid', `the secret of TSIG key ${name} is not Base64, as tsig-keygen and keymgr print it`, { key: name });
  return { name: canonical(name), algorithm, secret: Buffer.from(text, 'base64') };
}

const canonical = (name: string): string => `${name.toLowerCase().replace(/\.$/, '')}.`;

/**
 * Adds the signature to an encoded message that has none.
 *
 * @param requestMac a reply's signature covers that of its request, so that it cannot be put to another
 */
export function sign(
  bytes: Buffer,
  key: TsigKey,
  nowMs: number,
  requestMac?: Buffer,
  error: number = 0,
  other: Buffer = Buffer.alloc(0),
): { bytes: Buffer; mac: Buffer } {
  const unsigned: Tsig = {
    keyName: key.name,
    algorithm: `${key.algorithm}.`,
    timeSeconds: Math.floor(nowMs / 1000),
    fudgeSeconds: FUDGE_SECONDS,
    mac: Buffer.alloc(0),
    originalId: bytes.readUInt16BE(0),
    error,
    other,
  };
  const mac = digest(bytes, key, unsigned, requestMac);
  return { bytes: append(bytes, { ...unsigned, mac }), mac };
}

/** A refusal that could not be signed: the key is unknown or the signature was wrong (RFC 8945, 5.3.2). */
export function markUnsigned(bytes: Buffer, asked: Tsig, error: number): Buffer {
  return append(bytes, { ...asked, mac: Buffer.alloc(0), error, other: Buffer.alloc(0) });
}

/** Checks key, signature and time, in that order. @throws FormatError where the record is no TSIG */
export function check(bytes: Buffer, message: Message, key: TsigKey, nowMs: number, requestMac?: Buffer): Checked {
  if (message.signature === undefined) return { outcome: 'unsigned' };
  const tsig = decodeTsig(message.signature.record);
  const bad = (error: number, words: string): Checked => ({ outcome: 'bad', error, tsig, words });
  if (tsig.keyName !== key.name || tsig.algorithm !== `${key.algorithm}.`)
    return bad(RCODE.BADKEY, `signed with ${tsig.keyName} ${tsig.algorithm} instead of ${key.name} ${key.algorithm}`);
  // What was signed: the message as it was before the signature was added.
  const signed = Buffer.from(bytes.subarray(0, message.signature.offset));
  signed.writeUInt16BE(tsig.originalId, 0);
  signed.writeUInt16BE(signed.readUInt16BE(10) - 1, 10);
  const mac = digest(signed, key, tsig, requestMac);
  if (tsig.mac.length < mac.length && tsig.mac.length > 0) return bad(RCODE.BADTRUNC, `its signature is cut to ${tsig.mac.length} bytes`);
  if (tsig.mac.length !== mac.length || !timingSafeEqual(tsig.mac, mac)) return bad(RCODE.BADSIG, 'its signature is wrong');
  const apartSeconds = Math.abs(Math.floor(nowMs / 1000) - tsig.timeSeconds);
  if (apartSeconds > tsig.fudgeSeconds) return bad(RCODE.BADTIME, `it was signed ${apartSeconds} s away from this clock`);
  return { outcome: 'good', tsig };
}

/** BADTIME's other data, and the signature's own time: 48 bits of seconds. */
export function encodeTime(seconds: number): Buffer {
  const bytes = Buffer.alloc(6);
  bytes.writeUIntBE(seconds, 0, 6);
  return bytes;
}

function digest(bytes: Buffer, key: TsigKey, tsig: Tsig, requestMac: Buffer | undefined): Buffer {
  const hmac = createHmac(HASHES[key.algorithm], key.secret);
  if (requestMac !== undefined) hmac.update(uint16(requestMac.length)).update(requestMac);
  hmac.update(bytes);
  hmac.update(encodeName(tsig.keyName)).update(uint16(CLASS.ANY)).update(Buffer.alloc(4));
  hmac.update(encodeName(tsig.algorithm)).update(encodeTime(tsig.timeSeconds)).update(uint16(tsig.fudgeSeconds));
  return hmac.update(uint16(tsig.error)).update(uint16(tsig.other.length)).update(tsig.other).digest();
}

function append(bytes: Buffer, tsig: Tsig): Buffer {
  const rdata = Buffer.concat([
    encodeName(tsig.algorithm),
    encodeTime(tsig.timeSeconds),
    uint16(tsig.fudgeSeconds),
    uint16(tsig.mac.length),
    tsig.mac,
    uint16(tsig.originalId),
    uint16(tsig.error),
    uint16(tsig.other.length),
    tsig.other,
  ]);
  const record = Buffer.concat([encodeName(tsig.keyName), uint16(TYPE.TSIG), uint16(CLASS.ANY), Buffer.alloc(4), uint16(rdata.length), rdata]);
  const whole = Buffer.concat([bytes, record]);
  whole.writeUInt16BE(whole.readUInt16BE(10) + 1, 10);
  return whole;
}

export function decodeTsig(record: ResourceRecord): Tsig {
  const { rdata } = record;
  // It is part of what is signed, as zero: RFC 8945, 4.2.
  if (record.ttl !== 0) throw new FormatError('a TSIG record with a TTL');
  try {
    const algorithm = decodeName(rdata, 0);
    const time = algorithm.length;
    const macAt = time + 10;
    const macEnd = macAt + rdata.readUInt16BE(time + 8);
    const otherAt = macEnd + 6;
    const otherEnd = otherAt + rdata.readUInt16BE(macEnd + 4);
    if (otherEnd !== rdata.length) throw new FormatError('a TSIG record of the wrong length');
    return {
      keyName: canonical(record.name),
      algorithm: canonical(algorithm.name),
      timeSeconds: rdata.readUIntBE(time, 6),
      fudgeSeconds: rdata.readUInt16BE(time + 6),
      mac: rdata.subarray(macAt, macEnd),
      originalId: rdata.readUInt16BE(macEnd),
      error: rdata.readUInt16BE(macEnd + 2),
      other: rdata.subarray(otherAt, otherEnd),
    };
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FormatError(`not a TSIG record: ${(cause as Error).message}`, { cause });
  }
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
