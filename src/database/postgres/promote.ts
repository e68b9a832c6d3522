import { setTimeout as pause } from 'node:timers/promises';
import { UnderstudyError } from '../../model/error.ts';
import type { LiveDatabase } from '../driver.ts';
import { lookAt, takePulse, whereItWrites } from './look.ts';
import type { Session } from './session.ts';

/** pg_promote's own wait looks every 100 ms, a quarter of the whole failover's time. */
const LOOK_EVERY_MS = 3;

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
