import { setTimeout as pause } from 'node:timers/promises';
import type { PassedTimeline } from '../../model/act.ts';
import { UnderstudyError } from '../../model/error.ts';
import type { LiveDatabase } from '../driver.ts';
import { exists, readIfThere, writeWhole } from './file.ts';
import type { Place } from './place.ts';
import { lookAt, takePulse, whereItWrites } from './look.ts';
import type { Session } from './session.ts';

/** pg_promote's own wait looks every 100 ms, a quarter of the whole failover's time. */
const LOOK_EVERY_MS = 3;

/**
 * Leaves the history file of a timeline that this member never saw where PostgreSQL looks for the numbers that are taken: its own server would have sent it, had
 * this member followed.
 */
export async function notePassed(place: Place, { timeline, from }: PassedTimeline): Promise<void> {
  const file = (id: number): string => place.data('pg_wal', `${id.toString(16).toUpperCase().padStart(8, '0')}.history`);
  if (await exists(file(timeline))) return;
  const before = from.timeline === 1 ? '' : await readIfThere(file(from.timeline));
  // Without the history of its own timeline this member does not come from it, and the number is not in its way.
  if (before === undefined) return;
  const lines = before === '' || before.endsWith('\n') ? before : `${before}\n`;
  await writeWhole(file(timeline), `${lines}${from.timeline}\t${from.lsn}\tanother member was promoted\n`, await place.account());
}

/**
 * Asks for the promotion and returns once this member writes on a new timeline: out of recovery alone is not enough to know that
 * it was a promotion.
 *
 * @throws UnderstudyError `DatabaseFailed` past the limit
 */
export async function promoteIt(session: Session, member: string, limitMs: number): Promise<Awaited<ReturnType<LiveDatabase['promote']>>> {
  const before = await takePulse(session);
  if (!before.inRecovery) return { outcome: 'already', ...(await whereItWrites(session)) };
  const endMs = performance.now() + limitMs;
  await session.ask('select pg_promote(false)');
  while ((await session.one<{ waits: boolean }>('select pg_is_in_recovery() as waits')).waits) {
    if (performance.now() > endMs)
      throw new UnderstudyError('DatabaseFailed', `${member} did not leave recovery within ${limitMs} ms of its promotion`, {
        limitMs,
        state: await lookAt(session),
      });
    await pause(LOOK_EVERY_MS);
  }
  const after = await whereItWrites(session);
  if (after.timeline <= before.timeline) {
    throw new UnderstudyError(
      'DatabaseFailed',
      `${member} left recovery, but not by a promotion: it was on timeline ${before.timeline} and is on ${after.timeline}`,
      { before: before.timeline, after: after.timeline },
    );
  }
  return { outcome: 'promoted', ...after };
}
