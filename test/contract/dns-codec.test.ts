import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage, message, OPCODE } from '../../src/providers/rfc2136/message.ts';
import type { Message } from '../../src/providers/rfc2136/message.ts';
import { CLASS, FormatError, rdataToText, textToRdata, TYPE } from '../../src/providers/rfc2136/rdata.ts';
import type { TypeName } from '../../src/providers/rfc2136/rdata.ts';
import { check, makeKey, markUnsigned, sign } from '../../src/providers/rfc2136/tsig.ts';
import type { TsigKey } from '../../src/providers/rfc2136/tsig.ts';

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { maxLength: 6 }).map((labels) => `${labels.join('.')}.`);
const record = fc.record({
  name,
  type: fc.constant(TYPE.TXT),
  class: fc.constantFrom(CLASS.IN, CLASS.ANY, CLASS.NONE),
  ttl: fc.nat(0xffffffff),
  rdata: fc.oneof(fc.constant(Buffer.alloc(0)), fc.constant(textToRdata(TYPE.TXT, '"v=1"'))),
});
const anyMessage = fc.record({
  id: fc.nat(0xffff),
  response: fc.boolean(),
  opcode: fc.constantFrom(0, 5),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  recursionDesired: fc.boolean(),
  rcode: fc.nat(15),
  question: fc.array(fc.record({ name, type: fc.nat(255), class: fc.constant(CLASS.IN) }), { maxLength: 2 }),
  answer: fc.array(record, { maxLength: 4 }),
  authority: fc.array(record, { maxLength: 4 }),
  additional: fc.array(record, { maxLength: 2 }),
});
const key = makeKey('Multi.Label.Key', 'hmac-sha256', 'c2VjcmV0');
const nowMs = 1_700_000_000_000;
const sample = encodeMessage(message({ id: 7, opcode: OPCODE.UPDATE, question: [{ name: 'example.com.', type: TYPE.SOA, class: CLASS.IN }] }));

const texts: [type: TypeName, text: string][] = [
  ['A', '10.0.0.1'],
  ['AAAA', '2001:db8::1'],
  ['CNAME', 'pg-a.example.com.'],
  ['NS', 'ns.example.com.'],
  ['PTR', 'pg-a.example.com.'],
  ['MX', '10 mail.example.com.'],
  ['SRV', '0 10 5432 pg-a.example.com.'],
  ['SRV', '0 0 0 .'],
  ['TXT', '"v=1 owner=a/b epoch=1" "a \\"quoted\\" \\\\ \\007 one"'],
  ['SOA', 'ns.example.com. host\\.master.example.com. 4294967295 1 2 3 4'],
];

describe('DNS messages', () => {
  test.prop([anyMessage])('what is encoded is decoded as it was', (given: Message) => {
    expect(decodeMessage(encodeMessage(given))).toEqual(given);
  });

  test.prop([fc.uint8Array({ maxLength: 200 })])('bytes that are no message are a FormatError, and nothing else', (bytes) => {
    expectMessageOrFormatError(Buffer.from(bytes));
  });

  test.prop([anyMessage, fc.nat(), fc.nat(255)])('a message with a wrong byte is a message or a FormatError, and nothing else', (given: Message, at, value) => {
    const bytes = encodeMessage(given);
    bytes[at % bytes.length] = value;
    expectMessageOrFormatError(bytes);
  });

  test.prop([anyMessage, fc.nat()])('a message that is cut off is a FormatError', (given: Message, length) => {
    const bytes = encodeMessage(given);
    expect(() => decodeMessage(bytes.subarray(0, length % bytes.length))).toThrow(FormatError);
  });

  it('names that stand there already are written as pointers', () => {
    const long = `${'a'.repeat(60)}.example.com.`;
    const bytes = encodeMessage(
      message({
        id: 1,
        opcode: 0,
        question: [{ name: long, type: 1, class: 1 }],
        answer: [{ name: long.toUpperCase(), type: TYPE.A, class: 1, ttl: 1, rdata: textToRdata(TYPE.A, '10.0.0.1') }],
      }),
    );
    expect(bytes.length).toBe(12 + long.length + 1 + 4 + 2 + 10 + 4);
    expect(decodeMessage(bytes).answer[0]!.name).toBe(long);
  });

  it('data with compressed names is read as data without', () => {
    // example.com. at 12; an SRV whose target is "pg-a" and a pointer to it, in capitals.
    const question = encodeMessage(message({ id: 1, opcode: 0, question: [{ name: 'example.com.', type: TYPE.SRV, class: 1 }] }));
    question.writeUInt16BE(1, 6);
    const rdata = Buffer.from([0, 0, 0, 0, 0x15, 0x38, 4, ...Buffer.from('PG-A'), 0xc0, 12]);
    const bytes = Buffer.concat([question, Buffer.from([0xc0, 12, 0, TYPE.SRV, 0, 1, 0, 0, 0, 1, 0, rdata.length]), rdata]);
    expect(rdataToText(TYPE.SRV, decodeMessage(bytes).answer[0]!.rdata)).toBe('0 0 5432 pg-a.example.com.');
  });

  for (const [type, text] of texts) {
    it(`${type} data is the same text after encoding: ${text}`, () => {
      expect(rdataToText(TYPE[type], textToRdata(TYPE[type], text))).toBe(text);
    });
  }

  it('a type without a name of its own is kept as it is (RFC 3597)', () => {
    expect(rdataToText(65_280, Buffer.from([1, 2, 255]))).toBe('\\# 3 0102ff');
    expect(textToRdata(65_280, '\\# 3 0102ff')).toEqual(Buffer.from([1, 2, 255]));
  });
});

describe('TSIG', () => {
  const signed = (given: TsigKey = key, atMs = nowMs): Buffer => sign(sample, given, atMs).bytes;
  const judge = (bytes: Buffer, by: TsigKey = key, atMs = nowMs, requestMac?: Buffer): unknown => {
    const checked = check(bytes, decodeMessage(bytes), by, atMs, requestMac);
    return checked.outcome === 'bad' ? checked.error : checked.outcome;
  };

  for (const algorithm of ['hmac-sha256', 'hmac-sha512'] as const) {
    it(`a signature by ${algorithm} is good, and the message is what it was`, () => {
      const own = makeKey('k', algorithm, 'c2VjcmV0');
      expect(judge(signed(own), own)).toBe('good');
      expect(decodeMessage(signed(own))).toMatchObject({ id: 7, additional: [] });
    });
  }

  // 0x20 is left out: it changes a letter's case, and the key's name is the same in both.
  test.prop([fc.nat(), fc.integer({ min: 1, max: 255 }).filter((by) => by !== 0x20)])('no byte can be changed without being noticed', (at, by) => {
    const bytes = signed();
    // The first two are the id, which a forwarder may change: the signature carries the original.
    const index = 2 + (at % (bytes.length - 2));
    bytes[index] = bytes[index]! ^ by;
    let verdict: unknown = 'unreadable';
    try {
      verdict = judge(bytes);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
    }
    expect(verdict).not.toBe('good');
  });

  it('an unsigned message, an unknown key, a wrong secret, a wrong time are told apart', () => {
    expect(judge(sample)).toBe('unsigned');
    expect(judge(signed(makeKey('other', 'hmac-sha256', 'c2VjcmV0')))).toBe(17);
    expect(judge(signed(makeKey(key.name, 'hmac-sha512', 'c2VjcmV0')))).toBe(17);
    expect(judge(signed(makeKey(key.name, 'hmac-sha256', 'b3RoZXI=')))).toBe(16);
    expect(judge(signed(key, nowMs - 301_000))).toBe(18);
    expect(judge(signed(key, nowMs + 301_000))).toBe(18);
    expect(judge(signed(key, nowMs - 299_000))).toBe('good');
    expect(
      judge(
        markUnsigned(
          sample,
          {
            keyName: key.name,
            algorithm: 'hmac-sha256.',
            timeSeconds: nowMs / 1000,
            fudgeSeconds: 300,
            mac: Buffer.alloc(0),
            originalId: 7,
            error: 0,
            other: Buffer.alloc(0),
          },
          16,
        ),
      ),
    ).toBe(16);
  });

  it("a reply's signature holds for its own request only", () => {
    const request = sign(sample, key, nowMs);
    const reply = sign(sample, key, nowMs, request.mac).bytes;
    expect(judge(reply, key, nowMs, request.mac)).toBe('good');
    expect(judge(reply, key, nowMs, sign(sample, key, nowMs + 1000).mac)).toBe(16);
    expect(judge(reply)).toBe(16);
  });

  it('a forwarder may change the id, and the signature still holds', () => {
    const bytes = signed();
    bytes.writeUInt16BE(99, 0);
    expect(judge(bytes)).toBe('good');
  });
});

function expectMessageOrFormatError(bytes: Buffer): void {
  try {
    decodeMessage(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
}
