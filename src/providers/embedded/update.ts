import { RCODE } from '../rfc2136/message.ts';
import type { Message, ResourceRecord } from '../rfc2136/message.ts';
import { CLASS, TYPE } from '../rfc2136/rdata.ts';
import { raiseSerial, readSerial, Zone } from './zone.ts';
import type { RecordSet } from './zone.ts';

/** The zone after an UPDATE, or the code of the refusal; the same zone where nothing changed. */
export type Updated = { readonly rcode: 0; readonly zone: Zone } | { readonly rcode: number; readonly zone?: never };

/** RFC 2136, 3, in its order: the zone, the prerequisites, a look over the updates, and only then the changes. */
export function applyUpdate(zone: Zone, request: Message): Updated {
  const [section, ...more] = request.question;
  if (section === undefined || more.length > 0 || section.type !== TYPE.SOA || section.class !== CLASS.IN) return { rcode: RCODE.FORMERR };
  if (section.name.toLowerCase() !== zone.origin) return { rcode: RCODE.NOTAUTH };
  const rcode = checkPrerequisites(zone, request.answer) || checkUpdates(zone, request.authority);
  return rcode === RCODE.NOERROR ? { rcode: RCODE.NOERROR, zone: change(zone, request.authority) } : { rcode };
}

/** RFC 2136, 3.2. */
function checkPrerequisites(zone: Zone, prerequisites: readonly ResourceRecord[]): number {
  const exact = new Map<string, { name: string; type: number; values: Buffer[] }>();
  for (const { name, type, class: klass, ttl, rdata } of prerequisites) {
    if (ttl !== 0) return RCODE.FORMERR;
    if (!zone.holds(name)) return RCODE.NOTZONE;
    if (klass === CLASS.IN) {
      const id = `${name.toLowerCase()} ${type}`;
      const set = exact.get(id) ?? { name, type, values: [] };
      set.values.push(rdata);
      exact.set(id, set);
      continue;
    }
    if ((klass !== CLASS.ANY && klass !== CLASS.NONE) || rdata.length > 0) return RCODE.FORMERR;
    const there = type === TYPE.ANY ? zone.at(name) !== undefined : zone.set(name, type) !== undefined;
    if (klass === CLASS.ANY && !there) return type === TYPE.ANY ? RCODE.NXDOMAIN : RCODE.NXRRSET;
    if (klass === CLASS.NONE && there) return type === TYPE.ANY ? RCODE.YXDOMAIN : RCODE.YXRRSET;
  }
  for (const { name, type, values } of exact.values()) if (!sameValues(zone.set(name, type)?.values ?? [], values)) return RCODE.NXRRSET;
  return RCODE.NOERROR;
}

function sameValues(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  const text = (values: readonly Buffer[]): string => [...new Set(values.map((value) => value.toString('hex')))].sort().join();
  return text(a) === text(b);
}

/** Types that only a question may have. */
const isMeta = (type: number): boolean => type === TYPE.OPT || (type >= 249 && type <= 255);

/** RFC 2136, 3.4.1: all is looked over before anything is done. */
function checkUpdates(zone: Zone, updates: readonly ResourceRecord[]): number {
  for (const { name, type, class: klass, ttl, rdata } of updates) {
    if (!zone.holds(name)) return RCODE.NOTZONE;
    const wellFormed =
      klass === CLASS.IN
        ? !isMeta(type) && rdata.length > 0
        : klass === CLASS.ANY
          ? ttl === 0 && rdata.length === 0 && (type === TYPE.ANY || !isMeta(type))
          : klass === CLASS.NONE
            ? ttl === 0 && !isMeta(type)
            : false;
    if (!wellFormed) return RCODE.FORMERR;
  }
  return RCODE.NOERROR;
}

/** RFC 2136, 3.4.2. */
function change(zone: Zone, updates: readonly ResourceRecord[]): Zone {
  const names = zone.edit();
  for (const record of updates) {
    const name = record.name.toLowerCase();
    const sets = names.get(name) ?? new Map<number, RecordSet>();
    const atOrigin = name === zone.origin;
    if (record.class === CLASS.IN) add(sets, record);
    else if (record.class === CLASS.ANY) removeSets(sets, record.type, atOrigin);
    else removeValue(sets, record, atOrigin);
    if (sets.size === 0) names.delete(name);
    else names.set(name, sets);
  }
  const next = new Zone(zone.origin, names);
  if (next.lines().join('\n') === zone.lines().join('\n')) return zone;
  const soa = names.get(zone.origin)!.get(TYPE.SOA)!;
  if (next.serial === zone.serial) names.get(zone.origin)!.set(TYPE.SOA, { ...soa, values: [raiseSerial(soa.values[0]!)] });
  return next;
}

function add(sets: Map<number, RecordSet>, { type, ttl, rdata }: ResourceRecord): void {
  const there = sets.get(type);
  if (type === TYPE.SOA) {
    // Only a newer one takes the place of ours: RFC 2136, 3.4.2.2.
    if (there !== undefined && readSerial(rdata) > readSerial(there.values[0]!)) sets.set(type, { ttl, values: [rdata] });
    return;
  }
  // An alias stands alone; whichever is there first stays.
  const alone = type === TYPE.CNAME ? [...sets.keys()].some((other) => other !== TYPE.CNAME) : sets.has(TYPE.CNAME);
  if (alone) return;
  const others = type === TYPE.CNAME ? [] : (there?.values ?? []).filter((value) => !value.equals(rdata));
  sets.set(type, { ttl, values: [...others, rdata] });
}

/** The zone's own SOA and NS are never deleted as a whole. */
function removeSets(sets: Map<number, RecordSet>, type: number, atOrigin: boolean): void {
  for (const present of sets.keys()) {
    const kept = atOrigin && (present === TYPE.SOA || present === TYPE.NS);
    if (!kept && (type === TYPE.ANY || type === present)) sets.delete(present);
  }
}

function removeValue(sets: Map<number, RecordSet>, { type, rdata }: ResourceRecord, atOrigin: boolean): void {
  const there = sets.get(type);
  if (there === undefined || type === TYPE.SOA) return;
  const values = there.values.filter((value) => !value.equals(rdata));
  if (values.length > 0) sets.set(type, { ...there, values });
  else if (!(atOrigin && type === TYPE.NS)) sets.delete(type);
}
