import { createHash } from 'node:crypto';
import type { PostgresConfig } from '../../model/config.ts';
import { UnderstudyError } from '../../model/error.ts';
import type { CommitRule } from '../../model/group.ts';
import type { Upstream } from '../../model/member.ts';
import type { Settings } from '../driver.ts';
import { slotName } from './place.ts';

/** What the user's own configuration says of the settings of which we need at least something. */
export interface OwnValues {
  readonly walLevel: string;
  readonly maxWalSenders: number;
  readonly maxReplicationSlots: number;
  readonly superuserReserved: number;
  readonly synchronousCommit: string;
  readonly listenAddresses: string;
  readonly socketDirectories: string;
  /** The server's: 170002. */
  readonly version: number;
}

export const OWN_NAMES = {
  walLevel: 'wal_level',
  maxWalSenders: 'max_wal_senders',
  maxReplicationSlots: 'max_replication_slots',
  superuserReserved: 'superuser_reserved_connections',
  synchronousCommit: 'synchronous_commit',
  listenAddresses: 'listen_addresses',
  socketDirectories: 'unix_socket_directories',
  version: 'server_version_num',
} as const satisfies Record<keyof OwnValues, string>;

/** A placeholder that no extension reads. */
export const STAMP_NAME = 'understudy.stamp';

export interface SettingsParts {
  readonly group: string;
  readonly member: string;
  readonly memberCount: number;
  readonly settings: Settings;
  readonly own: OwnValues;
  readonly postgres: PostgresConfig;
  /** Holds the replication password, where there is one. */
  readonly passFile: string | undefined;
}

/** Two connections are kept and a third comes and goes. */
const RESERVED_CONNECTIONS = 3;

/**
 * Between a standby's tries to receive; each failed one costs two lines of log. A reload and a promotion wake it at once, so
 * that a detached one need not try at all.
 */
const RETRY_INTERVAL_MS = 100;
const DETACHED_RETRY_INTERVAL_MS = 5000;

/**
 * Our settings by name, all that Understudy needs and nothing else. Where the user has set more than we need, the user's stands.
 *
 * `synchronous_commit` is the user's while it waits for a standby's flush or more; below that the rule would promise what no commit
 * waits for, so a rule raises the default to `on`. A session, role or database that lowers it for itself has chosen so.
 */
export function makeSettings(parts: SettingsParts): Map<string, string> {
  const { settings, own, postgres, member, memberCount } = parts;
  const timeoutMs = Math.max(1000, 2 * settings.leaseMs);
  const connections = 2 * memberCount + 4;
  const lines = new Map<string, string>();
  const set = (name: string, value: string | number): void => void lines.set(name, String(value));

  set('cluster_name', member);
  set('hot_standby', 'on');
  set('wal_log_hints', 'on');
  if (own.walLevel === 'minimal') set('wal_level', 'replica');
  if (own.maxWalSenders < connections) set('max_wal_senders', connections);
  if (own.maxReplicationSlots < connections) set('max_replication_slots', connections);
  if (own.superuserReserved < RESERVED_CONNECTIONS) set('superuser_reserved_connections', RESERVED_CONNECTIONS);
  set('max_slot_wal_keep_size', `${Math.max(1, Math.ceil(postgres.maxWalKeptBytes / 2 ** 20))}MB`);
  set('recovery_target_timeline', 'latest');
  set('primary_conninfo', settings.upstream === undefined ? '' : makeConninfo(parts, settings.upstream));
  set('primary_slot_name', slotName(member));
  set('wal_retrieve_retry_interval', `${settings.upstream === undefined ? DETACHED_RETRY_INTERVAL_MS : RETRY_INTERVAL_MS}ms`);
  set('wal_receiver_status_interval', `${Math.max(1, Math.floor(settings.leaseMs / 4000))}s`);
  set('wal_receiver_timeout', `${timeoutMs}ms`);
  set('wal_sender_timeout', `${timeoutMs}ms`);
  set('synchronous_standby_names', makeSyncNames(settings.rule));
  if (settings.rule.count > 0 && !['on', 'remote_apply'].includes(own.synchronousCommit)) set('synchronous_commit', 'on');
  if (carriesLogicalSlots(own, postgres)) {
    // Not while detached: the copying of slots would ask for the upstream that there is not.
    set('sync_replication_slots', settings.upstream === undefined ? 'off' : 'on');
    set('hot_standby_feedback', 'on');
    // What a reader of a slot has, everybody who confirms commits has first: so whoever is promoted of them can go on with it.
    set('synchronized_standby_slots', settings.rule.count === 0 ? '' : settings.rule.names.map(slotName).join(','));
  }
  // By this a session knows that it has read this very file.
  set(
    STAMP_NAME,
    createHash('sha256')
      .update(JSON.stringify([...lines]))
      .digest('hex')
      .slice(0, 16),
  );
  return lines;
}

const FAILOVER_SLOTS_SINCE = 170_000;

/** Whether users' logical slots (those made with `failover = true`) are kept on the standbys too. */
export function carriesLogicalSlots(own: OwnValues, postgres: PostgresConfig): boolean {
  return postgres.failoverSlots && own.version >= FAILOVER_SLOTS_SINCE && own.walLevel === 'logical';
}

/** Every name that we ever set: a line of `postgresql.auto.conf` for one of them would outrank ours. */
export const OUR_NAMES: ReadonlySet<string> = new Set([
  'cluster_name',
  'hot_standby',
  'wal_log_hints',
  'max_slot_wal_keep_size',
  'recovery_target_timeline',
  'primary_conninfo',
  'primary_slot_name',
  'wal_retrieve_retry_interval',
  'wal_receiver_status_interval',
  'wal_receiver_timeout',
  'wal_sender_timeout',
  'synchronous_standby_names',
  'sync_replication_slots',
  'synchronized_standby_slots',
]);

/** `ANY 1 ("pg-b", "pg-c")`, or nothing where no standby confirms. */
export function makeSyncNames(rule: CommitRule): string {
  if (rule.count === 0 || rule.names.length === 0) return '';
  return `ANY ${rule.count} (${rule.names.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ')})`;
}

function makeConninfo({ postgres, member, settings, passFile, own }: SettingsParts, upstream: Upstream): string {
  const idleSeconds = Math.max(1, Math.floor(settings.leaseMs / 2000));
  const pairs: [string, string | number][] = [
    ['host', upstream.host],
    ['port', upstream.port],
    ['user', postgres.replication.user],
    ['application_name', member],
    // libpq takes two seconds at the least.
    ['connect_timeout', 2],
    ['keepalives_idle', idleSeconds],
    ['keepalives_interval', 1],
    ['keepalives_count', 3],
    ['tcp_user_timeout', Math.max(1000, 2 * settings.leaseMs)],
  ];
  // The copying of logical slots asks in a database; streaming itself has none.
  if (carriesLogicalSlots(own, postgres)) pairs.push(['dbname', postgres.maintenanceDatabase]);
  if (passFile !== undefined) pairs.push(['passfile', passFile]);
  return conninfo([...pairs, ...tlsPairs(postgres)]);
}

/** How another member is reached, in libpq's words; nothing where the configuration says nothing. */
export function tlsPairs({ tls }: PostgresConfig): [string, string][] {
  if (tls === undefined) return [];
  const { mode, ca, cert, key } = tls;
  const files = { sslrootcert: ca, sslcert: cert, sslkey: key };
  return [['sslmode', mode], ...Object.entries(files).filter((pair): pair is [string, string] => pair[1] !== undefined)];
}

/** A connection string in libpq's form. */
export function conninfo(pairs: readonly (readonly [string, string | number])[]): string {
  return pairs.map(([key, value]) => `${key}='${String(value).replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`).join(' ');
}

/** One line of the file, whatever is in the value: a line break would begin a setting of its own. */
export function quoteSetting(value: string): string {
  if (value.includes('\0')) throw new UnderstudyError('BadInput', 'a setting of PostgreSQL holds a NUL, which none can', {});
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\n', '\\n').replaceAll('\r', '\\r')}'`;
}

export function printSettings(group: string, lines: ReadonlyMap<string, string>): string {
  const head = [
    `# Written by Understudy for the group ${group.replaceAll(/\s/g, ' ')}, and written again whenever the role changes: do not edit.`,
    '# Your own settings belong in postgresql.conf, above its last line, or in ALTER SYSTEM.',
  ];
  return `${[...head, ...[...lines].map(([name, value]) => `${name} = ${quoteSetting(value)}`)].join('\n')}\n`;
}

/** The addresses to listen on: the user's, and the member's own where they do not cover it. */
export function listenOn(own: string, host: string): string {
  const addresses = own
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '');
  const loopback = ['localhost', '127.0.0.1', '::1'];
  const covered = addresses.some(
    (address) => address === '*' || address === host || (address === 'localhost' && loopback.includes(host)) || (address === '0.0.0.0' && !host.includes(':')),
  );
  return covered ? addresses.join(',') : [...addresses, host].join(',');
}
