import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import type { FenceProof, PassedTimeline, Promoted } from '../src/model/act.ts';
import type { CommitRule, GroupSpec } from '../src/model/group.ts';
import type { Lsn } from '../src/model/lsn.ts';
import { promotion } from './acts.ts';
import { silenceOf } from './ask.ts';
import type { IncidentLog } from './incident-log.ts';

/** The database itself may need long to leave recovery: what is queued for replay comes first. */
const PROMOTE_LIMIT_MS = 60_000;

export interface Opening {
  readonly spec: GroupSpec;
  readonly member: string;
  readonly epoch: number;
  readonly proof: FenceProof;
  readonly rule: CommitRule;
  readonly electable: readonly string[];
  readonly fromLsn: Lsn;
  readonly passed?: PassedTimeline;
  readonly log: IncidentLog;
}

export interface OpenFailed {
  /** `refused`: its agent said so, and has stopped what it began. `silent`: nothing was heard of it any more. */
  readonly failed: 'refused' | 'silent';
  /** Whether it may have taken writes. */
  readonly openedPerhaps: boolean;
  readonly words: string;
}

/** Opens an elected member for writes at a new epoch: its lease, its quarantine and its promotion are one act of its agent. */
export async function openOn({ spec, member, epoch, proof, rule, electable, fromLsn, passed, log }: Opening): Promise<Promoted | OpenFailed> {
  const end = log.step('promote', member);
  const act = promotion(spec.name, member, {
    id: `promote/${member}/${epoch}`,
    summary: `open ${member} for writes, epoch ${epoch}`,
    leaseMs: spec.leaseMs,
    limitMs: PROMOTE_LIMIT_MS + spec.leaseMs,
  });
  try {
    const others = spec.members.map(({ name }) => name).filter((name) => name !== member);
    const opened = await act.promote({
      group: spec.name,
      member,
      epoch,
      leaseMs: spec.leaseMs,
      proof,
      rule,
      electable,
      others,
      fromLsn,
      ...(passed === undefined ? {} : { passed }),
      limitMs: PROMOTE_LIMIT_MS,
    });
    const waited = opened.quarantineMs > 0 ? `, after ${Math.round(opened.quarantineMs)} ms of quarantine` : '';
    end(opened.outcome === 'already' ? 'already' : 'done', `timeline ${opened.timeline} from ${opened.lsn}, ${Math.round(opened.promoteMs)} ms${waited}`);
    return opened;
  } catch (error) {
    if (isCancellation(error)) throw error;
    const words = silenceOf(error);
    if (words === undefined) throw error;
    end('failed', words);
    const timeout = error instanceof ActivityFailure && error.cause instanceof TimeoutFailure ? error.cause.timeoutType : undefined;
    const code = error instanceof ActivityFailure && error.cause instanceof ApplicationFailure ? error.cause.type : undefined;
    // An agent that could not ask its guard cannot know that it has stopped what it began.
    if (code === 'GuardUnreachable') return { failed: 'silent', openedPerhaps: true, words };
    if (timeout === undefined) return { failed: 'refused', openedPerhaps: false, words };
    return { failed: 'silent', openedPerhaps: timeout !== 'SCHEDULE_TO_START', words };
  }
}
