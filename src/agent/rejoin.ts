import type { DatabaseDriver, UpstreamHistory } from '../database/driver.ts';
import { decideRejoin, judgeStanding, type Standing } from '../decide/rejoin.ts';
import { UnderstudyError } from '../model/error.ts';
import type { Lsn } from '../model/lsn.ts';
import type { Footprint, Upstream } from '../model/member.ts';
import type { RolePhase } from '../model/role.ts';
import { pause } from './member.ts';

const UPSTREAM_PAUSE_MS = 200;
const REWIND_TRIES = 2;
const CLONE_TRIES = 3;
/** After that many it is shown as stuck, and tried again after this, doubled each time up to the limit. */
const STUCK_PAUSE_MS = 10_000;
const STUCK_PAUSE_AT_MOST_MS = 10 * 60_000;

export interface RejoinParts {
  readonly driver: DatabaseDriver;
  readonly member: string;
  readonly upstream: Upstream;
  readonly signal: AbortSignal;
  readonly enter: (phase: RolePhase, words: string) => void;
  /** Following as it is was tried, and cannot help: why. Only a copy can. */
  readonly stuck?: string;
}

/**
 * Brings a stopped member to where it can start as a standby of `upstream`: nothing, a rewind, or a clone, in that order (protocol 7). A rewind that
 * fails gives way to a clone; a clone that fails is tried again, first soon, then for as long as this member has the role, ever more seldom and shown
 * as stuck: what is in its way (a full disk, an upstream that refuses) may go away, and nothing cheaper can help.
 *
 * @throws UnderstudyError `ForeignDatabase` where its directory holds another system: it is never overwritten
 */
export async function rejoin(parts: RejoinParts): Promise<void> {
  const { driver, signal, enter } = parts;
  const footprint = await driver.footprint(signal);
  const history = await askUpstream(parts, footprint);
  if (history === undefined) return;
  const verdict = decideRejoin({
    footprint,
    endOfLog: footprint.state === 'data' ? await driver.endOfLog(signal) : undefined,
    upstream: history,
    ownHints: true,
    ...(parts.stuck === undefined ? {} : { stuck: parts.stuck }),
  });
  switch (verdict.how) {
    case 'refuse':
      throw new UnderstudyError('ForeignDatabase', `${parts.member}: ${verdict.why}`, { footprint });
    case 'nothing':
    case 'follow':
      await claimSlot(parts);
      return;
    case 'rewind':
      enter('rewinding', verdict.why);
      if (await rewindWithin(parts)) {
        await claimSlot(parts);
        return;
      }
      await cloneWithin(parts, 'the rewind cannot help');
      return;
    case 'clone':
      await cloneWithin(parts, verdict.why);
  }
}

/** Where the upstream does not answer now, it is asked again if the member then receives nothing. */
async function claimSlot({ driver, upstream, signal }: RejoinParts): Promise<void> {
  try {
    await driver.claimSlot(upstream, signal);
  } catch (error) {
    if (!(error instanceof UnderstudyError) || !error.retryable) throw error;
  }
}

/**
 * Whether a running standby that receives nothing can never stream again as it is. On the way its slot is put right, which may have been what it lacked.
 */
export async function cannotFollow(ask: {
  readonly driver: DatabaseDriver;
  readonly upstream: Upstream;
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly before: Lsn | undefined;
  readonly signal: AbortSignal;
}): Promise<Standing> {
  try {
    const { driver, upstream, timeline, lsn, before, signal } = ask;
    const standing = judgeStanding({ timeline, lsn, before, upstream: await driver.history(upstream, signal) });
    if (standing === undefined) await driver.claimSlot(upstream, signal);
    return standing;
  } catch (error) {
    // An upstream that does not answer says nothing about this member (I3).
    if (error instanceof UnderstudyError && error.retryable) return undefined;
    throw error;
  }
}

/**
 * The upstream's history, waited for. Undefined where it is not needed: a standby's copy may start before its upstream is promoted, as
 * it will meet the new timeline there.
 */
async function askUpstream(parts: RejoinParts, footprint: Footprint): Promise<UpstreamHistory | undefined> {
  const { driver, upstream, signal, enter } = parts;
  for (;;) {
    try {
      const history = await driver.history(upstream, signal);
      if (history.writable && history.checkpointed) return history;
      enter(
        'starting',
        `${upstream.member} is not ready to be followed: ${history.writable ? 'its checkpoint after promotion is not done' : 'it is not promoted yet'}`,
      );
    } catch (error) {
      if (!(error instanceof UnderstudyError) || !error.retryable) throw error;
      if (footprint.state === 'data' && footprint.standby) return undefined;
      enter('starting', `waiting for ${upstream.member}: ${error.message}`);
    }
    if (signal.aborted)
      throw new UnderstudyError('DatabaseUnreachable', `${parts.member} was told to do something else while it waited for ${upstream.member}`);
    await pause(UPSTREAM_PAUSE_MS, signal);
  }
}

async function rewindWithin({ driver, upstream, signal, enter }: RejoinParts): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { outcome } = await driver.rewind(upstream, signal, (words) => enter('rewinding', words));
      return outcome === 'rewound';
    } catch (error) {
      if (!(error instanceof UnderstudyError) || error.code !== 'RewindFailed' || signal.aborted) throw error;
      if (attempt >= REWIND_TRIES) return false;
      enter('rewinding', `rewind ${attempt} of ${REWIND_TRIES} failed: ${error.message}`);
      await pause(UPSTREAM_PAUSE_MS);
    }
  }
}

async function cloneWithin({ driver, member, upstream, signal, enter }: RejoinParts, why: string): Promise<void> {
  enter('cloning', why);
  for (let attempt = 1; ; attempt += 1) {
    const stuck = attempt > CLONE_TRIES;
    try {
      await driver.clone(upstream, signal, (words) => enter(stuck ? 'stuck' : 'cloning', words));
      return;
    } catch (error) {
      if (!(error instanceof UnderstudyError) || error.code !== 'CloneFailed' || signal.aborted) throw error;
      const pauseMs = attempt < CLONE_TRIES ? UPSTREAM_PAUSE_MS * attempt : Math.min(STUCK_PAUSE_MS * 2 ** (attempt - CLONE_TRIES), STUCK_PAUSE_AT_MOST_MS);
      enter(
        attempt < CLONE_TRIES ? 'cloning' : 'stuck',
        `${member} cannot be made a standby: clone ${attempt} failed, the next is tried in ${Math.ceil(pauseMs / 1000)} s: ${error.message}`,
      );
      await pause(pauseMs, signal);
      if (signal.aborted) throw error;
    }
  }
}
