import { compareLsn, type Lsn } from '../model/lsn.ts';
import type { Footprint } from '../model/member.ts';

export interface RejoinInput {
  readonly footprint: Footprint;
  /** Where its log ends; undefined where that is not known. */
  readonly endOfLog: { readonly timeline: number; readonly lsn: Lsn } | undefined;
  readonly upstream: {
    readonly systemId: string;
    readonly timeline: number;
    /** Where each earlier timeline of the upstream ended. */
    readonly forks: readonly { readonly timeline: number; readonly endLsn: Lsn }[];
  };
  /** Whether its pages tell a rewind what has changed: checksums, or hint bits in the log. */
  readonly ownHints: boolean;
  /** Following as it is was tried, and cannot help: why. */
  readonly stuck?: string;
}

export interface RejoinVerdict {
  /** `nothing`: it is a standby's copy and fits as it is. `follow`: a former primary that has nothing which the upstream lacks. */
  readonly how: 'nothing' | 'follow' | 'rewind' | 'clone' | 'refuse';
  readonly why: string;
}

export interface StandingInput {
  /** Where the standby stands, and stood when it was last asked about; it receives from nobody. */
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly before: Lsn | undefined;
  readonly upstream: { readonly timeline: number; readonly forks: RejoinInput['upstream']['forks']; readonly keepsFrom?: Lsn };
}

/** What keeps a standby from ever following again as it is. */
export type Standing = { readonly how: 'rewind' | 'clone'; readonly why: string } | undefined;

/**
 * Can a running standby that receives nothing still follow? Not where its log has gone past the place at which the upstream left that timeline, and not where
 * the upstream has let go of what comes next; unless it moves all the same, as one does that is fed from an archive.
 */
export function judgeStanding({ timeline, lsn, before, upstream }: StandingInput): Standing {
  const fork = upstream.forks.find((past) => past.timeline === timeline);
  if (fork !== undefined && compareLsn(lsn, fork.endLsn) > 0)
    return { how: 'rewind', why: `its log goes on to ${lsn}, past ${fork.endLsn}, where the upstream left timeline ${timeline}` };
  if (fork === undefined && timeline < upstream.timeline)
    return { how: 'rewind', why: `its timeline ${timeline} is none that the upstream (on ${upstream.timeline}) comes from` };
  if (upstream.keepsFrom === undefined || compareLsn(lsn, upstream.keepsFrom) >= 0) return undefined;
  if (before === undefined || compareLsn(lsn, before) > 0) return undefined;
  return { how: 'clone', why: `it has lost its place: its log was let go (it stands at ${lsn}, and the upstream has none from before ${upstream.keepsFrom})` };
}

/**
 * Follow, rewind or clone? In the order of what they cost, and none of them where it could not be told what would be overwritten.
 *
 * A log that ends at or before the place where the upstream's next timeline began is a part of the upstream's; what lies past that
 * place is not (protocol 7).
 */
export function decideRejoin({ footprint, endOfLog, upstream, ownHints, stuck }: RejoinInput): RejoinVerdict {
  switch (footprint.state) {
    case 'empty':
      return { how: 'clone', why: 'its data directory is empty' };
    case 'foreign':
      return { how: 'refuse', why: `its data directory holds no database of this group (${footprint.found}): it is not overwritten` };
    case 'torn':
      return { how: 'clone', why: `a ${footprint.by} was not finished` };
    case 'data':
      break;
  }
  if (footprint.systemId !== upstream.systemId) {
    return { how: 'refuse', why: `its database is another system (${footprint.systemId}) than the upstream's (${upstream.systemId}): it is not overwritten` };
  }
  if (stuck !== undefined) return { how: 'clone', why: stuck };
  const rewind = (why: string): RejoinVerdict =>
    ownHints ? { how: 'rewind', why } : { how: 'clone', why: `${why}, and without checksums or wal_log_hints it cannot be rewound` };
  const timeline = Math.max(footprint.timeline, endOfLog?.timeline ?? 0);
  if (timeline === upstream.timeline) {
    if (footprint.standby) return { how: 'nothing', why: `it is a standby's copy on the upstream's timeline ${timeline}` };
    return { how: 'clone', why: `it was a primary on the upstream's own timeline ${timeline}: the two cannot be told apart by their logs` };
  }
  if (timeline > upstream.timeline) return rewind(`it is on timeline ${timeline}, which the upstream (on ${upstream.timeline}) does not have`);
  const fork = upstream.forks.find((past) => past.timeline === timeline);
  if (fork === undefined) return rewind(`its timeline ${timeline} is not in the upstream's history`);
  if (endOfLog === undefined || endOfLog.timeline !== timeline) return rewind(`where its log ends on timeline ${timeline} is not known`);
  if (compareLsn(endOfLog.lsn, fork.endLsn) > 0)
    return rewind(`its log goes on to ${endOfLog.lsn}, past ${fork.endLsn}, where the upstream left timeline ${timeline}`);
  return {
    how: footprint.standby ? 'nothing' : 'follow',
    why: `its log ends at ${endOfLog.lsn}, not past ${fork.endLsn}, where the upstream left timeline ${timeline}`,
  };
}
