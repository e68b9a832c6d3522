import { setTimeout as pause } from 'node:timers/promises';
import { UnderstudyError } from '../../model/error.ts';
import type { CommitRule } from '../../model/group.ts';
import type { Settings } from '../driver.ts';
import type { ConfFiles } from './conf.ts';
import type { Session } from './session.ts';
import { STAMP_NAME } from './settings.ts';

const LOOK_EVERY_MS = 4;
const LIMIT_MS = 5000;
const STANDBY_RULE_LIMIT_MS = 500;
/** What is looked at one by one, since something else may outrank our file. */
const VITAL = ['primary_conninfo', 'primary_slot_name', 'synchronous_standby_names'] as const;

/** What this connection has seen for itself: whether commits wait at all, which only a rule of nobody ends. */
export interface SettleMemory {
  commitsWait: boolean;
}

/**
 * Writes the settings, reloads, and returns once they are in force. A standby's rule binds nothing yet, so that it is not waited for through a checkpoint.
 *
 * @returns whether the rule is known to hold; always so on a primary
 * @throws UnderstudyError `DatabaseFailed` where the server does not take them
 */
export async function settleIn(session: Session, conf: ConfFiles, settings: Settings, member: string, memory: SettleMemory): Promise<boolean> {
  await putInForce(session, conf, settings, member, memory);
  const follows = settings.upstream !== undefined;
  const open = await openOf(session, settings.rule, memory, follows ? STANDBY_RULE_LIMIT_MS : LIMIT_MS);
  if (open === undefined) return true;
  if (follows) return false;
  throw unsettled(member, settings.rule, open);
}

async function putInForce(session: Session, conf: ConfFiles, settings: Settings, member: string, memory: SettleMemory): Promise<void> {
  if (settings.rule.count === 0) memory.commitsWait = false;
  const lines = await conf.put(settings);
  await session.ask('select pg_reload_conf()');
  const names = [STAMP_NAME, ...VITAL];
  const endMs = performance.now() + LIMIT_MS;
  for (;;) {
    const open = await notInForce(session, names, lines);
    if (open.length === 0) return;
    if (performance.now() > endMs) throw await refused(session, member, open);
    await pause(LOOK_EVERY_MS);
  }
}

async function notInForce(session: Session, names: readonly string[], lines: ReadonlyMap<string, string>): Promise<string[]> {
  const rows = await session.ask<{ name: string }>(
    "select name from unnest($1::text[], $2::text[]) as w(name, value) where coalesce(current_setting(name, true), '') <> value",
    [names, names.map((name) => lines.get(name) ?? '')],
  );
  return rows.map(({ name }) => name);
}

/** What was settled and is outranked since: ALTER SYSTEM writes a file that outranks every included one. */
export async function outrankedIn(session: Session, conf: ConfFiles, settings: Settings): Promise<string[]> {
  const names = await notInForce(session, VITAL, await conf.wanted(settings));
  if (settings.rule.count === 0) return names;
  // Our own session has a value of its own: the files tell what everybody else's begins with.
  const { low } = await session.one<{ low: boolean }>(
    `select coalesce((select setting in ('off', 'local', 'remote_write') from pg_file_settings
       where name = 'synchronous_commit' and error is null order by seqno desc limit 1), false) as low`,
  );
  if (!low) return names;
  conf.forget();
  return [...names, 'synchronous_commit'];
}

async function refused(session: Session, member: string, names: readonly string[]): Promise<UnderstudyError> {
  const errors = await session.ask<{ words: string }>(
    "select format('%s line %s: %s', sourcefile, sourceline, error) as words from pg_file_settings where error is not null and error !~ 'could not be applied'",
  );
  const words = errors.map((row) => row.words).join('; ') || 'something outranks understudy.conf (a command line, or ALTER SYSTEM)';
  return new UnderstudyError('DatabaseFailed', `${member} does not take the settings ${names.join(', ')}: ${words}`, { names });
}

/**
 * A rule holds once each sender's process counts its standby by it, which pg_stat_replication shows, and once the checkpointer, whose
 * flag makes commits wait at all, has read the file: it does so whenever it wakes, between the pages of a checkpoint too, so
 * that it is seen at rest twice.
 */
async function openOf(session: Session, rule: CommitRule, memory: SettleMemory, limitMs: number): Promise<RuleState | undefined> {
  if (rule.count === 0) return undefined;
  const endMs = performance.now() + limitMs;
  for (let rests = 0; rests < 2;) {
    const row = await session.one<RuleState>(
      `select pg_is_in_recovery() or coalesce((select bool_and((sync_priority > 0) = (application_name = any($1::text[]))) from pg_stat_replication where state in ('streaming', 'catchup')), true) as senders,
              exists (select from pg_stat_activity where backend_type = 'checkpointer' and wait_event in ('CheckpointerMain', 'CheckpointWriteDelay')) as rests`,
      [[...rule.names]],
    );
    // Once commits wait, the checkpointer has nothing more to do for another rule: it need not be waited for through its checkpoints.
    if (row.senders && memory.commitsWait) return undefined;
    rests = row.senders && row.rests ? rests + 1 : 0;
    if (performance.now() > endMs) return row;
    if (rests < 2) await pause(LOOK_EVERY_MS);
  }
  memory.commitsWait = true;
  return undefined;
}

interface RuleState {
  readonly senders: boolean;
  readonly rests: boolean;
}

function unsettled(member: string, rule: CommitRule, state: RuleState): UnderstudyError {
  const words = `${member} has read the commit rule, but not every process of it acts by it yet (a checkpoint may be under way)`;
  return new UnderstudyError('DatabaseFailed', words, { rule, ...state });
}

const DETACH_LOOKS = 2;
const DETACH_LOOK_EVERY_MS = 8;

/** Returns once no receiver runs or starts, and the rule that came with it holds. */
export async function detachIt(session: Session, conf: ConfFiles, settings: Settings, member: string, memory: SettleMemory): Promise<void> {
  await putInForce(session, conf, { ...settings, upstream: undefined }, member, memory);
  const [open] = await Promise.all([openOf(session, settings.rule, memory, LIMIT_MS), awaitStill(session, member)]);
  if (open !== undefined) throw unsettled(member, settings.rule, open);
}

/**
 * The process that replays is the one that ends the receiver. While it waits, paused or for `recovery_min_apply_delay`, it does so only once the connection is
 * lost: such a member is frozen only when its primary has gone.
 */
async function stillReceives(session: Session, member: string, lsn: string): Promise<UnderstudyError> {
  const { waits } = await session.one<{ waits: boolean }>(
    "select pg_is_wal_replay_paused() or current_setting('recovery_min_apply_delay')::interval > '0' as waits",
  );
  const why = waits ? ', since its replay is delayed or paused: it ends with the connection to its upstream' : '';
  return new UnderstudyError('DatabaseFailed', `${member} was told to stop receiving, but its receiver still runs${why}`, { lsn });
}

/** No receiver, and the place has not moved between two looks. */
async function awaitStill(session: Session, member: string): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  let lastLsn = '';
  for (let looks = 0; looks < DETACH_LOOKS;) {
    const { receives, lsn } = await session.one<{ receives: boolean; lsn: string }>(
      `select exists (select from pg_stat_activity where backend_type = 'walreceiver') as receives,
              coalesce(pg_last_wal_receive_lsn(), '0/0')::text as lsn`,
    );
    looks = !receives && (looks === 0 || lsn === lastLsn) ? looks + 1 : 0;
    lastLsn = lsn;
    if (performance.now() > endMs) throw await stillReceives(session, member, lsn);
    if (looks < DETACH_LOOKS) await pause(DETACH_LOOK_EVERY_MS);
  }
}
