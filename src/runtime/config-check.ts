import { isIPv4, isIPv6 } from 'node:net';
import path from 'node:path';
import type { z } from 'zod';
import { CODEC_KEY_ID, DurabilitySchema, MemberSchema, ProviderZone, RecordSchema } from '../model/config-schema.ts';
import { NAME_PATTERN } from '../model/name.ts';
import { type Finding, badName, isMapping } from './config-mistakes.ts';
import type { Path } from './config-place.ts';
import { nearest } from './nearest.ts';

/**
 * What must hold between values. It reads what the author wrote, not what the schema made of it, so that a mistake in one
 * place hides none in another; what cannot be read by itself is left to the schema.
 */
export function crossCheck(raw: unknown): Finding[] {
  if (!isMapping(raw)) return [];
  const providers = mapping(raw['providers']);
  const groups = mapping(raw['groups']);
  const findings: Finding[] = [
    ...checkTemporal(mapping(raw['temporal'])),
    ...Object.keys(providers)
      .filter(isBadName)
      .map((name) => badName(['providers', name])),
    ...Object.keys(groups)
      .filter(isBadName)
      .map((name) => badName(['groups', name])),
  ];
  if (isMapping(raw['groups']) && Object.keys(groups).length === 0) findings.push({ path: ['groups'], words: 'at least one group', at: 'key' });
  const seen: Seen = { addresses: new Map(), directories: new Map(), names: new Map() };
  for (const [name, group] of Object.entries(groups)) {
    if (!isMapping(group)) continue;
    const above: Path = ['groups', name];
    const members = readMembers(group, above);
    findings.push(
      ...checkMembers(members, group, above, seen),
      ...checkDurability(group, members.length, above),
      ...checkPasswords(group, members.length, above),
      ...checkMemberTls(group, above),
      ...checkRecords(group, name, members, providers, seen),
    );
  }
  return findings;
}

/** Linux takes no longer path for a Unix socket. @see unix(7): `sun_path` is 108 bytes with its final zero */
const SOCKET_PATH_BYTES = 107;
/** What may follow the state directory: a directory of sockets and `.s.PGSQL.65535`. */
export const SOCKET_NAME_BYTES = 24;

interface Seen {
  readonly addresses: Map<string, Path>;
  readonly directories: Map<string, Path>;
  /** Records' names by group. */
  readonly names: Map<string, { group: string; types: Map<string, Path> }>;
}

interface ReadMember {
  readonly name: string;
  readonly path: Path;
  readonly address: { host: string; port: number } | undefined;
  readonly hasDnsName: boolean;
  readonly dataDir: string | undefined;
  readonly stateDir: string | undefined;
  readonly metrics: { host: string; port: number } | undefined;
}

/** What TLS and the codec need of each other's parts. */
function checkTemporal(temporal: Record<string, unknown>): Finding[] {
  const codec = mapping(temporal['codec']);
  const keys = Object.keys(mapping(codec['keys']));
  const [above, wanted]: [Path, unknown] = [['temporal', 'codec'], codec['encodeWith']];
  return [
    ...checkPair(mapping(temporal['tls']), ['temporal', 'tls']),
    ...keys
      .filter((id) => !CODEC_KEY_ID.test(id))
      .map((id): Finding => ({ path: [...above, 'keys', id], words: 'the id of a key: letters, digits, dots and hyphens, at most 64', at: 'key' })),
    ...(typeof wanted === 'string' && isMapping(codec['keys']) && !keys.includes(wanted)
      ? [
          {
            path: [...above, 'encodeWith'],
            words: `no key is named ${JSON.stringify(wanted)}`,
            hint: `known: ${keys.join(', ') || 'none'}`,
            at: 'value',
          } as const,
        ]
      : []),
  ];
}

function checkPair(tls: Record<string, unknown>, at: Path): Finding[] {
  const [given, missing] = tls['cert'] === undefined ? ['key', 'cert'] : ['cert', 'key'];
  if (tls[given] === undefined || tls[missing] !== undefined) return [];
  return [{ path: [...at, missing], words: `missing: ${given} is of no use without it`, at: 'key' }];
}

function checkMemberTls(group: Record<string, unknown>, above: Path): Finding[] {
  const tls = mapping(mapping(group['postgres'])['tls']);
  const at: Path = [...above, 'postgres', 'tls'];
  const verifies = tls['mode'] === 'verify-ca' || tls['mode'] === 'verify-full';
  return [
    ...checkPair(tls, at),
    ...(verifies && tls['ca'] === undefined ? [{ path: [...at, 'ca'], words: `missing: ${String(tls['mode'])} verifies against it`, at: 'key' } as const] : []),
  ];
}

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

const mapping = (value: unknown): Record<string, unknown> => (isMapping(value) ? value : {});
const isBadName = (name: string): boolean => !NAME_PATTERN.test(name);

/** The value in the schema's form, or undefined where the schema has its own complaint. */
function good<T extends z.ZodType>(schema: T, value: unknown): z.output<T> | undefined {
  const answer = schema.safeParse(value);
  return answer.success ? answer.data : undefined;
}

function readMembers(group: Record<string, unknown>, above: Path): ReadMember[] {
  return Object.entries(mapping(group['members'])).map(([name, value]) => {
    const member = mapping(value);
    const directory = (key: 'dataDir' | 'stateDir'): string | undefined => {
      const written = good(MemberSchema.shape[key], member[key]);
      return written === undefined ? undefined : path.normalize(written).replace(/(.)\/$/, '$1');
    };
    return {
      name,
      path: [...above, 'members', name],
      address: good(MemberSchema.shape.address, member['address']),
      hasDnsName: member['dnsName'] !== undefined,
      dataDir: directory('dataDir'),
      stateDir: directory('stateDir'),
      metrics: good(MemberSchema.shape.metrics, member['metrics'])?.listen,
    };
  });
}

function checkMembers(members: readonly ReadMember[], group: Record<string, unknown>, above: Path, seen: Seen): Finding[] {
  const findings: Finding[] = members.filter(({ name }) => isBadName(name)).map((member) => badName(member.path));
  if (isMapping(group['members']) && members.length === 0) findings.push({ path: [...above, 'members'], words: 'at least one member', at: 'key' });
  for (const member of members) {
    const { address, dataDir, stateDir } = member;
    if (address !== undefined) {
      const own = `${address.host.toLowerCase()}:${address.port}`;
      const first = seen.addresses.get(own);
      if (first !== undefined) findings.push({ path: [...member.path, 'address'], words: `${own} is the address of ${first.join('.')} already`, at: 'value' });
      else seen.addresses.set(own, member.path);
    }
    for (const [key, directory] of [
      ['dataDir', dataDir],
      ['stateDir', stateDir],
    ] as const) {
      // Only members of one host can be in each other's way; which host it is, the address says.
      if (directory === undefined || address === undefined) continue;
      const own = `${address.host.toLowerCase()} ${directory}`;
      const first = seen.directories.get(own);
      if (first !== undefined) findings.push({ path: [...member.path, key], words: `${directory} is ${first.join('.')} already`, at: 'value' });
      else seen.directories.set(own, [...member.path, key]);
    }
    if (member.metrics !== undefined && !LOOPBACK.test(member.metrics.host)) {
      findings.push({
        path: [...member.path, 'metrics', 'listen'],
        words: `${member.metrics.host} is reached from other machines, and nobody is asked who he is`,
        hint: 'listen at 127.0.0.1 or [::1], and let a proxy of yours ask',
        at: 'value',
      });
    }
    if (stateDir !== undefined && /[,"]/.test(stateDir)) {
      findings.push({ path: [...member.path, 'stateDir'], words: 'a comma or a quote would make several sockets of the one in it', at: 'value' });
    }
    if (dataDir !== undefined && stateDir !== undefined && stateDir.startsWith(`${dataDir}/`)) {
      findings.push({
        path: [...member.path, 'stateDir'],
        words: 'lies inside dataDir, which a clone replaces',
        hint: 'choose a directory beside it',
        at: 'value',
      });
    }
    if (stateDir !== undefined && Buffer.byteLength(stateDir) + SOCKET_NAME_BYTES > SOCKET_PATH_BYTES) {
      findings.push({
        path: [...member.path, 'stateDir'],
        words: `${Buffer.byteLength(stateDir)} bytes are too long for the sockets in it: at most ${SOCKET_PATH_BYTES - SOCKET_NAME_BYTES}, since a socket's path may have ${SOCKET_PATH_BYTES}`,
        at: 'value',
      });
    }
  }
  return findings;
}

function checkDurability(group: Record<string, unknown>, members: number, above: Path): Finding[] {
  const written = group['durability'];
  const durability = good(DurabilitySchema, written ?? 'sync');
  if (durability === undefined || members === 0) return [];
  const confirm = typeof durability === 'string' ? (durability === 'sync' ? 1 : 0) : durability.mode === 'sync' ? durability.confirm : 0;
  const standbys = members - 1;
  if (confirm <= standbys) return [];
  const inside = isMapping(written) && written['confirm'] !== undefined;
  const at = inside || written !== undefined ? ('value' as const) : ('key' as const);
  const place: Path = [...above, 'durability', ...(inside ? ['confirm'] : [])];
  if (standbys === 0)
    return [
      {
        path: place,
        words: 'sync with one member: no standby could ever confirm a commit, so each would wait for ever',
        hint: 'add a member, or write durability: async',
        at,
      },
    ];
  return [{ path: place, words: `${confirm} standbys are to confirm each commit, but the group has ${standbys}`, hint: `at most ${standbys}`, at }];
}

/** A standby that is let in by password only must have one. */
function checkPasswords(group: Record<string, unknown>, members: number, above: Path): Finding[] {
  if (members < 2) return [];
  const postgres = group['postgres'] ?? {};
  if (!isMapping(postgres) || (postgres['auth'] ?? 'scram-sha-256') !== 'scram-sha-256') return [];
  const replication = postgres['replication'] ?? {};
  if (!isMapping(replication) || replication['password'] !== undefined) return [];
  return [
    {
      path: [...above, 'postgres', 'replication', 'password'],
      words: 'missing: with auth scram-sha-256 a standby connects by password',
      hint: 'write password: { env: NAME } or { file: /path }; or auth: trust, where nobody else can reach the members',
      at: 'key',
    },
  ];
}

function checkRecords(
  group: Record<string, unknown>,
  groupName: string,
  members: readonly ReadMember[],
  providers: Record<string, unknown>,
  seen: Seen,
): Finding[] {
  const records: unknown = group['records'];
  if (!Array.isArray(records)) return [];
  return records.flatMap((record: unknown, index): Finding[] => {
    if (!isMapping(record)) return [];
    const at: Path = ['groups', groupName, 'records', index];
    const name = good(RecordSchema.shape.name, record['name'])?.toLowerCase();
    const type = good(RecordSchema.shape.type, record['type']);
    const provider = typeof record['provider'] === 'string' ? record['provider'] : undefined;
    return [
      ...(provider === undefined ? [] : checkProvider(provider, name, providers, at)),
      ...(name === undefined || type === undefined ? [] : claim(name, type, groupName, seen, at)),
      ...(type === undefined ? [] : checkTargets(type, members, at)),
    ];
  });
}

function checkProvider(provider: string, name: string | undefined, providers: Record<string, unknown>, at: Path): Finding[] {
  const known = Object.keys(providers);
  if (!known.includes(provider)) {
    const guess = nearest(provider, known);
    const hint =
      guess !== undefined ? `did you mean ${guess}?` : known.length === 0 ? 'there is none yet: add it under providers' : `known: ${known.join(', ')}`;
    return [{ path: [...at, 'provider'], words: `no provider is named ${JSON.stringify(provider)}`, hint, at: 'value' }];
  }
  const zone = good(ProviderZone, mapping(providers[provider])['zone'])?.toLowerCase();
  if (zone === undefined || name === undefined || name.endsWith(`.${zone}`) || name === zone) return [];
  return [{ path: [...at, 'name'], words: `lies outside the zone ${zone} of provider ${provider}`, at: 'value' }];
}

function claim(name: string, type: string, group: string, seen: Seen, at: Path): Finding[] {
  const here: Path = [...at, 'name'];
  const claimed = seen.names.get(name);
  if (claimed === undefined) {
    seen.names.set(name, { group, types: new Map([[type, at]]) });
    return [];
  }
  if (claimed.group !== group) return [{ path: here, words: `${name} belongs to group ${claimed.group} already: a record has one owner`, at: 'value' }];
  if (claimed.types.has(type)) return [{ path: here, words: `${name} ${type} is written twice`, at: 'value' }];
  claimed.types.set(type, at);
  if (claimed.types.has('CNAME')) return [{ path: here, words: `${name} has a CNAME, which allows no other record beside it`, at: 'value' }];
  return [];
}

/** Each member must be able to be what the record points to. */
function checkTargets(type: string, members: readonly ReadMember[], at: Path): Finding[] {
  if (type === 'SRV' || type === 'CNAME') {
    const nameless = members.filter((member) => !member.hasDnsName).map(({ name }) => name);
    if (nameless.length === 0) return [];
    return [
      {
        path: [...at, 'type'],
        words: `${type} points to a name, and ${nameless.join(', ')} ${nameless.length === 1 ? 'has' : 'have'} no dnsName`,
        hint: 'give each member a dnsName',
        at: 'value',
      },
    ];
  }
  const fits = type === 'A' ? isIPv4 : isIPv6;
  const misfits = members.filter(({ address }) => address !== undefined && !fits(address.host)).map(({ name, address }) => `${name} (${address?.host})`);
  if (misfits.length === 0) return [];
  return [
    {
      path: [...at, 'type'],
      words: `${type} points to an ${type === 'A' ? 'IPv4' : 'IPv6'} address, which is not what ${misfits.join(', ')} ${misfits.length === 1 ? 'has' : 'have'}`,
      at: 'value',
    },
  ];
}
