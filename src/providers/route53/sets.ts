import { randomInt } from 'node:crypto';
import type { Change, ResourceRecordSet, RRType } from '@aws-sdk/client-route-53';
import type { FoundRecord, OwnedRecord, RecordType, Routing } from '../../model/record.ts';
import { markerName } from '../marker.ts';
import { foundIn, readSet, setsOf } from '../record-sets.ts';
import type { RecordSet } from '../record-sets.ts';

/** What stands at a record's name and at its marker's, as Route 53 has it: a deletion must repeat it to the letter. */
export interface Seen {
  readonly found: FoundRecord;
  readonly record: ResourceRecordSet | undefined;
  readonly marker: ResourceRecordSet | undefined;
}

/** Names come with what is not plain as an octal code: `\052` is `*`. */
export const readName = (name: string): string => name.replace(/\\(\d{3})/g, (_whole, code: string) => String.fromCharCode(Number.parseInt(code, 8)));

/** An alias has a target in the place of values. */
function toSet(set: ResourceRecordSet): RecordSet | undefined {
  const values = set.AliasTarget === undefined ? (set.ResourceRecords ?? []).map(({ Value }) => Value ?? '') : [`ALIAS ${set.AliasTarget.DNSName}`];
  return readSet({ name: readName(set.Name ?? ''), type: set.Type ?? '', ttlSeconds: set.TTL ?? 0, values });
}

/**
 * Judges all sets at a record's name and its marker's, one of several by its identifier. A marker is routed as its record is, so that each
 * of several sets has one. Where sets of one kind stand and the other kind is asked for, they are nobody's that we know.
 */
export function judgeSets(all: readonly ResourceRecordSet[], name: string, type: RecordType, identifier: string | undefined): Seen {
  const read = all.flatMap((raw) => {
    const set = toSet(raw);
    return set === undefined ? [] : [{ raw, set }];
  });
  const at = (wantedName: string, wantedType: string): typeof read => read.filter(({ set }) => set.name === wantedName && set.type === wantedType);
  const here = at(name, type);
  const mine = here.find(({ raw }) => raw.SetIdentifier === identifier);
  const marker = at(markerName(name, type), 'TXT').find(({ raw }) => raw.SetIdentifier === identifier);
  const ofOtherKind = here.find(({ raw }) => (raw.SetIdentifier === undefined) !== (identifier === undefined));
  const alias = type === 'CNAME' ? [] : at(name, 'CNAME');
  const sets = [mine ?? ofOtherKind, marker, alias[0]].flatMap((one) => (one === undefined ? [] : [one.set]));
  const found = foundIn(sets, name, type);
  const seen = { record: mine?.raw, marker: marker?.raw };
  if (ofOtherKind !== undefined) return { found: { state: 'unowned', values: ofOtherKind.set.values, ttlSeconds: ofOtherKind.set.ttlSeconds }, ...seen };
  const routing = (mine ?? marker) === undefined ? undefined : routingOf((mine ?? marker)!.raw);
  if (found.state !== 'owned' || routing === undefined) return { found, ...seen };
  return { found: { state: 'owned', record: { ...found.record, routing } }, ...seen };
}

function routingOf({ SetIdentifier, Weight, Failover, GeoLocation, HealthCheckId }: ResourceRecordSet): Routing | undefined {
  if (SetIdentifier === undefined) return undefined;
  const policy = policyOf(Weight, Failover, GeoLocation);
  return policy === undefined ? undefined : { setIdentifier: SetIdentifier, policy, ...(HealthCheckId === undefined ? {} : { healthCheckId: HealthCheckId }) };
}

function policyOf(weight: number | undefined, failover: ResourceRecordSet['Failover'], geo: ResourceRecordSet['GeoLocation']): Routing['policy'] | undefined {
  if (weight !== undefined) return { kind: 'weighted', weight };
  if (failover !== undefined) return { kind: 'failover', role: failover === 'PRIMARY' ? 'primary' : 'secondary' };
  // A subdivision is none of ours: then the set is replaced by one that is as wanted.
  if (geo?.ContinentCode !== undefined) return { kind: 'geolocation', continent: geo.ContinentCode };
  return geo?.CountryCode === undefined || geo.SubdivisionCode !== undefined ? undefined : { kind: 'geolocation', country: geo.CountryCode };
}

/** A marker's TTL, in seconds: nobody resolves it, and no two writes of one marker are alike by it. */
const MOST_MARKER_TTL = 86_400;

/**
 * One batch that turns what was seen into what is wanted, if record and marker are still exactly as seen.
 *
 * Each batch gives the marker a TTL by chance, so that no two states have the same marker: the deletion finds every write in between,
 * also one that changed the record alone, or changed it back.
 */
export function batchOf(seen: Seen, wanted: OwnedRecord): Change[] {
  const [record, marker] = toRoute53(wanted) as [ResourceRecordSet, ResourceRecordSet];
  const version = { ...marker, TTL: randomInt(1, MOST_MARKER_TTL) };
  const remove = (set: ResourceRecordSet | undefined): Change[] => (set === undefined ? [] : [{ Action: 'DELETE', ResourceRecordSet: set }]);
  return [
    ...remove(seen.record),
    ...remove(seen.marker),
    // Under a marker of ours, whatever comes to stand there is ours to put right; without one it is not.
    { Action: seen.marker === undefined ? 'CREATE' : 'UPSERT', ResourceRecordSet: record },
    { Action: 'CREATE', ResourceRecordSet: version },
  ];
}

/** The sets that are `wanted` and its marker, as Route 53 takes them. */
function toRoute53(wanted: OwnedRecord): ResourceRecordSet[] {
  const { routing } = wanted;
  return setsOf(wanted).map(({ name, type, ttlSeconds, values }, index) => ({
    Name: name,
    Type: type as RRType,
    TTL: ttlSeconds,
    ResourceRecords: values.map((Value) => ({ Value })),
    ...(routing === undefined ? {} : { SetIdentifier: routing.setIdentifier, ...toPolicy(routing.policy) }),
    // The marker is there whether its record is healthy or not.
    ...(routing?.healthCheckId === undefined || index > 0 ? {} : { HealthCheckId: routing.healthCheckId }),
  }));
}

function toPolicy(policy: Routing['policy']): Partial<ResourceRecordSet> {
  switch (policy.kind) {
    case 'weighted':
      return { Weight: policy.weight };
    case 'failover':
      return { Failover: policy.role === 'primary' ? 'PRIMARY' : 'SECONDARY' };
    case 'geolocation':
      return { GeoLocation: policy.continent === undefined ? { CountryCode: policy.country } : { ContinentCode: policy.continent } };
  }
}
