import { UnderstudyError } from '../../model/error.ts';
import type { ResourceRecord } from '../rfc2136/message.ts';
import { CLASS, encodeName, FormatError, rdataToText, textToRdata, TYPE, typeName } from '../rfc2136/rdata.ts';
import type { TypeName } from '../rfc2136/rdata.ts';

export interface RecordSet {
  readonly ttl: number;
  readonly values: readonly Buffer[];
}

/** One zone in memory. It is never changed: `edit` makes the next one, so that a change is seen whole or not at all. */
export class Zone {
  readonly origin: string;
  /** By name in lower case, then by type. */
  readonly #names: ReadonlyMap<string, ReadonlyMap<number, RecordSet>>;

  constructor(origin: string, names: ReadonlyMap<string, ReadonlyMap<number, RecordSet>>) {
    this.origin = origin;
    this.#names = names;
  }

  holds(name: string): boolean {
    const lower = name.toLowerCase();
    return lower === this.origin || lower.endsWith(`.${this.origin}`);
  }

  at(name: string): ReadonlyMap<number, RecordSet> | undefined {
    return this.#names.get(name.toLowerCase());
  }

  set(name: string, type: number): RecordSet | undefined {
    return this.at(name)?.get(type);
  }

  /** Whether the name is there, or one below it: then it has no records and is no NXDOMAIN (RFC 8020). */
  exists(name: string): boolean {
    const lower = name.toLowerCase();
    return this.#names.has(lower) || [...this.#names.keys()].some((other) => other.endsWith(`.${lower}`));
  }

  records(name: string, type: number): ResourceRecord[] {
    const set = this.set(name, type);
    return set === undefined ? [] : set.values.map((rdata) => ({ name, type, class: CLASS.IN, ttl: set.ttl, rdata }));
  }

  get serial(): number {
    return readSerial(this.set(this.origin, TYPE.SOA)!.values[0]!);
  }

  /** A copy to be changed, its sets shared. */
  edit(): Map<string, Map<number, RecordSet>> {
    return new Map([...this.#names].map(([name, sets]) => [name, new Map(sets)]));
  }

  /** As lines of a zone file, the SOA first. */
  lines(): string[] {
    const all = [...this.#names].flatMap(([name, sets]) =>
      [...sets].flatMap(([type, set]) =>
        set.values.map((rdata) => ({ soa: type === TYPE.SOA, line: `${name} ${set.ttl} ${typeName(type)} ${rdataToText(type, rdata)}` })),
      ),
    );
    return [...all.filter(({ soa }) => soa), ...all.filter(({ soa }) => !soa)].map(({ line }) => line);
  }
}

const serialAt = (rdata: Buffer): number => rdata.length - 20;
export const readSerial = (rdata: Buffer): number => rdata.readUInt32BE(serialAt(rdata));

/** Serials go round, and zero is left out: RFC 1982, RFC 2136 4.2. */
export function raiseSerial(rdata: Buffer): Buffer {
  const raised = Buffer.from(rdata);
  raised.writeUInt32BE((readSerial(rdata) + 1) >>> 0 || 1, serialAt(raised));
  return raised;
}

/**
 * A zone from lines such as `pg-a.understudy.test. 1 A 127.0.0.1`. Where they have no SOA and NS, it gets its own.
 *
 * @throws UnderstudyError `BadInput` that names the line
 */
export function makeZone(origin: string, lines: readonly string[]): Zone {
  const names = new Map<string, Map<number, RecordSet>>();
  const own = [`${origin} 60 SOA ns.${origin} hostmaster.${origin} 1 60 60 86400 1`, `${origin} 60 NS ns.${origin}`, `ns.${origin} 60 A 127.0.0.1`];
  const given = lines.some((line) => /\sSOA\s/.test(line));
  for (const line of given ? lines : [...own, ...lines]) {
    const { name, ttl, type, rdata } = readLine(line);
    if (name !== origin && !name.endsWith(`.${origin}`))
      throw new UnderstudyError('BadInput', `the record ${JSON.stringify(line)} does not lie in zone ${origin}`, { line });
    const sets = names.get(name) ?? new Map<number, RecordSet>();
    sets.set(type, { ttl, values: [...(sets.get(type)?.values ?? []), rdata] });
    names.set(name, sets);
  }
  return new Zone(origin, names);
}

function readLine(line: string): { name: string; ttl: number; type: number; rdata: Buffer } {
  const bad = (why: string, cause?: unknown): UnderstudyError =>
    new UnderstudyError(
      'BadInput',
      `the record ${JSON.stringify(line)} cannot be read (${why}); one looks like "pg-a.understudy.test. 1 A 127.0.0.1"`,
      { line },
      cause,
    );
  const parts = /^(\S+)\s+(\d+)\s+(?:IN\s+)?([A-Za-z0-9]+)\s+(.*)$/.exec(line.trim());
  if (parts === null) throw bad('name, TTL, type and value are needed');
  const [, name, ttl, typeText, value] = parts;
  const numbered = /^TYPE(\d+)$/i.exec(typeText!);
  const type = numbered === null ? TYPE[typeText!.toUpperCase() as TypeName] : Number(numbered[1]);
  if (type === undefined) throw bad(`type ${typeText} is not known`);
  try {
    encodeName(name!);
    return { name: `${name!.toLowerCase().replace(/\.$/, '')}.`, ttl: Number(ttl), type, rdata: textToRdata(type, value!) };
  } catch (error) {
    if (error instanceof FormatError) throw bad(error.message, error);
    throw error;
  }
}
