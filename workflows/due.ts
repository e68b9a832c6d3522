import { log } from '@temporalio/workflow';
import type { GroupRun } from './group-run.ts';
import { decidingIncident, primaryOpen, primaryTaken, type Loss } from './group-state.ts';
import { holdNow, liftHold, takeAway } from './incidents.ts';
import { offerPrimary, offerStandby } from './offers.ts';
import { rollDueMs } from './roll.ts';

/** Does what is due by now. */
export function heedClock(run: GroupRun): void {
  const { state } = run;
  const now = Date.now();
  // While an incident may promote somebody, its own orders follow: an old one would wake a member that it has frozen, or another primary.
  if (decidingIncident(state) !== undefined) {
    state.due = {};
    run.standbyDue.clear();
  }
  for (const [name, dueMs] of run.standbyDue) if (dueMs <= now) offerStandby(run, name, state.primary ?? name, state.epoch);
  if (isDue(state.due.offer)) {
    delete state.due.offer;
    // Where the next try has its time already, or a person's word is waited for, silence is no news.
    offerPrimary(run, { patient: state.held !== undefined || state.due.retry !== undefined });
  }
  if (isDue(state.due.restart)) {
    delete state.due.restart;
    if (!primaryOpen(state) && state.lastLoss !== undefined && state.electable.length > 0) giveUpStarting(run, state.lastLoss);
  }
  if (isDue(state.due.retry)) {
    delete state.due.retry;
    if (!primaryTaken(state) && state.lastLoss !== undefined) takeAway(run, state.lastLoss);
  }
  if (state.held?.untilMs !== undefined && state.held.untilMs <= now) liftHold(run);
  if (state.paused?.untilMs !== undefined && state.paused.untilMs <= now) state.paused = undefined;
  const relaxAtMs = relaxDueMs(run);
  if (relaxAtMs !== undefined && relaxAtMs <= now) {
    state.relaxed = true;
    log.warn('no standby is left: the commit rule is relaxed as the policy says', { group: state.spec.name });
  }

  function isDue(dueMs: number | undefined): boolean {
    return dueMs !== undefined && dueMs <= now;
  }
}

/** The start in place takes too long. Where nobody may be promoted without a person or a pause, it is all that there is: it is let go on. */
function giveUpStarting(run: GroupRun, loss: Loss): void {
  const { due, spec } = run.state;
  const hold = holdNow(run);
  if (hold.held) {
    if (hold.untilMs !== undefined) due.restart = hold.untilMs;
  } else if (spec.policy.mode === 'automatic' && spec.policy.approval === 'none') takeAway(run, loss);
}

function relaxDueMs(run: GroupRun): number | undefined {
  const { durability } = run.state.spec;
  if (
    durability.mode !== 'sync' ||
    durability.relaxAfterMs === undefined ||
    run.state.relaxed ||
    run.state.aloneSinceMs === undefined ||
    !primaryOpen(run.state)
  )
    return undefined;
  return run.state.aloneSinceMs + durability.relaxAfterMs;
}

/** When something is due next, milliseconds since 1970; undefined where nothing is. */
export function nextDueMs(run: GroupRun): number | undefined {
  const { due, held, paused } = run.state;
  const all = [
    due.offer,
    due.restart,
    due.retry,
    held?.untilMs,
    paused?.untilMs,
    relaxDueMs(run),
    run.rules.againAtMs,
    rollDueMs(run),
    ...run.standbyDue.values(),
  ].filter((at) => at !== undefined);
  return all.length === 0 ? undefined : Math.min(...all);
}
