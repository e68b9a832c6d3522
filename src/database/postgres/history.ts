import { UnderstudyError } from '../../model/error.ts';
import type { Upstream } from '../../model/member.ts';
import type { UpstreamHistory } from '../driver.ts';
import type { Place } from './place.ts';
import { Session } from './session.ts';
import { readTls } from './tls.ts';

const LIMIT_MS = 3000;

interface Row {
  system_id: string;
  writable: boolean;
  timeline: number;
  checkpoint_timeline: number;
  history: string | null;
  keeps_from: string | null;
}

/**
 * A history file does not exist for timeline 1. A primary's timeline is that which it writes on; a standby's is the newest that
 * its control file knows.
 */
const QUESTION = `
with here as (
  select (select system_identifier from pg_control_system())::text as system_id,
         not pg_is_in_recovery() as writable,
         (select timeline_id from pg_control_checkpoint()) as checkpoint_timeline,
         case when pg_is_in_recovery() then greatest((select timeline_id from pg_control_checkpoint()), (select min_recovery_end_timeline from pg_control_recovery()))
              else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end as timeline
)
select *,
       (select ('0/0'::pg_lsn + min(('x' || substr(name, 9, 8))::bit(32)::bigint * 4294967296 + ('x' || substr(name, 17, 8))::bit(32)::bigint * pg_size_bytes(current_setting('wal_segment_size'))))::text
          from pg_ls_dir('pg_wal', true, false) as files(name) where name ~ '^[0-9A-F]{24}$') as keeps_from,
       convert_from(pg_read_binary_file('pg_wal/' || upper(lpad(to_hex(timeline), 8, '0')) || '.history', 0, 1048576, true), 'UTF8') as history from here`;

/**
 * Asks another member, as the replication account: it was granted these functions when the group's primary first opened.
 *
 * @throws UnderstudyError `DatabaseUnreachable` where it does not answer, `DatabaseFailed` where it refuses
 */
export async function readHistory(place: Place, upstream: Upstream, signal: AbortSignal): Promise<UpstreamHistory> {
  const session = await openAt(place, upstream, signal);
  try {
    const row = await session.one<Row>(QUESTION);
    return {
      systemId: row.system_id,
      writable: row.writable,
      timeline: row.timeline,
      checkpointed: row.checkpoint_timeline === row.timeline,
      forks: parseHistory(row.history ?? ''),
      ...(row.keeps_from === null ? {} : { keepsFrom: row.keeps_from }),
    };
  } catch (error) {
    if (error instanceof UnderstudyError && error.evidence['code'] === '42501') {
      throw new UnderstudyError(
        'DatabaseFailed',
        `${upstream.member} does not let the account ${place.options.postgres.replication.user} read its history: ${error.message}. Its agent grants this when it opens as primary.`,
        error.evidence,
        error,
      );
    }
    throw error;
  } finally {
    await session.close();
  }
}

/** At another member, as the replication account. @throws UnderstudyError `DatabaseUnreachable` */
export async function openAt(place: Place, upstream: Upstream, signal: AbortSignal): Promise<Session> {
  const { replication, maintenanceDatabase } = place.options.postgres;
  return Session.open(
    {
      host: upstream.host,
      port: upstream.port,
      user: replication.user,
      password: place.password(replication),
      database: maintenanceDatabase,
      peer: undefined,
      tls: await readTls(place.options.postgres),
      limitMs: LIMIT_MS,
      member: upstream.member,
    },
    signal,
  );
}

/** Lines of `timeline  lsn  reason`, oldest first. */
export function parseHistory(text: string): { timeline: number; endLsn: string }[] {
  return text
    .split('\n')
    .map((line) => /^\s*(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ timeline: Number(match[1]), endLsn: String(match[2]) }));
}
