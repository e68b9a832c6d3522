import { DAY_MS } from '../src/decide/hold.ts';
import type { MemberNews } from '../src/model/act.ts';
import { wake, type GroupRun } from './group-run.ts';
import { decidingIncident, leftAlone, primaryTaken, takeOver, type MemberView } from './group-state.ts';
import { takeAway } from './incidents.ts';
import type { ElectedWord, PromotedWord } from './messages.ts';
import { nextTurn, offerElected, offerPrimary, offerStandby, rejoinSoon } from './offers.ts';
import { roleAtElection, standbyOfferedAgain } from './patches.ts';

/** From a member's agent: what has changed there. */
export function hearNews(run: GroupRun, word: MemberNews): void {
  const { state } = run;
  // Whatever a signal may carry.
  const view = state.members[word?.member];
  if (view === undefined || !(word.turn >= view.turn)) return;
  view.phase = word.phase;
  if (word.words === undefined) delete view.words;
  else view.words = word.words;
  if (word.following !== undefined) view.following = word.following;
  if (word.role === 'standby' && word.phase === 'following') run.standbyFailures.delete(word.member);
  if (word.unfed === true) run.inbox.push(() => heedUnfed(run));
  if (word.member === state.primary && word.phase === 'open') {
    state.systemId ??= word.systemId;
    heedOpen(run, view);
  }
  wake(run);
}

/** A primary that no heartbeat reaches us from was left alone because its standbys were fed: that is over, and is looked at anew. */
function heedUnfed(run: GroupRun): void {
  const { state } = run;
  if (leftAlone(state) && !primaryTaken(state) && state.lastLoss !== undefined && decidingIncident(state) === undefined && state.after === undefined)
    takeAway(run, state.lastLoss);
}

/** The others are pointed at the winner while it is being promoted: what they have received is no more than it has. */
export function hearElected(run: GroupRun, word: ElectedWord): void {
  const { state } = run;
  const { member, epoch } = word;
  state.highestEpoch = Math.max(state.highestEpoch, epoch);
  // One that an earlier life of this group began may still be at work: whom it promotes is heard, but nobody is moved on its mere intention.
  if (decidingIncident(state)?.id !== word.incident) return;
  run.elected = word;
  run.inbox.push(() => {
    // It is promoted by its incident: whatever becomes of the role that it lets go of is no news.
    run.roles.forget(member);
    run.standbyDue.delete(member);
    const view = state.members[member];
    // From its order to promote on it refuses every epoch before, whether it is promoted or not.
    if (view !== undefined) state.members[member] = { ...view, epoch, turn: nextTurn(run) };
    if (roleAtElection()) offerElected(run, word);
    for (const { name } of state.spec.members) {
      if (name !== member && name !== state.primary) offerStandby(run, name, member, epoch);
    }
  });
}

/** Its database stands still, which would keep it from answering the next election. */
export function hearRefused(run: GroupRun, { member, epoch }: { member: string; epoch: number }): void {
  run.inbox.push(() => {
    const { state } = run;
    if (decidingIncident(state) !== undefined && epoch > state.epoch && member !== state.primary) offerStandby(run, member, state.primary ?? member, epoch);
  });
}

/** Who is the primary now: everybody gets a role of its epoch. */
export function hearPromoted(run: GroupRun, word: PromotedWord): void {
  run.inbox.push(() => {
    const { state } = run;
    if (word.epoch <= state.epoch) return;
    const before = state.primary;
    run.waitingWords = undefined;
    state.epoch = word.epoch;
    state.highestEpoch = Math.max(state.highestEpoch, word.epoch);
    state.primary = word.member;
    state.fork = word.fork === undefined ? undefined : { ...word.fork, to: word.timeline };
    takeOver(state, word);
    if (state.incidents.find(({ id }) => id === word.incident)?.kind === 'failover') {
      state.lastFailoverAtMs = Date.now();
      state.failoversAtMs = [...state.failoversAtMs.filter((atMs) => atMs > Date.now() - DAY_MS), Date.now()];
      state.override = false;
    }
    const taken = state.members[word.member];
    if (run.roles.holds(word.member) !== 'primary' || taken?.epoch !== word.epoch) offerPrimary(run, { patient: false });
    else if (taken.phase === 'open') heedOpen(run, taken);
    for (const { name } of state.spec.members) {
      const view = state.members[name];
      if (name === word.member) continue;
      // Its role may have ended since the election gave it, and nobody heeds that while an incident decides.
      const given = view?.role === 'standby' && view.epoch === word.epoch;
      if (given && (run.roles.holds(name) === 'standby' || !standbyOfferedAgain())) continue;
      if (name !== before) offerStandby(run, name, word.member, word.epoch);
      else rejoinSoon(run, name);
    }
  });
}

function heedOpen(run: GroupRun, view: MemberView): void {
  const { state } = run;
  state.founding = false;
  state.perhaps = undefined;
  if (state.held !== undefined) state.override = false;
  state.held = undefined;
  state.stopped = undefined;
  state.lastLoss = undefined;
  state.due = {};
  state.openSinceMs ??= Date.now();
  if (state.formerLease !== undefined && state.formerLease.untilMs === undefined)
    state.formerLease = { ...state.formerLease, untilMs: Date.now() + state.formerLease.leaseMs };
  state.aloneSinceMs = (view.following ?? []).length > 0 ? undefined : (state.aloneSinceMs ?? Date.now());
  if (state.aloneSinceMs === undefined) state.relaxed = false;
}
