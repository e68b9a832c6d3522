import { message, RCODE } from '../rfc2136/message.ts';
import type { Message, ResourceRecord } from '../rfc2136/message.ts';
import { CLASS, decodeName, TYPE } from '../rfc2136/rdata.ts';
import type { Zone } from './zone.ts';

/** A chain of aliases longer than this is a loop. */
const MOST_ALIASES = 8;

/** Answers a query from the zone with authority, and refuses what lies outside: RFC 1034, 4.3.2. */
export function answerQuery(zone: Zone, request: Message): Message {
  const [question, ...more] = request.question;
  const reply = (given: Partial<Message>): Message =>
    message({ id: request.id, opcode: request.opcode, response: true, recursionDesired: request.recursionDesired, question: request.question, ...given });
  if (question === undefined || more.length > 0) return reply({ rcode: RCODE.FORMERR });
  if (question.class !== CLASS.IN || !zone.holds(question.name)) return reply({ rcode: RCODE.REFUSED });
  if (question.type === TYPE.AXFR || question.type === TYPE.IXFR) return reply({ rcode: RCODE.NOTIMP });
  const answer: ResourceRecord[] = [];
  let name = question.name;
  for (let hops = 0; hops < MOST_ALIASES; hops += 1) {
    const found =
      question.type === TYPE.ANY ? [...(zone.at(name)?.keys() ?? [])].flatMap((type) => zone.records(name, type)) : zone.records(name, question.type);
    answer.push(...found);
    const alias = found.length === 0 ? zone.records(name, TYPE.CNAME)[0] : undefined;
    if (alias === undefined) break;
    answer.push(alias);
    name = decodeName(alias.rdata, 0).name;
    if (!zone.holds(name)) return reply({ authoritative: true, answer });
  }
  const complete = answer.at(-1) !== undefined && answer.at(-1)!.name === name;
  if (complete) return reply({ authoritative: true, answer });
  // Nothing: the SOA says for how long that may be believed (RFC 2308).
  return reply({ authoritative: true, answer, authority: zone.records(zone.origin, TYPE.SOA), rcode: zone.exists(name) ? RCODE.NOERROR : RCODE.NXDOMAIN });
}
