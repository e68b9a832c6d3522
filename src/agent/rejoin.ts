import type { DatabaseDriver, UpstreamHistory } from '../database/driver.ts';
import { decideRejoin } from '../decide/rejoin.ts';
import { UnderstudyError } from '../model/error.ts';
import { compareLsn, type Lsn } from '../model/lsn.ts';
import type { Footprint, Upstream } from '../model/member.ts';
import type { RolePhase } from '../model/role.ts';
import { pause } from './member.ts';

const UPSTREAM_PAUSE_MS = 200;
const REWIND_TRIES = 2;
const CLONE_TRIES = 3;

export interface RejoinParts {
  readonly driver: DatabaseDriver;
  readonly member: string;
  readonly upstream: Upstream;
  readonly signal: AbortSignal;
  readonly enter: (phase: RolePhase, words: string) => void;
}

/**
 * Brings a stopped member to where it can start as a standby of `upstream`: nothing, a rewind, or a clone, in that order (protocol 7).
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
  });
  switch (verdict.how) {
    case 'refuse':
      throw new UnderstudyError('ForeignDatabase', `${parts.member}: ${verdict.why}`, { footprint });
    case 'nothing':
    case 'follow':
      return;
    case 'rewind':
      enter('rewinding', verdict.why);
      if (await rewindWithin(parts)) return;
      await cloneWithin(parts, 'the rewind cannot help');
      return;
    case 'clone':
      await cloneWithin(parts, verdict.why);
  }
}

/** Whether a running standby stands past the place where its timeline ended on the upstream: it can never stream again. */
export async function hasDiverged(ask: { driver: DatabaseDriver; upstream: Upstream; timeline: number; lsn: Lsn; signal: AbortSignal }): Promise<boolean> {
  try {
    const history = await ask.driver.history(ask.upstream, ask.signal);
    const fork = history.forks.find(({ timeline }) => timeline === ask.timeline);
    return fork !== undefined && compareLsn(ask.lsn, fork.endLsn) > 0;
  } catch (error) {
    // An upstream that does not answer says nothing about this member (I3).
    if (error instanceof UnderstudyError && error.retryable) return false;
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

async function cloneWithin({ driver, upstream, signal, enter }: RejoinParts, why: string): Promise<void> {
  enter('cloning', why);
  for (let attempt = 1; ; attempt += 1) {
    try {
      await driver.clone(upstream, signal, (words) => enter('cloning', words));
      return;
    } catch (error) {
      if (!(error instanceof UnderstudyError) || error.code !== 'CloneFailed' || signal.aborted || attempt >= CLONE_TRIES) throw error;
      enter('cloning', `clone ${attempt} of ${CLONE_TRIES} failed: ${error.message}`);
      await pause(UPSTREAM_PAUSE_MS * attempt);
    }
  }
}
