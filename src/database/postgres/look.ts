import type { ArchiverState, Follower, LiveState, ReceiverState, Slot } from '../../model/member.ts';
import type { Pulse } from '../driver.ts';
import { SLOT_PREFIX } from './place.ts';
import type { Session } from './session.ts';

/**
 * A standby's timeline is that of the segment which holds the last place that it has received: the control file learns of a switch
 * only later. pg_last_wal_receive_lsn() falls back to a segment's begin when a receiver starts anew, hence the greater of the two.
 */
const HERE = `
here as (
  select r as in_recovery,
         case when r then greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0')) else pg_current_wal_flush_lsn() end as flushed,
         case when r then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_flush_lsn() end as replayed
    from (select pg_is_in_recovery() as r) as recovery
),
receiver as (select * from pg_stat_wal_receiver)`;

const TIMELINE = `
case when not in_recovery then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
     else coalesce(
       (select received_tli from receiver),
       (select max(('x' || substr(name, 1, 8))::bit(32)::int) from pg_ls_waldir(),
               (select pg_size_bytes(current_setting('wal_segment_size')) as bytes) as segment
         where name ~ '^[0-9A-F]{24}$' and ('x' || substr(name, 9, 8))::bit(32)::bigint * (4294967296 / bytes) + ('x' || substr(name, 17, 8))::bit(32)::bigint = div(greatest(flushed - '0/0'::pg_lsn - 1, 0), bytes)),
       (select greatest(min_recovery_end_timeline, (select timeline_id from pg_control_checkpoint())) from pg_control_recovery())) end`;

const RECEIVER = `
(select json_build_object('status', status, 'heard', coalesce(last_msg_send_time <> last_msg_receipt_time, false), 'from', sender_host || ':' || sender_port,
        'stamp', concat_ws(' ', written_lsn, flushed_lsn, latest_end_lsn, extract(epoch from last_msg_receipt_time), received_tli)) from receiver)`;

const FOLLOWERS = `
(select coalesce(json_agg(json_build_object('name', application_name, 'state', coalesce(state, ''), 'flushedLsn', coalesce(flush_lsn, '0/0'), 'replayedLsn', coalesce(replay_lsn, '0/0'),
        'confirms', coalesce(sync_state in ('sync', 'quorum'), false),
        'holdsSlot', exists (select from pg_replication_slots where active_pid = pid and slot_name = '${SLOT_PREFIX}' || replace(application_name, '-', '_')))
        order by application_name), '[]'::json) from pg_stat_replication)`;

/** A slot's name has the member's, whose hyphens are underscores there (and a member's name has no underscore). */
const LET_GO = `
(select coalesce(json_agg(replace(substr(slot_name, ${SLOT_PREFIX.length + 1}), '_', '-') order by slot_name), '[]'::json)
   from pg_replication_slots where not in_recovery and wal_status = 'lost' and starts_with(slot_name, '${SLOT_PREFIX}'))`;

/** What waits to be archived, oldest first, and whether the last try failed. Nothing where nothing is archived: then it cannot hold up a stop. */
const ARCHIVER = `
(select json_build_object('waiting', waiting, 'oldestWaitsMs', coalesce(oldest, 0), 'failing', coalesce(last_failed_time > last_archived_time, last_failed_time is not null))
   from pg_stat_archiver, (select count(*)::int as waiting, floor(extract(epoch from clock_timestamp() - min(modification)) * 1000) as oldest
                             from pg_ls_archive_statusdir() where name like '%.ready') as queue
  where not in_recovery and current_setting('archive_mode') <> 'off' and current_setting('archive_command') || current_setting('archive_library') not in ('', '(disabled)'))`;

/** Columns that older servers do not have are read as text of the whole row. */
const SLOTS = `
(select coalesce(json_agg(json_build_object('name', slot_name, 'active', active, 'retainedBytes', greatest(coalesce(flushed - restart_lsn, 0), 0),
        'lost', coalesce(wal_status = 'lost', false), 'logical', slot_type = 'logical', 'failover', coalesce(to_jsonb(slot) ->> 'failover' = 'true', false)) order by slot_name), '[]'::json)
   from pg_replication_slots as slot where not temporary)`;

const PULSE = `with ${HERE} select in_recovery, flushed, replayed, ${TIMELINE} as timeline, ${RECEIVER} as receiver, ${FOLLOWERS} as followers, ${LET_GO} as let_go from here`;

const LOOK = `with ${HERE}
select in_recovery, flushed, replayed, ${TIMELINE} as timeline, ${RECEIVER} as receiver, ${FOLLOWERS} as followers, ${LET_GO} as let_go,
       (select system_identifier from pg_control_system())::text as system_id,
       case when in_recovery then pg_is_wal_replay_paused() else false end as paused,
       ${SLOTS} as slots, ${ARCHIVER} as archiver
  from here`;

interface PulseRow {
  in_recovery: boolean;
  timeline: number;
  flushed: string;
  replayed: string;
  receiver: { status: string | null; from: string | null; stamp: string; heard: boolean } | null;
  followers: Follower[];
  let_go: string[];
}

interface LookRow extends PulseRow {
  system_id: string;
  paused: boolean;
  slots: Slot[];
  archiver: ArchiverState | null;
}

export async function takePulse(session: Session): Promise<Pulse> {
  return pulseOf(await session.oneOften<PulseRow>('pulse', PULSE));
}

export async function lookAt(session: Session): Promise<LiveState> {
  const row = await session.one<LookRow>(LOOK);
  return { ...pulseOf(row), systemId: row.system_id, replayPaused: row.paused, slots: row.slots, ...(row.archiver === null ? {} : { archiver: row.archiver }) };
}

function pulseOf(row: PulseRow): Pulse {
  return {
    inRecovery: row.in_recovery,
    timeline: row.timeline,
    flushedLsn: row.flushed,
    replayedLsn: row.replayed,
    receiver: receiverOf(row.receiver),
    followers: row.followers,
    letGo: row.let_go,
  };
}

function receiverOf(row: PulseRow['receiver']): ReceiverState {
  if (row === null) return { state: 'none' };
  return { state: row.status === 'streaming' ? 'streaming' : 'starting', from: row.from ?? '', stamp: row.stamp, heard: row.heard };
}

/** The timeline that a primary writes on, and its place. */
export async function whereItWrites(session: Session): Promise<{ timeline: number; lsn: string }> {
  return session.one<{ timeline: number; lsn: string }>(
    "select ('x' || substr(pg_walfile_name(lsn), 1, 8))::bit(32)::int as timeline, lsn::text as lsn from (select pg_current_wal_lsn() as lsn) as here",
  );
}
