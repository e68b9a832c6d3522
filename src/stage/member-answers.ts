import pg from 'pg';
import type { MemberAnswer, Row } from './checker.ts';
import type { HostPort } from '../model/config.ts';
import { HOST } from './ports.ts';
import { DATABASE } from './stage-file.ts';
import { WRITES_TABLE } from './writer.ts';

/** What a member says of itself when it is asked as any client may ask it. */
export interface MemberLook {
  readonly inRecovery: boolean;
  /** A standby whose receiver streams. */
  readonly streaming: boolean;
  /** A primary's: who streams from it, and for how many of them a commit may wait. */
  readonly followers: number;
  readonly confirming: number;
  readonly syncRule: string;
}

/** A member's address; a port alone is one of this host's own. */
export type Place = number | HostPort;

const CONNECT_TIMEOUT_MS = 1_000;
const QUERY_TIMEOUT_MS = 5_000;

/** A connection for one question after another. A server that hangs is given up in time. */
export async function withMember<T>(place: Place, ask: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    ...(typeof place === 'number' ? { host: HOST, port: place } : { host: place.host, port: place.port }),
    ...DATABASE,
    application_name: 'understudy-stage',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
  });
  let broken: Error | undefined;
  client.on('error', (error) => (broken = error));
  await client.connect();
  try {
    return await ask(client);
  } finally {
    if (broken === undefined) await client.end();
  }
}

/** How the member stands; in words why it does not say. */
export async function lookAt(place: Place): Promise<MemberLook | { readonly silent: string }> {
  try {
    return await withMember(place, async (client) => {
      const { rows } = await client.query<{ recovering: boolean; streaming: boolean; followers: number; confirming: number; rule: string }>(
        `select pg_is_in_recovery() as recovering,
                exists (select from pg_stat_wal_receiver where status = 'streaming') as streaming,
                (select count(*)::int from pg_stat_replication where state = 'streaming') as followers,
                (select count(*)::int from pg_stat_replication where state = 'streaming' and sync_state in ('sync', 'quorum')) as confirming,
                current_setting('synchronous_standby_names') as rule`,
      );
      const [row] = rows;
      if (row === undefined) throw new Error('no row');
      return { inRecovery: row.recovering, streaming: row.streaming, followers: row.followers, confirming: row.confirming, syncRule: row.rule };
    });
  } catch (error) {
    // Whatever the reason, it does not answer now: that is what is to be known.
    return { silent: error instanceof Error ? error.message : String(error) };
  }
}

export async function rowsOf(place: Place): Promise<Row[]> {
  return withMember(place, async (client) => {
    const { rows } = await client.query<{ by: string; id: string }>(`select by, id from ${WRITES_TABLE}`);
    return rows.map(({ by, id }) => ({ by, id: Number(id) }));
  });
}

/** Where the primary's log ends now. */
export async function endOfLog(place: Place): Promise<string> {
  return withMember(place, async (client) => {
    const { rows } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
    return rows[0]?.lsn ?? '0/0';
  });
}

/** Whether a member has replayed the log up to there; a primary always has. */
export async function hasReplayed(place: Place, lsn: string): Promise<boolean> {
  return withMember(place, async (client) => {
    const { rows } = await client.query<{ there: boolean }>(
      'select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() >= $1::pg_lsn else true end as there',
      [lsn],
    );
    return rows[0]?.there === true;
  });
}

/** The timeline that it writes, or receives: the control file's is the one of the last checkpoint, and may be an old one. */
export async function finalAnswer(member: string, place: Place): Promise<MemberAnswer> {
  return withMember(place, async (client) => {
    const { rows } = await client.query<{ recovering: boolean; timeline: number | null; count: number; print: string }>(
      `select pg_is_in_recovery() as recovering,
              case when pg_is_in_recovery() then (select received_tli from pg_stat_wal_receiver)
                   else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline,
              count(*)::int as count,
              coalesce(sum(hashtextextended(by || ':' || id, 0)::numeric), 0)::text as print
         from ${WRITES_TABLE}`,
    );
    const [row] = rows;
    if (row === undefined || row.timeline === null) throw new Error(`${member} does not say which timeline it is on`);
    return { member, inRecovery: row.recovering, timeline: row.timeline, rowCount: row.count, fingerprint: row.print };
  });
}
