import type { OwnedRecord } from '../../model/record.ts';
import type { Seen } from './look.ts';
import { markerName } from '../marker.ts';
import { markerRdata } from './marker.ts';
import type { ResourceRecord } from './message.ts';
import { CLASS, textToRdata, TYPE } from './rdata.ts';

/** The prerequisites and the updates of one UPDATE message (RFC 2136, 2.4 and 2.5): all of it is done, or nothing. */
export interface ChangeSet {
  readonly prerequisites: readonly ResourceRecord[];
  readonly updates: readonly ResourceRecord[];
}

/** Turns what was seen into what is wanted, if record and marker are still exactly as seen. */
export function makeChangeSet(seen: Seen, wanted: OwnedRecord): ChangeSet {
  const marker = { name: markerName(wanted.name, wanted.type), type: TYPE.TXT };
  const record = { name: wanted.name, type: TYPE[wanted.type] };
  return {
    prerequisites: [...asSeen(record, seen.values, wanted.type === 'CNAME'), ...asSeen(marker, seen.marker, false)],
    updates: [
      ...replace(
        record,
        wanted.ttlSeconds,
        wanted.values.map((value) => textToRdata(record.type, value)),
      ),
      ...replace(marker, wanted.ttlSeconds, [markerRdata(wanted)]),
    ],
  };
}

interface SetId {
  readonly name: string;
  readonly type: number;
}

/** Values must be the same, and all; their TTL is not compared. A CNAME can only come where nothing else is. */
function asSeen(set: SetId, records: readonly ResourceRecord[], alone: boolean): ResourceRecord[] {
  if (records.length > 0) return records.map(({ rdata }) => ({ ...set, class: CLASS.IN, ttl: 0, rdata }));
  return [{ ...set, type: alone ? TYPE.ANY : set.type, class: CLASS.NONE, ttl: 0, rdata: Buffer.alloc(0) }];
}

function replace(set: SetId, ttl: number, values: readonly Buffer[]): ResourceRecord[] {
  return [{ ...set, class: CLASS.ANY, ttl: 0, rdata: Buffer.alloc(0) }, ...values.map((rdata) => ({ ...set, class: CLASS.IN, ttl, rdata }))];
}
