import { log } from '@temporalio/workflow';
import type { IncidentOutcome } from '../src/model/incident.ts';
import { decideEnd } from './ends.ts';
import type { GroupRun } from './group-run.ts';
import { decidingIncident, outcomeWords } from './group-state.ts';
import { nextEpoch } from './incidents.ts';
import { offerPrimary, offerStandby } from './offers.ts';
import { givenBackAnew, standbysAfterRefusal } from './patches.ts';
import { heedPerhaps } from './perhaps.ts';

const RETRY_AFTER_NOBODY_MS = 30_000;

/** An incident has ended: what follows for the members that it has frozen, and for the old primary? */
export function heedOutcome(run: GroupRun, id: string, outcome: IncidentOutcome): void {
  const { state } = run;
  const promoted = (state.incidents.find((line) => line.id === id)?.epoch ?? 0) <= state.epoch;
  state.incidents = state.incidents.map((line) => (line.id === id ? { ...line, outcome: outcomeWords(outcome), endedAtMs: Date.now() } : line));
  run.waitingWords = undefined;
  log.info('incident ended', { id, outcome });
  if (promoted) {
    // Roles were given when the promotion was told; what is missing now is the rest of what it had to do for clients.
    if (outcome.outcome !== 'done') state.publishing = true;
    return;
  }
  // Another incident decides by now: whatever this one leaves to do is that one's.
  if (decidingIncident(state) !== undefined) return;
  if (outcome.outcome === 'failed' && outcome.perhaps !== undefined) {
    heedPerhaps(run, outcome.perhaps, outcome.words);
    return;
  }
  if (outcome.outcome === 'restarted') {
    state.restartsTried += 1;
    state.due.restart = Date.now() + state.spec.policy.restartWithinMs;
  }
  if (outcome.outcome === 'nobody-fit' || outcome.outcome === 'failed') state.due.retry = Date.now() + RETRY_AFTER_NOBODY_MS;
  // A member that has seen a later epoch would refuse this one: the primary goes on at an epoch above all of them.
  const anew = someoneSawLater(run) || (outcome.outcome === 'given-back' && givenBackAnew());
  if (anew) {
    state.epoch = nextEpoch(run);
    state.publishing = true;
  }
  const meanwhile = run.endedMeanwhile;
  if (outcome.outcome === 'refused' && meanwhile !== undefined) {
    // Nothing has been done about it yet: it is an end like any other.
    decideEnd(run, meanwhile);
    if (decidingIncident(state) === undefined && standbysAfterRefusal()) offerToIdle(run);
    return;
  }
  if (state.primary !== null && run.roles.holds(state.primary) !== 'primary') offerPrimary(run, { ...patienceAfter(run, outcome) });
  else if (anew) offerPrimary(run, { patient: false });
  // What was refused touched nobody; everything else has frozen or repointed some.
  for (const { name } of state.spec.members) {
    if (name !== state.primary && (anew || outcome.outcome !== 'refused' || run.roles.holds(name) !== 'standby'))
      offerStandby(run, name, state.primary ?? name, state.epoch);
  }
}

/** What was due while the incident was open was let go of for it. */
function offerToIdle(run: GroupRun): void {
  const { state } = run;
  for (const { name } of state.spec.members) {
    if (name !== state.primary && run.roles.holds(name) !== 'standby' && !run.standbyDue.has(name)) offerStandby(run, name, state.primary ?? name, state.epoch);
  }
}

/**
 * How long the old primary is waited for. Where only a person's word or the next try is to come, without limit; else an order that nobody takes up
 * means what a lost lease means, later each time that the primary was seen to live.
 */
function patienceAfter(run: GroupRun, { outcome }: IncidentOutcome): { patient: boolean; longer?: number } {
  switch (outcome) {
    case 'nobody-fit':
    case 'failed':
    case 'observed':
    case 'not-approved':
      return { patient: true };
    case 'primary-lives': {
      const others = run.state.incidents.toReversed().findIndex((line) => !line.outcome.startsWith('primary-lives'));
      return { patient: false, longer: 2 ** Math.max(0, Math.min(10, (others < 0 ? run.state.incidents.length : others) - 1)) };
    }
    default:
      return { patient: false };
  }
}

function someoneSawLater(run: GroupRun): boolean {
  return Object.values(run.state.members).some((view) => view.epoch > run.state.epoch);
}
