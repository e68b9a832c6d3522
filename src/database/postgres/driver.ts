import type { LaunchSpec } from '../../guard/messages.ts';
import type { Lsn } from '../../model/lsn.ts';
import type { Footprint, Upstream } from '../../model/member.ts';
import type { DatabaseDriver, LiveDatabase, Settings, UpstreamHistory } from '../driver.ts';
import { cloneFrom } from './clone.ts';
import { ConfFiles } from './conf.ts';
import { findEndOfLog } from './end-of-log.ts';
import { demandData, readFootprint } from './footprint.ts';
import { foundDatabase } from './found.ts';
import { readHistory } from './history.ts';
import { findMove, prepareLaunch } from './launch.ts';
import { PostgresLive } from './live.ts';
import { Place, type DriverOptions } from './place.ts';
import { rewindTo, type RewindOutcome } from './rewind.ts';
import { claimSlotAt } from './slots.ts';

/** PostgreSQL 15 to 18. Each act is a file of this folder. */
export class PostgresDriver implements DatabaseDriver {
  readonly kind = 'postgres';
  readonly #place: Place;
  readonly #conf: ConfFiles;

  constructor(options: DriverOptions) {
    this.#place = new Place(options);
    this.#conf = new ConfFiles(this.#place);
  }

  footprint(signal: AbortSignal): Promise<Footprint> {
    return readFootprint(this.#place, signal);
  }

  found(signal: AbortSignal): Promise<void> {
    return foundDatabase(this.#place, this.#conf, signal);
  }

  async adopt(settings: Settings): Promise<void> {
    await demandData(this.#place, AbortSignal.timeout(20_000), 'be adopted');
    this.#conf.forget();
    await this.#conf.put(settings);
  }

  clone(upstream: Upstream, signal: AbortSignal, progress: (words: string) => void): Promise<void> {
    return cloneFrom(this.#place, this.#conf, upstream, signal, progress);
  }

  rewind(upstream: Upstream, signal: AbortSignal, progress: (words: string) => void): Promise<RewindOutcome> {
    return rewindTo(this.#place, this.#conf, upstream, signal, progress);
  }

  history(upstream: Upstream, signal: AbortSignal): Promise<UpstreamHistory> {
    return readHistory(this.#place, upstream, signal);
  }

  async claimSlot(upstream: Upstream, signal: AbortSignal): Promise<'kept' | 'made'> {
    const claimed = await claimSlotAt(this.#place, upstream, signal);
    await this.#conf.renewPassword();
    return claimed;
  }

  endOfLog(signal: AbortSignal): Promise<{ timeline: number; lsn: Lsn } | undefined> {
    return findEndOfLog(this.#place, signal);
  }

  movedFrom(): Promise<string | undefined> {
    return findMove(this.#place);
  }

  launch(role: 'primary' | 'standby', settings: Settings): Promise<LaunchSpec> {
    return prepareLaunch(this.#place, this.#conf, role, settings);
  }

  connect(signal: AbortSignal): Promise<LiveDatabase> {
    return PostgresLive.open(this.#place, this.#conf, signal);
  }
}
