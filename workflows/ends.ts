import { log } from '@temporalio/workflow';
import { decideLoss, type RoleEnd } from '../src/decide/loss.ts';
import type { GroupRun } from './group-run.ts';
import { decidingIncident, leftAlone, type Loss } from './group-state.ts';
import { beginFailover } from './incidents.ts';
import { leaveAlone, nextTurn, OFFER_AGAIN_AT_MOST_MS, OFFER_AGAIN_MS, offerPrimary, offerPrimaryLater, offerStandby, othersThan } from './offers.ts';
import { lookWhetherOvertaken } from './overtaken.ts';
import { leftAloneQuietly, offersSpaced, overtakenAsked } from './patches.ts';
import { undoPerhaps } from './perhaps.ts';
import type { Ended } from './roles.ts';

/** A primary that was open for so long has come back: what it took to bring it back is not held against it at the next end. */
const STEADY_AFTER_MS = 60_000;

/** A role has ended: what follows? */
export function heedEnd(run: GroupRun, ended: Ended): void {
  // Another run of this group has shown it to that member: the next incident goes above it, and takes the member along.
  const seen = ended.seenEpoch ?? 0;
  const unheardOf = seen > run.state.highestEpoch;
  run.state.highestEpoch = Math.max(run.state.highestEpoch, seen);
  if (unheardOf && ended.kind === 'standby' && decidingIncident(run.state) === undefined && overtakenAsked()) void lookWhetherOvertaken(run, seen);
  const view = run.state.members[ended.member];
  if (view !== undefined) {
    view.lastEnd = 'words' in ended.end ? `${ended.end.end}: ${ended.end.words}` : ended.end.end;
    view.phase = ended.end.end === 'silent' || ended.end.end === 'timed-out' ? 'silent' : 'waiting';
    delete view.following;
    // News of the role that has ended may still be on its way, and is none.
    view.turn = nextTurn(run);
  }
  if (ended.kind === 'standby') heedStandbyEnd(run, ended);
  else if (ended.member === run.state.primary) heedPrimaryEnd(run, ended.end);
}

function heedStandbyEnd(run: GroupRun, { member, end }: Extract<Ended, { kind: 'standby' }>): void {
  const { state } = run;
  // In an incident its own orders follow, at its end at the latest; what was let go of for them is no news.
  if (decidingIncident(state) !== undefined) return;
  if (end.end === 'silent' || end.end === 'paused') {
    log.warn("a standby's role ended", { member, ...end });
    offerStandby(run, member, state.primary ?? member, state.epoch);
    return;
  }
  const failures = (run.standbyFailures.get(member) ?? 0) + 1;
  run.standbyFailures.set(member, failures);
  log.warn("a standby's role ended", { member, failures, ...end });
  run.standbyDue.set(member, Date.now() + Math.min(OFFER_AGAIN_MS * 2 ** (failures - 1), OFFER_AGAIN_AT_MOST_MS));
}

function heedPrimaryEnd(run: GroupRun, end: RoleEnd | { end: 'taken-back' }): void {
  const { state } = run;
  const { after } = state;
  if (state.openSinceMs !== undefined && Date.now() - state.openSinceMs > STEADY_AFTER_MS) state.restartsTried = 0;
  state.openSinceMs = undefined;
  // An order that nobody had taken up is no fence, and undoes none: what was known before it still holds. One that was taken up may have opened.
  const taken = end.end !== 'taken-back' && !(end.end === 'timed-out' && end.kind === 'not-taken-up');
  if (after !== undefined) {
    state.after = undefined;
    beginFailover(
      run,
      taken ? { cause: after.loss.cause, fencedBy: end.end === 'fenced' ? 'agent' : 'lease', endedAtMs: Date.now(), ...lastAfter(run, end) } : after.loss,
      after.ask,
    );
    return;
  }
  if (end.end === 'taken-back') return;
  if (decidingIncident(state) === undefined) {
    decideEnd(run, end);
    return;
  }
  run.endedMeanwhile = end;
  if (taken) remember(run, end, 'words' in end ? end.words : 'its lease ran out while an incident was open');
}

/** A primary's role has ended, and no incident is open: what follows? */
export function decideEnd(run: GroupRun, end: RoleEnd): void {
  const { state } = run;
  if (end.end === 'fenced' && end.unpromoted === true && undoPerhaps(run)) return;
  const verdict = decideLoss({
    end,
    spec: state.spec,
    rule: state.recorded,
    standbys: othersThan(run, state.primary ?? '').map((name) => ({
      member: name,
      streaming: state.members[name]?.phase === 'following',
      electable: state.electable.includes(name) && !(name in state.excluded),
    })),
    restartsTried: state.restartsTried,
    nowMs: Date.now(),
  });
  log.warn("the primary's role ended", { member: state.primary, end, follow: verdict.follow });
  switch (verdict.follow) {
    case 'failover': {
      if (livesOutOfSight(run, end) && leftAloneQuietly()) {
        leaveAlone(run);
        return;
      }
      // Nobody was fit a moment ago, and this end tells nothing that could change it: the next try has its time.
      if (state.due.retry !== undefined && lastOf(end).last === undefined && offersSpaced()) {
        remember(run, end, verdict.cause.words);
        offerPrimaryLater(run);
        return;
      }
      const before = end.end === 'timed-out' && end.kind === 'not-taken-up' ? state.lastLoss : undefined;
      beginFailover(run, { cause: verdict.cause, fencedBy: before?.fencedBy ?? verdict.fencedBy, ...lastAfter(run, end) });
      return;
    }
    case 'restart':
      state.restartsTried += 1;
      state.due.restart = Date.now() + state.spec.policy.restartWithinMs;
      remember(run, end, verdict.words);
      offerPrimary(run, { patient: false });
      return;
    case 'offer-again':
      state.restartsTried += 1;
      remember(run, end, verdict.words);
      state.due.offer =
        Date.now() + (end.end === 'paused' || end.end === 'superseded' ? 0 : Math.min(OFFER_AGAIN_MS * 2 ** (state.restartsTried - 1), OFFER_AGAIN_AT_MOST_MS));
      return;
    case 'stop':
      state.stopped = verdict.words;
      log.error('the group has stopped: a person is needed', { group: state.spec.name, words: verdict.words });
  }
}

/**
 * An incident has seen that it lives, nothing has been heard of it since (an order that went down a broken connection counts as taken up), and everybody who
 * could be promoted in its place follows it.
 */
function livesOutOfSight({ state }: GroupRun, end: RoleEnd): boolean {
  const unheard = end.end === 'timed-out' && end.last === undefined && state.lastLoss !== undefined && leftAlone(state);
  return unheard && state.electable.every((name) => state.members[name]?.phase === 'following');
}

/** For a failover that follows when bringing the primary back does not help. */
function remember(run: GroupRun, end: RoleEnd, words: string): void {
  const fencedBy = end.end === 'fenced' ? 'agent' : 'lease';
  const kind = end.end === 'fenced' && end.cause !== 'asked' ? end.cause : end.end === 'fenced' ? 'not-started' : 'not-taken-up';
  run.state.lastLoss = { cause: { kind, words, knownAtMs: Date.now() }, fencedBy, ...lastAfter(run, end) };
}

/** Its last place: as its end tells it, or, where the order was never opened under, as it was known before. */
function lastAfter(run: GroupRun, end: RoleEnd | { end: 'taken-back' }): Pick<Loss, 'last'> {
  const { lastLoss } = run.state;
  const neverOpen = (end.end === 'timed-out' && end.kind === 'not-taken-up') || (end.end === 'fenced' && end.cause === 'not-started');
  return { ...(neverOpen && lastLoss?.last !== undefined ? { last: lastLoss.last } : {}), ...lastOf(end) };
}

function lastOf(end: RoleEnd | { end: 'taken-back' }): Pick<Loss, 'last'> {
  if (end.end === 'fenced' && end.lsn !== undefined) return { last: { lsn: end.lsn, ...(end.timeline === undefined ? {} : { timeline: end.timeline }) } };
  if (end.end === 'timed-out' && end.last?.lsn !== undefined)
    return { last: { lsn: end.last.lsn, ...(end.last.timeline === undefined ? {} : { timeline: end.last.timeline }) } };
  return {};
}
