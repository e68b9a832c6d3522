import { setTimeout as pause } from 'node:timers/promises';
import { UnderstudyError } from '../../model/error.ts';
import type { Lsn } from '../../model/lsn.ts';
import type { LiveState } from '../../model/member.ts';
import type { LiveDatabase, Pulse, Settings, WriteProbe } from '../driver.ts';
import { keepAccounts } from './accounts.ts';
import { Committer } from './commit.ts';
import type { ConfFiles } from './conf.ts';
import { lookAt, takePulse } from './look.ts';
import { writeMark } from './mark.ts';
import type { PassedTimeline } from '../../model/act.ts';
import type { Place } from './place.ts';
import { WriteProber } from './probe-write.ts';
import { notePassed, promoteIt } from './promote.ts';
import { APPLICATION, Session, type SessionParts } from './session.ts';
import { detachIt, outrankedIn, settleIn, type SettleMemory } from './settle.ts';
import { emptySlots, keepSlots } from './slots.ts';

const QUESTION_LIMIT_MS = 5000;
const CHECKPOINT_LIMIT_MS = 30 * 60_000;
const DRAIN_LOOK_EVERY_MS = 3;

/** The running database, through two connections that are kept: one for questions and orders, one for the write probe. */
export class PostgresLive implements LiveDatabase {
  readonly lost: Promise<string>;
  readonly #place: Place;
  readonly #conf: ConfFiles;
  readonly #session: Session;
  readonly #prober: WriteProber;
  readonly #committer: Committer;
  readonly #memory: SettleMemory = { commitsWait: false };

  private constructor(place: Place, conf: ConfFiles, session: Session, prober: WriteProber, committer: Committer) {
    this.#place = place;
    this.#conf = conf;
    this.#session = session;
    this.#prober = prober;
    this.#committer = committer;
    this.lost = session.lost;
  }

  /**
   * As superuser, for whom the server keeps connections back when all others are taken.
   *
   * @throws UnderstudyError `DatabaseUnreachable`
   */
  static async open(place: Place, conf: ConfFiles, signal: AbortSignal): Promise<PostgresLive> {
    const parts = await controlParts(place);
    const session = await Session.open(parts, signal);
    try {
      const prober = new WriteProber(place, await Session.open(parts, signal), () => Session.open(parts));
      // Known before it is needed, so that a settle on a failover's way starts no program.
      await conf.own();
      return new PostgresLive(place, conf, session, prober, new Committer(session, () => Session.open({ ...parts, commits: 'wait' })));
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  look(): Promise<LiveState> {
    return lookAt(this.#session);
  }

  pulse(): Promise<Pulse> {
    return takePulse(this.#session);
  }

  probeWrite(limitMs: number): Promise<WriteProbe> {
    return this.#prober.probe(limitMs);
  }

  settle(settings: Settings): Promise<boolean> {
    return settleIn(this.#session, this.#conf, settings, this.#place.member.name, this.#memory);
  }

  outranked(settings: Settings): Promise<readonly string[]> {
    return outrankedIn(this.#session, this.#conf, settings);
  }

  detach(settings: Settings): Promise<void> {
    return detachIt(this.#session, this.#conf, settings, this.#place.member.name, this.#memory);
  }

  async promote(limitMs: number, passed?: PassedTimeline): ReturnType<LiveDatabase['promote']> {
    this.#committer.warm();
    if (passed !== undefined) await notePassed(this.#place, passed);
    return promoteIt(this.#session, this.#place.member.name, limitMs);
  }

  async drained(limitMs: number): Promise<boolean> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const { drained } = await this.#session.one<{ drained: boolean }>(
        'select not pg_is_in_recovery() or coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), true) as drained',
      );
      if (drained || performance.now() > endMs) return drained;
      await pause(DRAIN_LOOK_EVERY_MS);
    }
  }

  /** On a connection of its own: it may take minutes, and the others must answer meanwhile. */
  async checkpoint(): Promise<void> {
    const session = await Session.open(await controlParts(this.#place));
    try {
      await session.ask('set statement_timeout = 0');
      await session.ask('checkpoint', [], CHECKPOINT_LIMIT_MS);
    } finally {
      await session.close();
    }
  }

  async version(): Promise<string> {
    const { version } = await this.#session.one<{ version: string }>("select split_part(current_setting('server_version'), ' ', 1) as version");
    return version;
  }

  mark(limitMs: number): Promise<Lsn> {
    return writeMark(this.#session, limitMs);
  }

  slots(members: readonly string[]): Promise<void> {
    return keepSlots(this.#session, members);
  }

  releaseSlots(): Promise<void> {
    return emptySlots(this.#session);
  }

  ensureAccounts(): Promise<void> {
    return keepAccounts(this.#session, this.#place);
  }

  commitOnce(limitMs: number): Promise<Lsn> {
    return this.#committer.commit(limitMs);
  }

  async endSessions(): Promise<number> {
    const { ended } = await this.#session.one<{ ended: number }>(
      "select count(*) filter (where pg_terminate_backend(pid))::int as ended from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name <> $1",
      [APPLICATION],
    );
    return ended;
  }

  async close(): Promise<void> {
    await Promise.all([this.#session.close(), this.#prober.close(), this.#committer.close()]);
  }
}

async function controlParts(place: Place): Promise<SessionParts> {
  const { superuser, maintenanceDatabase } = place.options.postgres;
  if (!place.socketDir.startsWith('/')) throw new UnderstudyError('DatabaseFailed', `the socket directory ${place.socketDir} is not absolute`);
  return {
    host: place.socketDir,
    port: place.member.port,
    user: superuser.user,
    password: place.password(superuser),
    database: maintenanceDatabase,
    peer: await place.account(),
    limitMs: QUESTION_LIMIT_MS,
    member: place.member.name,
  };
}
