import { statfs } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { UnderstudyError } from '../../model/error.ts';
import type { WriteProbe } from '../driver.ts';
import type { Place } from './place.ts';
import type { Session } from './session.ts';

/** With less room than this no table can grow; the log goes on for a while in segments that are there already. */
const FULL_BELOW_BYTES = 128 * 1024;

/**
 * One record written to the log and flushed with its transaction's commit, which waits for no standby (`synchronous_commit = local` in every session of
 * ours). It changes no table, so that it leaves nothing to vacuum; room on the disks is therefore asked of the system.
 */
const PROBE = "select pg_logical_emit_message(true, 'understudy', 'probe')";

export class WriteProber {
  readonly #place: Place;
  readonly #open: () => Promise<Session>;
  #session: Session | undefined;

  constructor(place: Place, first: Session, open: () => Promise<Session>) {
    this.#place = place;
    this.#session = first;
    this.#open = open;
  }

  async probe(limitMs: number): Promise<WriteProbe> {
    const room = this.#room();
    const written = await this.#write(limitMs);
    if (written.outcome !== 'written') return written;
    const full = await Promise.race([room, pause(limitMs, undefined, { ref: false })]);
    return full === undefined ? written : { outcome: 'disk-full', words: full };
  }

  async close(): Promise<void> {
    await this.#session?.close();
  }

  async #write(limitMs: number): Promise<WriteProbe> {
    let session: Session;
    try {
      if (this.#session === undefined || this.#session.over !== undefined) this.#session = await this.#open();
      session = this.#session;
      await session.ask(PROBE, [], limitMs);
      return { outcome: 'written' };
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      return classify(error);
    }
  }

  async #room(): Promise<string | undefined> {
    for (const directory of [this.#place.dataDir, this.#place.data('pg_wal')]) {
      const { bavail, bsize } = await statfs(directory);
      if (bavail * bsize < FULL_BELOW_BYTES) return `the disk of ${directory} is full: ${bavail * bsize} bytes are left`;
    }
    return undefined;
  }
}

/** What a failed probe says of the database. */
export function classify(error: UnderstudyError): WriteProbe {
  const words = error.message;
  const code = typeof error.evidence['code'] === 'string' ? error.evidence['code'] : '';
  if (error.evidence['timeUp'] === true) return { outcome: 'slow', words };
  switch (code) {
    case '53100':
    case 'ENOSPC':
      return { outcome: 'disk-full', words };
    case '25006':
      return { outcome: /recovery/.test(words) ? 'in-recovery' : 'read-only', words };
    case '55000':
      return { outcome: /recovery/.test(words) ? 'in-recovery' : 'unknown', words };
    case '53300':
    // The server starts, or an administrator ended our session: neither speaks of its writes.
    case '57P03':
    case '57P01':
    case '53400':
    case '53200':
      return { outcome: 'unknown', words };
    case '57014':
      return { outcome: 'slow', words };
  }
  if (/read-only file system/i.test(words)) return { outcome: 'read-only', words };
  if (/no space left/i.test(words)) return { outcome: 'disk-full', words };
  if (/during recovery|is in progress/.test(words)) return { outcome: 'in-recovery', words };
  return { outcome: 'broken', words };
}
