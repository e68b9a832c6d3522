import { z } from 'zod';
import { NAME_PATTERN } from './name.ts';
import { DURATION_PATTERN, DURATION_WORDS, SIZE_PATTERN, SIZE_WORDS, formatDuration, formatSize, parseDuration, parseSize } from './units.ts';

/**
 * The schema of `understudy.yaml`, as people write it: durations and sizes with units, what is left out filled in. It checks each
 * value by itself; what must hold between values is checked by runtime/config-check.ts.
 */

interface Range {
  readonly min: string;
  readonly max: string;
}

/** Milliseconds, from text with a unit. */
function duration(range: Range, description: string) {
  const [min, max] = [parseDuration(range.min) as number, parseDuration(range.max) as number];
  return z
    .string(`${DURATION_WORDS}, in quotes or not`)
    .regex(DURATION_PATTERN, DURATION_WORDS)
    .transform((text) => parseDuration(text) as number)
    .refine((ms) => ms >= min && ms <= max, { error: ({ input }) => `${formatDuration(input as number)} is out of range: ${range.min} to ${range.max}` })
    .meta({ description: `${description} From ${range.min} to ${range.max}.` });
}

/** Bytes, from text with a unit. */
function size(range: Range, description: string) {
  const [min, max] = [parseSize(range.min) as number, parseSize(range.max) as number];
  return z
    .string(SIZE_WORDS)
    .regex(SIZE_PATTERN, SIZE_WORDS)
    .transform((text) => parseSize(text) as number)
    .refine((bytes) => bytes >= min && bytes <= max, { error: ({ input }) => `${formatSize(input as number)} is out of range: ${range.min} to ${range.max}` })
    .meta({ description: `${description} From ${range.min} to ${range.max}.` });
}

/** A name or an address, and nothing that would mean more to libpq, PostgreSQL or DNS, where a comma makes two hosts and a quote ends one. */
const HOST_PORT = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?))(?::(\d{1,5}))?$/;

function hostPort(defaultPort: number, description: string) {
  const words = `host:port, such as 10.0.0.1:${defaultPort} or [fd00::1]:${defaultPort}`;
  return z
    .string(words)
    .regex(HOST_PORT, words)
    .transform((text) => {
      const match = HOST_PORT.exec(text) as RegExpExecArray;
      return { host: (match[1] ?? match[2]) as string, port: match[3] === undefined ? defaultPort : Number(match[3]) };
    })
    .refine(({ port }) => port >= 1 && port <= 65_535, 'the port is out of range: 1 to 65535')
    .meta({ description: `${description} Port ${defaultPort} where none is written.` });
}

export const NAME_WORDS = 'a name: small letters, digits and hyphens, a letter first, at most 48 characters';
/** The names are checked by config-check.ts: zod looks into no value whose key is wrong, and every mistake is to be told at once. */
const named = <T extends z.ZodType>(value: T, description: string) =>
  z.record(z.string(), value, 'names, each with its settings').meta({ description, propertyNames: { type: 'string', pattern: NAME_PATTERN.source } });

/** Letters, digits, hyphens and underscores in labels of at most 63; the final dot is asked for in words of its own. */
const DNS_NAME = /^(?=.{1,254}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+$/;
export const DNS_NAME_WORDS = 'an absolute DNS name, with its final dot';
const dnsName = (description: string) => z.string(DNS_NAME_WORDS).regex(DNS_NAME, DNS_NAME_WORDS).meta({ description });

/** No control character: a line break or a NUL would end what the text is written into. */
// oxlint-disable no-control-regex
const PATH = /^\/[^\u0000-\u001f\u007f]{0,4094}$/;
const ONE_LINE = /^[^\u0000-\u001f\u007f]{1,253}$/;
const ROLE = /^[^\u0000-\u001f\u007f"'\\]{1,63}$/;
// oxlint-enable no-control-regex

const ABSOLUTE_WORDS = 'an absolute path, such as /var/lib/understudy';
const absolutePath = (description: string) => z.string(ABSOLUTE_WORDS).regex(PATH, ABSOLUTE_WORDS).meta({ description });
const text = (words: string, description: string) => z.string(words).regex(ONE_LINE, words).meta({ description });

export const SECRET_WORDS = 'a secret is named, never written: { env: NAME } or { file: /path }';
const secret = (description: string) =>
  z
    .union(
      [
        z.strictObject({
          env: z
            .string('the name of an environment variable')
            .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'the name of an environment variable, without $')
            .meta({ description: 'The environment variable that holds the secret.' }),
        }),
        z.strictObject({ file: absolutePath('A file that holds the secret and nothing else; a final line break is no part of it.') }),
      ],
      SECRET_WORDS,
    )
    .meta({ description: `${description} Named, never written here.` });

const TLS_WORDS = 'files of PEM: { ca: /path, cert: /path, key: /path }';
const tlsFiles = {
  ca: absolutePath("The authorities that are trusted, in place of the system's.").optional(),
  cert: absolutePath('The certificate that is shown, and those above it.').optional(),
  key: absolutePath('Its private key.').optional(),
};

export const CODEC_KEY_ID = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;

const Codec = z
  .strictObject(
    {
      encodeWith: text('the id of a key', 'The key that encrypts from now on, by its id. Left out: nothing is encrypted, and what was is read.').optional(),
      keys: z.record(z.string(), secret('A key: 32 bytes in base64, such as `openssl rand -base64 32` makes.'), 'ids, each with its key').meta({
        description: 'Keys by id. All of them decrypt: an old one stays until no history needs it.',
        propertyNames: { type: 'string', pattern: CODEC_KEY_ID.source },
      }),
    },
    'a codec: { encodeWith, keys }',
  )
  .meta({ description: 'Encrypts what is in histories, AES-256-GCM. The same for all processes of a namespace.' });

const Temporal = z
  .strictObject(
    {
      address: text('host:port', 'The server. Left out: TEMPORAL_ADDRESS, the profile, else 127.0.0.1:7233.').optional(),
      namespace: text('the name of a namespace', 'Left out: TEMPORAL_NAMESPACE, the profile, else `default`.').optional(),
      profile: text('the name of a profile', "A profile of Temporal's own configuration file, with its TLS and API key.").optional(),
      ui: z
        .url({ protocol: /^https?$/, error: 'an address such as http://127.0.0.1:8233' })
        .meta({ description: "The web interface, for links. Left out: none, but for a development server's." })
        .optional(),
      tls: z
        .strictObject(
          { ...tlsFiles, serverName: text('a name', "The name that the server's certificate must bear, where it is not the address's.").optional() },
          TLS_WORDS,
        )
        .meta({ description: "TLS to Temporal, in place of the profile's. `{}`: the system's authorities, no certificate of ours." })
        .optional(),
      apiKey: secret('The API key. It goes over TLS only.').optional(),
      codec: Codec.optional(),
    },
    'a mapping',
  )
  .meta({ description: 'Where Temporal is. What is left out comes from its own environment variables and profiles.' });

export const RECORD_TYPES = ['A', 'AAAA', 'CNAME', 'SRV'] as const;

const kind = <T extends string>(type: T, description: string) => z.literal(type, `${type} (the kind of provider)`).meta({ description });
const ZoneName = dnsName('The zone that is updated, with its final dot.');
const providerTimeout = (usual: string) => duration({ min: '100ms', max: '30s' }, 'For each question and each update.').prefault(usual);
const httpUrl = (example: string, description: string) =>
  z
    .url({ protocol: /^https?$/, error: `an address such as ${example}` })
    .refine((url) => !/[@?#]/.test(url), 'an address without user, question or fragment')
    .meta({ description });

const Rfc2136 = z
  .strictObject(
    {
      type: kind('rfc2136', 'DNS UPDATE with TSIG, which BIND, Knot and PowerDNS speak.'),
      server: hostPort(53, 'The primary server of the zone, which takes updates.'),
      secondaries: z
        .array(hostPort(53, 'An authoritative server.'), 'a list of host:port')
        .prefault([])
        .meta({ description: 'Further authoritative servers that must answer a change before it counts as verified.' }),
      zone: ZoneName,
      tsig: z
        .strictObject(
          {
            name: z
              .string('the name of the key')
              .regex(/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/, 'the name of the key, such as understudy')
              .meta({ description: "The key's name at the server." }),
            algorithm: z
              .enum(['hmac-sha256', 'hmac-sha512'], 'hmac-sha256 or hmac-sha512')
              .prefault('hmac-sha256')
              .meta({ description: 'hmac-sha256 or hmac-sha512.' }),
            secret: secret('The key, in base64.'),
          },
          'the key that signs updates: { name, algorithm, secret }',
        )
        .meta({ description: 'The key that signs updates.' }),
      timeout: providerTimeout('2s'),
    },
    'a provider: { type: rfc2136, server, zone, tsig }',
  )
  .meta({ description: 'DNS UPDATE with TSIG, which BIND, Knot and PowerDNS speak.' });

const FileProvider = z
  .strictObject(
    {
      type: kind('file', 'A file on the disk of the workers: JSON, or a zone file.'),
      path: absolutePath('The file. Beside it, a lock and a new file for the moment of a change are made.'),
      format: z
        .enum(['json', 'zone'], 'json or zone')
        .prefault('json')
        .meta({ description: 'zone: one record a line, as `named-compilezone` prints a zone; its serial rises with each change.' }),
      zone: ZoneName,
      timeout: providerTimeout('2s'),
    },
    'a provider: { type: file, path, zone }',
  )
  .meta({ description: 'A file.' });

const Powerdns = z
  .strictObject(
    {
      type: kind(
        'powerdns',
        'The HTTP API of a PowerDNS authoritative server. It has no compare-and-set: two workers that write at once may overwrite each other.',
      ),
      url: httpUrl('http://127.0.0.1:8081', 'Where the API is, without its path `/api/v1`.'),
      server: text("the server's name", "The server's name within its API.").prefault('localhost'),
      answering: z
        .array(hostPort(53, 'An authoritative server.'), 'a list of host:port')
        .prefault([])
        .meta({ description: 'Authoritative servers that must answer a change, by DNS, before it counts as verified. Left out: the API alone is asked.' }),
      zone: ZoneName,
      key: secret('The API key.'),
      timeout: providerTimeout('2s'),
    },
    'a provider: { type: powerdns, url, zone, key }',
  )
  .meta({ description: 'The HTTP API of PowerDNS.' });

const Route53 = z
  .strictObject(
    {
      type: kind('route53', 'Amazon Route 53.'),
      zone: ZoneName,
      zoneId: z
        .string("the hosted zone's id")
        .regex(/^[A-Z0-9]{1,32}$/, "the hosted zone's id, such as Z0123456789ABCDEFGHIJ")
        .meta({ description: "The hosted zone's id." }),
      region: text('a region of AWS', 'The region that requests are signed for.').prefault('us-east-1'),
      credentials: z
        .strictObject(
          { accessKeyId: text('the id of an access key', 'The id of the access key.'), secretAccessKey: secret('The access key.') },
          '{ accessKeyId, secretAccessKey: { env: NAME } }',
        )
        .meta({ description: "An access key. Left out: AWS' own environment, files and roles." })
        .optional(),
      endpoint: httpUrl('https://route53.amazonaws.com', "In the place of AWS' own, for an emulator or a private endpoint.").optional(),
      timeout: providerTimeout('5s'),
    },
    'a provider: { type: route53, zone, zoneId }',
  )
  .meta({ description: 'Amazon Route 53.' });

const PROVIDERS = [Rfc2136, FileProvider, Powerdns, Route53] as const;
export const PROVIDER_TYPES: readonly string[] = PROVIDERS.flatMap(({ shape }) => [...shape.type.values]);
export const ProviderZone = ZoneName;

export const ProviderSchema = z
  .discriminatedUnion('type', PROVIDERS, { error: `the kind of provider: ${PROVIDER_TYPES.join(', ')}` })
  .meta({ description: 'Where records are kept.' });

const DURABILITY_WORDS = 'sync, async, or { mode: sync, confirm: 1, relaxAfter: 30s }';
export const DurabilitySchema = z
  .union(
    [
      z.enum(['sync', 'async']),
      z.strictObject({
        mode: z.literal('sync', 'sync (async has nothing to set)'),
        confirm: z
          .int('a whole number of standbys')
          .min(1, 'at least 1 standby')
          .max(15, 'at most 15 standbys')
          .prefault(1)
          .meta({ description: 'How many standbys confirm each commit.' }),
        relaxAfter: duration(
          { min: '1s', max: '1d' },
          'With no standby left, writes block for this long before the rule is relaxed. Left out: for ever.',
        ).optional(),
      }),
      z.strictObject({ mode: z.literal('async') }),
    ],
    DURABILITY_WORDS,
  )
  .meta({ description: 'sync: no acknowledged write is lost by an automatic action. async: a promotion may lose up to policy.maxLag.' });

const Policy = z
  .strictObject(
    {
      mode: z
        .enum(['automatic', 'observe'], 'automatic or observe')
        .prefault('automatic')
        .meta({ description: 'observe: decide and say what would have been done, but do nothing.' }),
      approval: z.enum(['none', 'required'], 'none or required').prefault('none').meta({ description: 'required: a person approves each automatic failover.' }),
      approvalWithin: duration({ min: '1s', max: '7d' }, 'Without an approval in this time the failover does not happen.').prefault('10m'),
      minInterval: duration({ min: '0s', max: '7d' }, 'No second automatic failover sooner than this after the last one.').prefault('10m'),
      maxPerDay: z
        .int('a whole number')
        .min(1, 'at least 1')
        .max(1000, 'at most 1000')
        .prefault(5)
        .meta({ description: 'No more automatic failovers in 24 hours.' }),
      maxLag: size({ min: '0B', max: '1TB' }, 'async: more may not be lost by an automatic promotion.').prefault('16MB'),
      answerWithin: duration({ min: '50ms', max: '30s' }, "A member that has not answered an incident's question in this time is silent.").prefault('500ms'),
      restartWithin: duration(
        { min: '1s', max: '10m' },
        'A crashed primary is given this long to be back where restarting loses less than promoting.',
      ).prefault('10s'),
      stopWithin: duration({ min: '1s', max: '10m' }, 'A planned stop is given this long before it is made immediate.').prefault('30s'),
      switchoverMaxLag: size({ min: '0B', max: '1TB' }, 'A switchover does not start while its target lags more than this.').prefault('16MB'),
      hungAfter: duration({ min: '1s', max: '10m' }, 'A database that does not finish a local write in this time is hung.').prefault('10s'),
    },
    'a mapping',
  )
  .meta({ description: 'What may happen by itself, and how fast.' });

const credential = (user: string, description: string) =>
  z
    .strictObject(
      {
        user: z
          .string('the name of a role')
          .regex(ROLE, 'the name of a role: 1 to 63 characters, no quotes or backslashes')
          .prefault(user)
          .meta({ description: 'The name of the role.' }),
        password: secret('Its password.').optional(),
      },
      '{ user, password: { env: NAME } }',
    )
    .prefault({})
    .meta({ description });

const Postgres = z
  .strictObject(
    {
      bin: absolutePath('The directory of initdb, pg_ctl, postgres and so on. Left out: found, see `understudy doctor`.').optional(),
      systemUser: text('the name of an account', 'The account that the server runs as where the agent is root. Left out: postgres, else nobody.').optional(),
      superuser: credential('postgres', 'The role that the agent connects as, through a socket of its own.'),
      replication: credential('understudy_replication', 'The role that standbys connect as.'),
      maintenanceDatabase: text('the name of a database', 'The database that the agent connects to.').prefault('postgres'),
      auth: z
        .enum(['scram-sha-256', 'trust'], 'scram-sha-256 or trust')
        .prefault('scram-sha-256')
        .meta({ description: 'How a newly made database lets clients in from other hosts. `trust` asks nobody for a password: for a stage on one machine.' }),
      maxWalKept: size({ min: '64MB', max: '1TB' }, 'The log kept for a member that is away, at most.').prefault('10GB'),
      tls: z
        .strictObject(
          {
            mode: z.enum(['require', 'verify-ca', 'verify-full'], 'require, verify-ca or verify-full').meta({ description: "libpq's sslmode." }),
            ...tlsFiles,
          },
          '{ mode: verify-ca, ca: /path }',
        )
        .meta({ description: 'How members reach each other: TLS is demanded, and verified. The files are read by the account that PostgreSQL runs as.' })
        .optional(),
      failoverSlots: z.boolean('true or false').prefault(true).meta({
        description:
          'Keep the logical replication slots that were made with `failover = true` on the standbys too, so that they outlive a failover: PostgreSQL 17 and later, `wal_level = logical`. Sets `hot_standby_feedback`.',
      }),
    },
    'a mapping',
  )
  .prefault({})
  .meta({ description: 'What only PostgreSQL needs.' });

export const MemberSchema = z
  .strictObject(
    {
      address: hostPort(5432, 'Where clients and the other members reach its database.'),
      dnsName: dnsName('Absolute name that SRV and CNAME records point to; needed by those only.').optional(),
      priority: z
        .int('a whole number')
        .min(0, 'at least 0')
        .max(1000, 'at most 1000')
        .prefault(100)
        .meta({ description: 'Breaks a tie between equally advanced members, higher first. 0: never promoted by itself.' }),
      dataDir: absolutePath("The database's data directory."),
      stateDir: absolutePath('Epoch, token, sockets and locks, of the agent and the guard alone.'),
      metrics: z
        .strictObject({ listen: hostPort(9187, 'An address of this machine alone, such as 127.0.0.1:9187.') }, '{ listen: 127.0.0.1:9187 }')
        .meta({ description: "Where the agent tells its metrics and the guard's, in Prometheus' text. Left out: nowhere." })
        .optional(),
    },
    'a member: { address, dataDir, stateDir }',
  )
  .meta({ description: 'One member of the group, with an agent beside it.' });

export const RecordSchema = z
  .strictObject(
    {
      name: dnsName('Absolute name, with its final dot, that clients find the primary by.'),
      type: z.enum(RECORD_TYPES, 'A, AAAA, CNAME or SRV').meta({ description: 'SRV carries host and port, A and AAAA only the address, CNAME only the host.' }),
      ttl: duration({ min: '0s', max: '1d' }, 'How long resolvers may keep it, in whole seconds.')
        .refine((ms) => ms % 1000 === 0, 'whole seconds')
        .prefault('5s'),
      provider: text("the provider's name", 'One of the providers above, by name.'),
    },
    'a record: { name, type, provider }',
  )
  .meta({ description: 'A record set that the group owns.' });

export const GroupSchema = z
  .strictObject(
    {
      database: z.literal('postgres', 'postgres (the kind of database)').prefault('postgres').meta({ description: 'The driver.' }),
      lease: z
        .string(DURATION_WORDS)
        .regex(DURATION_PATTERN, DURATION_WORDS)
        .transform((written) => parseDuration(written) as number)
        .refine((ms) => ms >= LEASE_MIN_MS && ms <= LEASE_MAX_MS, { error: ({ input }) => leaseWords(input as number) })
        .prefault('3s')
        .meta({ description: 'How long a primary may write without the server having heard of it: the time until a silent one is replaced. From 1s to 5m.' }),
      durability: DurabilitySchema.prefault('sync'),
      policy: Policy.prefault({}),
      postgres: Postgres,
      members: named(MemberSchema, 'The members, by name.'),
      records: z.array(RecordSchema, 'a list of records').prefault([]).meta({ description: 'The records that follow the primary.' }),
    },
    'a group: { members: … }',
  )
  .meta({ description: 'A database group: one writable primary and its standbys.' });

export const ConfigSchema = z
  .strictObject(
    {
      temporal: Temporal.prefault({}),
      providers: named(ProviderSchema, 'Where records are kept, by name.').prefault({}),
      groups: named(GroupSchema, 'The database groups, by name.'),
    },
    'a mapping with groups',
  )
  .meta({ title: 'understudy.yaml', description: 'The configuration of Understudy.' });

export type RawConfig = z.output<typeof ConfigSchema>;

export const LEASE_MIN_MS = 1000;
export const LEASE_MAX_MS = 300_000;

/**
 * What a lease loses to the drift of clocks and to the time that a kill takes (protocol 1.2).
 *
 * @param leaseMs the lease, in milliseconds
 */
export function leaseMarginMs(leaseMs: number): number {
  return Math.max(leaseMs / 10, 150);
}

function leaseWords(ms: number): string {
  if (ms > LEASE_MAX_MS) return `a lease of ${formatDuration(ms)} is out of range: 1s to 5m`;
  const leftMs = Math.max(0, ms - leaseMarginMs(ms));
  return `a lease of ${formatDuration(ms)} is shorter than the server can time: 1s to 5m (${formatDuration(leaseMarginMs(ms))} of it is the margin for the kill, and ${formatDuration(leftMs)} are left to renew it and to stop within)`;
}

let schema: z.core.JSONSchema.BaseSchema | undefined;

/** The JSON Schema of what people write, draft 2020-12. */
export function jsonSchema(): z.core.JSONSchema.BaseSchema {
  schema ??= z.toJSONSchema(ConfigSchema, { io: 'input' });
  return schema;
}

/** The text of understudy.schema.json. */
export function jsonSchemaText(): string {
  return `${JSON.stringify(jsonSchema(), null, 2)}\n`;
}
