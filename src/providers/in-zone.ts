import { normaliseName, normaliseRecord } from '../decide/change.ts';
import { UnderstudyError } from '../model/error.ts';
import type { OwnedRecord } from '../model/record.ts';

/** The name in its one form. @throws UnderstudyError `BadInput` where it lies outside the zone */
export function nameInZone(raw: string, zone: string): string {
  const name = normaliseName(raw);
  if (name === zone || name.endsWith(`.${zone}`)) return name;
  throw new UnderstudyError('BadInput', `${name} does not lie in the provider's zone ${zone}: name another provider for that record`, { name, zone });
}

/** The record in its one form. @throws UnderstudyError `BadInput` where it can be no record, or none of this zone, or asks for routing */
export function recordInZone(raw: OwnedRecord, zone: string): OwnedRecord {
  const wanted = normaliseRecord(raw);
  nameInZone(wanted.name, zone);
  if (wanted.routing !== undefined)
    throw new UnderstudyError('BadInput', `${wanted.name} ${wanted.type} is one set of several, and its provider answers all alike: route53 has routing`, {
      name: wanted.name,
    });
  if (wanted.values.length === 0) throw new UnderstudyError('BadInput', `${wanted.name} ${wanted.type} has no value to publish`, { name: wanted.name });
  if (wanted.type === 'CNAME' && wanted.values.length > 1)
    throw new UnderstudyError('BadInput', `${wanted.name} CNAME has ${wanted.values.length} values; a CNAME has one`, { name: wanted.name });
  if (!Number.isInteger(wanted.ttlSeconds) || wanted.ttlSeconds < 0 || wanted.ttlSeconds > 0x7fffffff)
    throw new UnderstudyError('BadInput', `${wanted.ttlSeconds} is no TTL in seconds`, { name: wanted.name });
  return wanted;
}
