import type { Lsn } from '../../src/model/lsn.ts';
import type { MemberReport } from '../../src/model/member.ts';

/** What a member's database is, in as few words as workflows can tell apart. */
export class FakeDatabase {
  directory: 'empty' | 'data' = 'empty';
  running = false;
  /** A standby's copy: it does not open for writes before it is promoted. */
  standby = false;
  detached = false;
  replayPaused = false;
  upstream: string | undefined;
  timeline = 1;
  at = 0x5000000;

  get writable(): boolean {
    return this.running && !this.standby;
  }

  get lsn(): Lsn {
    return `0/${this.at.toString(16).toUpperCase()}`;
  }
}

export interface Seen {
  readonly name: string;
  readonly epoch: number;
  readonly opened: number;
  readonly role: MemberReport['role'];
  readonly leaseLeftMs: number | undefined;
  /** From whom it receives at this moment, if from anybody. */
  readonly fedBy: string | undefined;
  readonly followers: readonly { readonly name: string; readonly lsn: Lsn }[];
}

/** As the real agent reports it. */
export function reportOf(database: FakeDatabase, seen: Seen): MemberReport {
  const { lsn, timeline, standby } = database;
  const base = {
    member: seen.name,
    epoch: seen.epoch,
    opened: seen.opened,
    role: seen.role,
    detached: database.detached,
    fence: 'kernel',
    cluster: 'default@here',
    ...(seen.leaseLeftMs === undefined ? {} : { leaseLeftMs: seen.leaseLeftMs }),
  } as const;
  if (database.directory === 'empty') return { ...base, footprint: { state: 'empty' }, trouble: 'the database has not been started' };
  const footprint = { state: 'data', systemId: '42', version: '15', timeline, checkpointLsn: lsn, cleanShutdown: !database.running, standby } as const;
  if (!database.running) return { ...base, footprint, trouble: 'the database is stopped' };
  return {
    ...base,
    footprint,
    live: {
      inRecovery: standby,
      systemId: '42',
      timeline,
      flushedLsn: lsn,
      replayedLsn: lsn,
      replayPaused: database.replayPaused,
      receiver: seen.fedBy === undefined ? { state: 'none' } : { state: 'streaming', from: seen.fedBy, stamp: String(database.at) },
      followers: seen.followers.map((follower) => ({
        name: follower.name,
        state: 'streaming',
        flushedLsn: follower.lsn,
        replayedLsn: follower.lsn,
        confirms: true,
        holdsSlot: true,
      })),
      slots: [],
    },
    ...(standby ? { fedAgoMs: seen.fedBy === undefined ? 60_000 : 5 } : {}),
  };
}
