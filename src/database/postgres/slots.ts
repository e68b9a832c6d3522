import { UnderstudyError } from '../../model/error.ts';
import type { Upstream } from '../../model/member.ts';
import { openAt } from './history.ts';
import { SLOT_PREFIX, slotName, type Place } from './place.ts';
import type { Session } from './session.ts';

/**
 * Each named member has a slot, those of our making for others go, the user's stay. A primary's keeps log from now on, as its member may be
 * on its way; a standby's keeps none until somebody streams from it.
 */
export async function keepSlots(session: Session, members: readonly string[]): Promise<void> {
  const wanted = members.map(slotName);
  await session.ask(
    `select pg_create_physical_replication_slot(name, not pg_is_in_recovery()) from unnest($1::text[]) as w(name)
      where not exists (select from pg_replication_slots where slot_name = w.name)`,
    [wanted],
  );
  await reserveSlots(session, wanted);
  await dropSlots(session, `not (slot_name = any($1::text[]))`, [wanted]);
}

/** A slot made while this member was a standby keeps nothing yet; as primary it must, before its member comes. */
async function reserveSlots(session: Session, wanted: readonly string[]): Promise<void> {
  const idle = await session.ask<{ name: string }>(
    `select slot_name::text as name from pg_replication_slots where not pg_is_in_recovery() and not active and restart_lsn is null and slot_name = any($1::text[])`,
    [wanted],
  );
  for (const { name } of idle) {
    if (!(await dropSlot(session, name))) continue;
    await session.ask('select pg_create_physical_replication_slot($1, true)', [name]);
  }
}

/**
 * The member's own slot at its upstream, by the replication account, which may make and drop slots. One whose log was let go
 * (max_slot_wal_keep_size) is of no use to anybody: PostgreSQL lets nobody stream through it again.
 */
export async function claimSlotAt(place: Place, upstream: Upstream, signal: AbortSignal): Promise<'kept' | 'made'> {
  const name = slotName(place.member.name);
  const session = await openAt(place, upstream, signal);
  try {
    const [slot] = await session.ask<{ lost: boolean }>("select coalesce(wal_status = 'lost', false) as lost from pg_replication_slots where slot_name = $1", [
      name,
    ]);
    if (slot?.lost === false) return 'kept';
    if (slot?.lost === true && !(await dropSlot(session, name))) return 'kept';
    await session.ask('select pg_create_physical_replication_slot($1, true)', [name]);
    return 'made';
  } finally {
    await session.close();
  }
}

/**
 * Slots of ours that hold log are made anew, empty: this member will follow, and its own log must not grow for those who have left. A logical slot that was
 * this member's own while it was primary, and that its successor carries on (failover slots, from PostgreSQL 17 on), would keep the successor's from
 * being copied here; a standby can have none of that kind that it did not have as primary.
 */
export async function emptySlots(session: Session): Promise<void> {
  const left = await session.ask<{ name: string }>(
    `select slot_name::text as name from pg_replication_slots as slot
      where pg_is_in_recovery() and slot_type = 'logical' and not active and to_jsonb(slot) ->> 'failover' = 'true' and to_jsonb(slot) ->> 'synced' = 'false'`,
  );
  for (const { name } of left) await dropSlot(session, name);
  for (const name of await dropSlots(session, 'restart_lsn is not null', [])) {
    await session.ask('select pg_create_physical_replication_slot($1, false)', [name]);
  }
}

async function dropSlots(session: Session, condition: string, values: readonly unknown[]): Promise<string[]> {
  const rows = await session.ask<{ name: string }>(
    `select slot_name::text as name from pg_replication_slots where slot_type = 'physical' and not active and starts_with(slot_name, '${SLOT_PREFIX}') and ${condition}`,
    values,
  );
  const dropped: string[] = [];
  for (const { name } of rows) if (await dropSlot(session, name)) dropped.push(name);
  return dropped;
}

const IN_USE = '55006';
const NOT_THERE = '42704';

/** False where somebody has begun to use it meanwhile: then it is wanted. */
async function dropSlot(session: Session, name: string): Promise<boolean> {
  try {
    await session.ask('select pg_drop_replication_slot($1)', [name]);
    return true;
  } catch (error) {
    if (error instanceof UnderstudyError && [IN_USE, NOT_THERE].includes(String(error.evidence['code']))) return false;
    throw error;
  }
}
