import type { Lsn } from '../../model/lsn.ts';
import type { Session } from './session.ts';

/**
 * A message in the log, and its end. Up to PostgreSQL 16 only a transaction's commit flushes one at once (`synchronous_commit = local` in every
 * session of ours, so that it waits for no standby): a message outside of a transaction would wait for the log writer, up to 200 ms on an idle database.
 * From 17 on the message can be flushed by itself, which spends no transaction number.
 */
const FLUSHED_ITSELF = "select pg_logical_emit_message(false, 'understudy', 'mark', true)::text as lsn";
const FLUSHED_BY_COMMIT = "select pg_logical_emit_message(true, 'understudy', 'mark')::text as lsn";

const FLUSH_ARGUMENT_SINCE = 170_000;

/** @see PostgreSQL manual, "Generic WAL functions", pg_logical_emit_message: what it returns is the place right after the record */
export async function writeMark(session: Session, limitMs: number): Promise<Lsn> {
  const { version } = await session.one<{ version: number }>("select current_setting('server_version_num')::int as version", [], limitMs);
  const { lsn } = await session.one<{ lsn: string }>(version >= FLUSH_ARGUMENT_SINCE ? FLUSHED_ITSELF : FLUSHED_BY_COMMIT, [], limitMs);
  return lsn;
}
