import type { HostPort } from '../../model/config.ts';
import type { FoundRecord, RecordType } from '../../model/record.ts';
import type { Trouble } from '../provider.ts';
import { query } from './ask.ts';
import { sayServer } from './exchange.ts';
import type { Limits } from './exchange.ts';
import { markerName } from '../marker.ts';
import { readMarker } from './marker.ts';
import { RCODE, rcodeName } from './message.ts';
import type { ResourceRecord } from './message.ts';
import { rdataToText, TYPE } from './rdata.ts';
import type { TsigKey } from './tsig.ts';

/** A record and its marker as one server has them; the sets are kept as read, to be the prerequisites of a change. */
export interface Seen {
  readonly outcome: 'seen';
  readonly found: FoundRecord;
  readonly values: readonly ResourceRecord[];
  readonly marker: readonly ResourceRecord[];
}

/** Asks one server, past every cache. Record and marker are two questions, so what looks half written is asked again. */
export async function look(server: HostPort, name: string, type: RecordType, key: TsigKey | undefined, limits: Limits): Promise<Seen | Trouble> {
  const askMarker = (): Promise<Set | Trouble> => readSet(server, markerName(name, type), 'TXT', key, limits);
  const [values, marker] = await Promise.all([readSet(server, name, type, key, limits), askMarker()]);
  if (values.outcome !== 'set') return values;
  if (marker.outcome !== 'set') return marker;
  const seen = judge(name, type, values, marker);
  if (seen.found.state !== 'unowned' || marker.records.length > 0) return seen;
  // The two may have been created between one question and the other; a record that was there has its marker by now.
  const again = await askMarker();
  return again.outcome === 'set' ? judge(name, type, values, again) : again;
}

function judge(name: string, type: RecordType, values: Set, marker: Set): Seen {
  const sets = { values: values.records, marker: marker.records };
  if (values.alias !== undefined)
    return {
      outcome: 'seen',
      found: { state: 'unowned', values: [`CNAME ${rdataToText(TYPE.CNAME, values.alias.rdata)}`], ttlSeconds: values.alias.ttl },
      ...sets,
    };
  const texts = values.records.map(({ rdata }) => rdataToText(TYPE[type], rdata)).sort();
  const ttlSeconds = values.records[0]?.ttl ?? 0;
  const owner = readMarker(marker.records);
  if (owner !== undefined) return { outcome: 'seen', found: { state: 'owned', record: { name, type, ttlSeconds, values: texts, ...owner } }, ...sets };
  if (marker.records.length === 0 && texts.length === 0) return { outcome: 'seen', found: { state: 'absent' }, ...sets };
  return { outcome: 'seen', found: { state: 'unowned', values: texts, ttlSeconds }, ...sets };
}

interface Set {
  readonly outcome: 'set';
  readonly records: readonly ResourceRecord[];
  /** A CNAME stands where another type was asked for. */
  readonly alias?: ResourceRecord;
}

async function readSet(server: HostPort, name: string, type: RecordType | 'TXT', key: TsigKey | undefined, limits: Limits): Promise<Set | Trouble> {
  const answer = await query(server, name, TYPE[type], key, limits);
  if (answer.outcome !== 'answer') return answer;
  const { reply } = answer;
  const refused = (words: string): Trouble => ({ outcome: 'refused', words: `${sayServer(server)} ${words}` });
  if (reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN) return refused(`answered ${rcodeName(reply.rcode)} for ${name} ${type}`);
  if (!reply.authoritative) return refused(`is not authoritative for ${name}: ask a server that holds the zone, no resolver`);
  const here = reply.answer.filter((record) => record.name.toLowerCase() === name);
  const alias = type === 'CNAME' ? undefined : here.find((record) => record.type === TYPE.CNAME);
  return { outcome: 'set', records: here.filter((record) => record.type === TYPE[type]), ...(alias === undefined ? {} : { alias }) };
}
