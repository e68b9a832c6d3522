import { ActivityFailure, isCancellation, log } from '@temporalio/workflow';
import { refuseSwitchover } from '../src/decide/operator.ts';
import { explainRoll, nextRollStep, orderOfRoll, type RollAsk, type RollStep } from '../src/decide/roll.ts';
import { rollId } from '../src/model/name.ts';
import type { Roll } from '../src/model/status.ts';
import { member } from './acts.ts';
import { silenceOf } from './ask.ts';
import { statusForOperators, statusNow, wake, type GroupRun } from './group-run.ts';
import { beginSwitchover } from './incidents.ts';
import { decidingIncident } from './group-state.ts';
import { nextTurn, offerStandby } from './offers.ts';

/** Until a standby answers again it may have much to replay. */
const RESTART_LIMIT_MS = 15 * 60_000;

/** Begins to restart every member's database in turn. It is part of the group's state, so that it outlives runs and workers. */
export function beginRoll(run: GroupRun, { by, reason, members }: RollAsk): string {
  const { state } = run;
  const id = rollId(state.spec.name, nextTurn(run));
  state.roll = { id, by, reason, startedAtMs: Date.now(), incidents: [], left: orderOfRoll(state.spec, state.primary ?? '', members), done: [] };
  log.info('roll begins', { id, by, left: state.roll.left });
  return id;
}

/** Takes every step of the roll that can be taken now. */
export function heedRoll(run: GroupRun): void {
  for (let again = true; again;) {
    const { roll } = run.state;
    if (roll === undefined) return;
    const step = stepOf(run, roll);
    again = step.step === 'member-done' || step.step === 'handed-over';
    take(run, roll, step);
  }
}

/** When a wait of the roll is over, milliseconds since 1970. */
export function rollDueMs(run: GroupRun): number | undefined {
  const { roll } = run.state;
  const step = roll === undefined ? undefined : stepOf(run, roll);
  return step?.step === 'wait' ? step.untilMs : undefined;
}

function stepOf(run: GroupRun, roll: Roll): RollStep {
  return nextRollStep({ roll, spec: run.state.spec, status: statusNow(run), nowMs: Date.now() });
}

function take(run: GroupRun, roll: Roll, step: RollStep): void {
  const { state } = run;
  const atMs = Date.now();
  switch (step.step) {
    case 'none':
    case 'wait':
      return;
    case 'restart':
      state.roll = { ...roll, now: { act: 'restart', member: step.member, sinceMs: atMs } };
      void restartOne(run, roll, step.member);
      return;
    case 'switchover': {
      const ask = { by: roll.by, reason: `${roll.id}: ${roll.reason}`, to: step.to };
      const refused = refuseSwitchover(ask, { spec: state.spec, status: statusForOperators(run), nowMs: atMs });
      if (refused !== undefined) {
        stop(run, roll, `the switchover to ${step.to} was refused (${refused.rule}): ${refused.words}`);
        return;
      }
      const incident = beginSwitchover(run, ask);
      state.roll = { ...roll, incidents: [...roll.incidents, incident], now: { act: 'switchover', member: step.member, to: step.to, sinceMs: atMs, incident } };
      return;
    }
    case 'handed-over':
      state.roll = {
        ...roll,
        now: { act: 'follow', member: step.member, sinceMs: atMs, words: `${roll.now?.incident}: handed its role to ${roll.now?.to}, and came back` },
      };
      return;
    case 'member-done': {
      const { now: _, ...rest } = roll;
      state.roll = { ...rest, left: roll.left.filter((name) => name !== step.member), done: [...roll.done, { member: step.member, words: step.words, atMs }] };
      log.info('roll: a member is done', { id: roll.id, member: step.member, words: step.words });
      return;
    }
    case 'done': {
      state.roll = { ...roll, ended: { outcome: 'done', words: step.words, atMs } };
      log.info('roll is done', { id: roll.id, words: step.words });
      return;
    }
    case 'stop':
      stop(run, roll, step.words);
  }
}

function stop(run: GroupRun, roll: Roll, words: string): void {
  run.state.roll = { ...roll, ended: { outcome: 'stopped', words, atMs: Date.now() } };
  log.warn('roll has stopped: a person is needed', { id: roll.id, words, state: explainRoll(run.state.roll) });
}

async function restartOne(run: GroupRun, { id, reason }: Roll, name: string): Promise<void> {
  const { spec, epoch } = run.state;
  const view = run.state.members[name];
  // Whatever it said of itself before is no word on how it is after.
  if (view !== undefined) view.phase = 'starting';
  const act = member(spec.name, name, {
    id: `restart/${name}/${epoch}/${nextTurn(run)}`,
    summary: `${name} restarts: ${reason}`.slice(0, 180),
    startWithinMs: spec.policy.answerWithinMs + spec.leaseMs,
    limitMs: spec.policy.stopWithinMs + RESTART_LIMIT_MS,
  });
  let heard: { words: string; failed: boolean };
  try {
    const { from, to, tookMs } = await act.restart({ group: spec.name, member: name, epoch, limitMs: RESTART_LIMIT_MS, why: id });
    heard = { words: `${from === to ? `${to} again` : `${from} -> ${to}`}, ${Math.round(tookMs)} ms`, failed: false };
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    heard = { words: `${name} was not restarted: ${silenceOf(error) ?? error.message}`, failed: true };
  }
  const { roll } = run.state;
  if (roll?.id !== id || roll.now?.act !== 'restart') return;
  const { now: _, ...rest } = roll;
  if (heard.failed) {
    stop(run, rest, heard.words);
    // However far it came: under a new order it says anew how it is.
    if (decidingIncident(run.state) === undefined && name !== run.state.primary) offerStandby(run, name, run.state.primary ?? name, run.state.epoch);
  } else run.state.roll = { ...roll, now: { act: 'follow', member: name, sinceMs: Date.now(), words: heard.words } };
  wake(run);
}
