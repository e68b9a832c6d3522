import { UnderstudyError } from '../model/error.ts';
import type { FoundRecord, OwnedRecord, RecordType, Routing } from '../model/record.ts';

/** What is to be done about a record, given what is there; each case says why in words for the incident's report. */
export type Change =
  | { readonly change: 'create'; readonly words: string }
  | { readonly change: 'replace'; readonly from: OwnedRecord; readonly words: string }
  | { readonly change: 'already'; readonly words: string }
  /** The same owner is at a higher epoch, or was quicker at this one. */
  | { readonly change: 'lost-race'; readonly words: string }
  /** Another owner's, or nobody's that we know: it is only reported (I8). */
  | { readonly change: 'foreign-owner'; readonly words: string };

/**
 * Compares what is wanted with what was found. Both may be written in any case and order, with or without final dots.
 *
 * @param raced a write of ours has just failed because somebody else's came first: then what the same epoch wrote stays, since two
 *   writers of one epoch that overwrite each other would never end
 */
export function decideChange(found: FoundRecord, wanted: OwnedRecord, raced = false): Change {
  switch (found.state) {
    case 'absent':
      return { change: 'create', words: 'nothing is there' };
    case 'unowned':
      return { change: 'foreign-owner', words: `${said(found.values)} is there without a marker that we can read` };
    case 'owned':
      return changeOwned(normaliseRecord(found.record), normaliseRecord(wanted), raced);
  }
}

function changeOwned(found: OwnedRecord, wanted: OwnedRecord, raced: boolean): Change {
  if (found.owner !== wanted.owner) return { change: 'foreign-owner', words: `it belongs to ${found.owner} (epoch ${found.epoch})` };
  if (found.epoch > wanted.epoch)
    return { change: 'lost-race', words: `epoch ${found.epoch} has written ${said(found.values)}: epoch ${wanted.epoch} is over` };
  const difference = differenceOf(found, wanted);
  if (difference === undefined) return { change: 'already', words: `epoch ${wanted.epoch} has ${said(found.values)} there already` };
  if (raced && found.epoch === wanted.epoch) return { change: 'lost-race', words: `another writer of epoch ${wanted.epoch} was quicker: ${difference}` };
  return { change: 'replace', from: found, words: difference };
}

/** How two sets of one name and type differ, for a person; undefined where they are the same. */
export function differenceOf(found: OwnedRecord, wanted: OwnedRecord): string | undefined {
  const [a, b] = [normaliseRecord(found), normaliseRecord(wanted)];
  const parts: string[] = [];
  if (a.values.join('\n') !== b.values.join('\n')) parts.push(`${said(a.values)} is there, ${said(b.values)} is wanted`);
  if (a.ttlSeconds !== b.ttlSeconds) parts.push(`its TTL is ${a.ttlSeconds} s, ${b.ttlSeconds} s is wanted`);
  if (a.epoch !== b.epoch) parts.push(`it is of epoch ${a.epoch}, this is epoch ${b.epoch}`);
  if (sayRouting(a.routing) !== sayRouting(b.routing)) parts.push(`it is routed ${sayRouting(a.routing)}, ${sayRouting(b.routing)} is wanted`);
  if (a.owner !== b.owner) parts.push(`it belongs to ${a.owner}, not to ${b.owner}`);
  return parts.length === 0 ? undefined : parts.join('; ');
}

function sayRouting(routing: Routing | undefined): string {
  if (routing === undefined) return 'to all alike';
  const { setIdentifier, policy, healthCheckId } = routing;
  const health = healthCheckId === undefined ? '' : `, with health check ${healthCheckId}`;
  switch (policy.kind) {
    case 'weighted':
      return `as ${setIdentifier} by weight ${policy.weight}${health}`;
    case 'failover':
      return `as ${setIdentifier}, the ${policy.role} of a failover pair${health}`;
    case 'geolocation':
      return `as ${setIdentifier} for ${policy.continent === undefined ? 'country' : 'continent'} ${policy.continent ?? policy.country}${health}`;
  }
}

const said = (values: readonly string[]): string => (values.length === 0 ? 'no value' : values.join(', '));

/** The one way to write a set: lower case, absolute names, each value once, sorted. @throws UnderstudyError `BadInput` */
export function normaliseRecord(record: OwnedRecord): OwnedRecord {
  const values = [...new Set(record.values.map((value) => normaliseValue(record.type, value)))].sort();
  return { ...record, name: normaliseName(record.name), values };
}

/** Lower case with a final dot. @throws UnderstudyError `BadInput` where it cannot be a name: RFC 1035, 2.3.4 */
export function normaliseName(name: string): string {
  const text = name.toLowerCase().replace(/\.$/, '');
  const labels = text.split('.');
  const fits = text.length <= 253 && labels.every((label) => /^[a-z0-9_*-]{1,63}$/.test(label));
  if (!fits)
    throw new UnderstudyError('BadInput', `${JSON.stringify(name)} is not a host name: labels of 1 to 63 letters, digits, "-" or "_", 253 characters in all`, {
      name,
    });
  return `${text}.`;
}

/** The one way to write a value. @throws UnderstudyError `BadInput` where it is none of its type */
export function normaliseValue(type: RecordType, value: string): string {
  const text = value.trim();
  switch (type) {
    case 'A': {
      const octets = text.split('.');
      if (octets.length !== 4 || !octets.every((octet) => /^\d{1,3}$/.test(octet) && Number(octet) <= 255)) throw badValue(type, value, '10.0.0.1');
      return octets.map(Number).join('.');
    }
    case 'AAAA':
      return normaliseIpv6(text) ?? fail(badValue(type, value, '2001:db8::1'));
    case 'CNAME':
      return normaliseName(text);
    case 'SRV': {
      const [priority, weight, port, target, ...rest] = text.split(/\s+/);
      const numbers = [priority, weight, port];
      const fits = rest.length === 0 && target !== undefined && numbers.every((part) => part !== undefined && /^\d{1,5}$/.test(part) && Number(part) <= 65_535);
      if (!fits) throw badValue(type, value, '0 0 5432 pg-a.example.com.');
      return `${numbers.map(Number).join(' ')} ${normaliseName(target)}`;
    }
  }
}

function fail(error: Error): never {
  throw error;
}

function badValue(type: RecordType, value: string, example: string): UnderstudyError {
  return new UnderstudyError('BadInput', `${JSON.stringify(value)} is no value of type ${type}; one looks like "${example}"`, { type, value });
}

/** As RFC 5952 writes it; undefined where the text is no address. */
function normaliseIpv6(text: string): string | undefined {
  const halves = text.toLowerCase().split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map(groupsOf);
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...(tail ?? [])];
  return compressIpv6(groups);
}

function groupsOf(half: string): number[] | undefined {
  if (half === '') return [];
  const groups: number[] = [];
  const parts = half.split(':');
  for (const [index, part] of parts.entries()) {
    const dotted = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(part);
    if (dotted !== null && index === parts.length - 1) {
      const octets = dotted.slice(1).map(Number);
      if (octets.some((octet) => octet > 255)) return undefined;
      groups.push(octets[0]! * 256 + octets[1]!, octets[2]! * 256 + octets[3]!);
    } else if (/^[0-9a-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16));
    else return undefined;
  }
  return groups;
}

/** The longest run of two zeros or more becomes `::`, the first one where there are several. */
function compressIpv6(groups: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}
