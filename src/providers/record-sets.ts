import { decideChange, differenceOf, normaliseName, normaliseValue } from '../decide/change.ts';
import { UnderstudyError } from '../model/error.ts';
import type { FoundRecord, OwnedRecord, RecordType } from '../model/record.ts';
import { markerName, markerText, readMarkerTexts } from './marker.ts';
import type { Applied, Verified } from './provider.ts';

/** What stands at one name and type where records are kept as text: in a file, or behind an HTTP API. */
export interface RecordSet {
  /** Lower case, absolute. */
  readonly name: string;
  /** Any type, also those that Understudy never writes. */
  readonly type: string;
  readonly ttlSeconds: number;
  /** In presentation form; the strings of a TXT in quotes. */
  readonly values: readonly string[];
}

const CODE = /\\(\d{3})|\\(.)/g;

/** A TXT value as one text: `"v=1 " "owner=x"` is `v=1 owner=x`. */
export function txtToText(value: string): string {
  const strings = [...value.matchAll(/"((?:[^"\\]|\\.)*)"|([^\s"]+)/g)].map((match) => match[1] ?? match[2] ?? '');
  return strings
    .map((string) => string.replace(CODE, (_whole, code: string | undefined, char: string) => (code === undefined ? char : String.fromCharCode(Number(code)))))
    .join('');
}

/** The sets that are `wanted` and its marker. @throws UnderstudyError `BadInput` where the owner does not fit in a marker */
export function setsOf(wanted: OwnedRecord): [record: RecordSet, marker: RecordSet] {
  const { name, type, ttlSeconds, values } = wanted;
  return [
    { name, type, ttlSeconds, values },
    { name: markerName(name, type), type: 'TXT', ttlSeconds, values: [`"${markerText(wanted)}"`] },
  ];
}

/** What the sets say of a record: they must hold all that stands at its name and at its marker's. */
export function foundIn(sets: readonly RecordSet[], name: string, type: RecordType): FoundRecord {
  const at = (wantedName: string, wantedType: string): RecordSet | undefined => sets.find((set) => set.name === wantedName && set.type === wantedType);
  const alias = type === 'CNAME' ? undefined : at(name, 'CNAME');
  if (alias !== undefined) return { state: 'unowned', values: alias.values.map((value) => `CNAME ${value}`), ttlSeconds: alias.ttlSeconds };
  const record = at(name, type);
  const marker = at(markerName(name, type), 'TXT');
  const values = (record?.values ?? []).map((value) => asWritten(type, value)).sort();
  const ttlSeconds = values.length === 0 ? 0 : (record?.ttlSeconds ?? 0);
  const owner = readMarkerTexts((marker?.values ?? []).map(txtToText));
  if (owner !== undefined) return { state: 'owned', record: { name, type, ttlSeconds, values, ...owner } };
  if (values.length === 0 && (marker?.values ?? []).length === 0) return { state: 'absent' };
  return { state: 'unowned', values, ttlSeconds };
}

/** Somebody else's value need not be one that we would write. */
function asWritten(type: RecordType, value: string): string {
  try {
    return normaliseValue(type, value);
  } catch (error) {
    if (error instanceof UnderstudyError) return value;
    throw error;
  }
}

/** What is to be written, or the answer where nothing is. */
export type Step = { readonly write: true; readonly found: FoundRecord } | { readonly write: false; readonly applied: Applied };

/** Judges the sets at a record's name: the rules of `decideChange`, and that a CNAME stands alone (RFC 1034, 3.6.2). */
export function stepTowards(sets: readonly RecordSet[], wanted: OwnedRecord, raced = false): Step {
  const found = foundIn(sets, wanted.name, wanted.type);
  const change = decideChange(found, wanted, raced);
  const say = (words: string): string => `${wanted.name} ${wanted.type}: ${words}`;
  switch (change.change) {
    case 'already':
      return { write: false, applied: { outcome: 'already', record: wanted } };
    case 'lost-race':
    case 'foreign-owner':
      return { write: false, applied: { outcome: change.change, found, words: say(change.words) } };
    case 'create':
    case 'replace': {
      const beside = wanted.type === 'CNAME' ? sets.filter(({ name, type, values }) => name === wanted.name && type !== 'CNAME' && values.length > 0) : [];
      if (beside.length === 0) return { write: true, found };
      const words = say(`another type stands at that name (${beside.map(({ type }) => type).join(', ')}), and a CNAME stands alone`);
      return { write: false, applied: { outcome: 'refused', words } };
    }
  }
}

/** Whether what was found is `wanted`, as `server` answers it. */
export function judge(found: FoundRecord, wanted: OwnedRecord, server: string): Verified {
  const difference =
    found.state === 'owned'
      ? differenceOf(found.record, wanted)
      : found.state === 'absent'
        ? 'nothing is there'
        : `${found.values.join(', ')} is there without a marker`;
  return difference === undefined ? { outcome: 'verified', servers: [server] } : { outcome: 'not-yet', words: `${server}: ${difference}` };
}

/** A set with its name in the one form; undefined for a name that could not be a record of ours, such as one with a space in it. */
export function readSet(set: RecordSet): RecordSet | undefined {
  try {
    return { ...set, name: normaliseName(set.name), type: set.type.toUpperCase() };
  } catch (error) {
    if (error instanceof UnderstudyError) return undefined;
    throw error;
  }
}
