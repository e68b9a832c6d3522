import { randomInt } from 'node:crypto';
import type { HostPort } from '../../model/config.ts';
import type { Trouble } from '../provider.ts';
import { exchange, exchangeTcp, sayServer } from './exchange.ts';
import type { Limits } from './exchange.ts';
import { decodeMessage, encodeMessage, message, OPCODE, RCODE, rcodeName } from './message.ts';
import type { Message, ResourceRecord } from './message.ts';
import { CLASS, FormatError } from './rdata.ts';
import { check, decodeTsig, sign } from './tsig.ts';
import type { Checked, Tsig, TsigKey } from './tsig.ts';

/** A server's own words, believed: signed where the request was. */
export type Reply = { readonly outcome: 'answer'; readonly reply: Message } | Trouble;

/** Asks for one set of records; RD is off, since only the server's own answer counts. */
export function query(server: HostPort, name: string, type: number, key: TsigKey | undefined, limits: Limits): Promise<Reply> {
  return ask(server, message({ id: randomInt(0x10000), opcode: OPCODE.QUERY, question: [{ name, type, class: CLASS.IN }] }), key, limits);
}

export function update(
  server: HostPort,
  zone: { name: string; type: number },
  prerequisites: readonly ResourceRecord[],
  updates: readonly ResourceRecord[],
  key: TsigKey,
  limits: Limits,
): Promise<Reply> {
  return ask(
    server,
    message({ id: randomInt(0x10000), opcode: OPCODE.UPDATE, question: [{ ...zone, class: CLASS.IN }], answer: prerequisites, authority: updates }),
    key,
    limits,
  );
}

interface Read {
  readonly bytes: Buffer;
  readonly reply: Message;
}

async function ask(server: HostPort, request: Message, key: TsigKey | undefined, limits: Limits): Promise<Reply> {
  const encoded = encodeMessage(request);
  const { bytes, mac } = key === undefined ? { bytes: encoded, mac: undefined } : sign(encoded, key, Date.now());
  const accept = (answer: Buffer): Read | undefined => readReply(answer, request);
  const startedMs = performance.now();
  let got = await exchange(server, bytes, limits, accept);
  if (got.outcome === 'answer' && got.answer.reply.truncated) {
    const leftMs = Math.max(limits.timeoutMs - (performance.now() - startedMs), 1);
    got = await exchangeTcp(server, bytes, { ...limits, timeoutMs: leftMs }, accept);
  }
  if (got.outcome !== 'answer') return got;
  const { reply } = got.answer;
  const distrust = key === undefined ? undefined : distrustOf(got.answer, key, mac);
  if (distrust === undefined) return { outcome: 'answer', reply };
  return { ...distrust, words: `${sayServer(server)} ${distrust.words}` };
}

/** The answer to this request, or undefined: what cannot be read or answers something else is left alone. */
function readReply(bytes: Buffer, request: Message): Read | undefined {
  let reply: Message;
  try {
    reply = decodeMessage(bytes);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
  if (!reply.response || reply.id !== request.id || reply.opcode !== request.opcode) return undefined;
  const [asked, answered] = [request.question[0], reply.question[0]];
  // An error's reply, and some servers' reply to an UPDATE, come without the question.
  const same = answered === undefined || asked === undefined || (answered.type === asked.type && answered.name.toLowerCase() === asked.name.toLowerCase());
  return same ? { bytes, reply } : undefined;
}

/**
 * Why an answer to a signed request cannot be believed, if it cannot.
 *
 * Servers say no to a key in different ways (seen on BIND 9.18, Knot 3.2, PowerDNS 4.7): NOTAUTH with BADKEY, BADSIG or BADTIME in
 * an unsigned TSIG record, or plain REFUSED or NOTAUTH without any. One that knows the key signs even a refusal (RFC 8945, 5.3).
 */
function distrustOf({ bytes, reply }: Read, key: TsigKey, mac: Buffer | undefined): Trouble | undefined {
  const rcode = rcodeName(reply.rcode);
  let told: Tsig | undefined;
  let checked: Checked;
  try {
    if (reply.signature !== undefined) told = decodeTsig(reply.signature.record);
    checked = check(bytes, reply, key, Date.now(), mac);
  } catch (failure) {
    if (failure instanceof FormatError) return { outcome: 'key-refused', words: `answered ${rcode} with a signature that cannot be read: ${failure.message}` };
    throw failure;
  }
  if (told?.error === RCODE.BADTIME)
    return { outcome: 'key-refused', words: `refused the signature by key ${key.name} (BADTIME): ${sayClock(told.other)}; set both clocks by NTP` };
  if (told !== undefined && told.error !== 0)
    return { outcome: 'key-refused', words: `refused key ${key.name} (${rcodeName(told.error)}): compare name, algorithm and secret with the server's` };
  if (checked.outcome === 'good') return undefined;
  if (checked.outcome === 'bad') return { outcome: 'key-refused', words: `answered ${rcode}, which is not believed: ${checked.words}` };
  switch (reply.rcode) {
    case RCODE.REFUSED:
    case RCODE.NOTAUTH:
      return { outcome: 'key-refused', words: `answered ${rcode} without a signature: it does not accept key ${key.name}, or nothing from this address` };
    case RCODE.FORMERR:
    case RCODE.NOTIMP:
    case RCODE.SERVFAIL:
      return { outcome: 'refused', words: `answered ${rcode}` };
    default:
      return { outcome: 'key-refused', words: `answered ${rcode} without the signature that key ${key.name} calls for, which is not believed` };
  }
}

/** What a server's own time, as BADTIME gives it, is against ours. */
function sayClock(time: Buffer): string {
  if (time.length !== 6) return 'its clock and this one are too far apart';
  const aheadSeconds = time.readUIntBE(0, 6) - Math.floor(Date.now() / 1000);
  return `its clock is ${Math.abs(aheadSeconds)} s ${aheadSeconds < 0 ? 'behind' : 'ahead of'} this one`;
}
