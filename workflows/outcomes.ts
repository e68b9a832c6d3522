import { log } from '@temporalio/workflow';
import { DAY_MS } from '../src/decide/hold.ts';
import type { IncidentOutcome } from '../src/model/incident.ts';
import { decideEnd } from './ends.ts';
import type { GroupRun } from './group-run.ts';
import { outcomeWords, takeOver } from './group-state.ts';
import { beginFailover, nextEpoch } from './incidents.ts';
import { offerPrimary, offerStandby, offerStandbys } from './offers.ts';
import { perhapsPublished } from './patches.ts';

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
  const anew = someoneSawLater(run);
  if (anew) {
    state.epoch = nextEpoch(run);
    state.publishing = true;
  }
  const meanwhile = run.endedMeanwhile;
  if (outcome.outcome === 'refused' && meanwhile !== undefined) {
    // Nothing has been done about it yet: it is an end like any other.
    decideEnd(run, meanwhile);
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

/** Whoever fell silent while it was being opened counts as the lost primary of that epoch: only its lease and the quarantine prove its end. */
function heedPerhaps(
  run: GroupRun,
  { member, epoch, rule, electable }: NonNullable<Extract<IncidentOutcome, { outcome: 'failed' }>['perhaps']>,
  words: string,
): void {
  const { state } = run;
  state.epoch = epoch;
  state.highestEpoch = Math.max(state.highestEpoch, epoch);
  state.primary = member;
  state.fork = undefined;
  takeOver(state, { inForce: rule, electable });
  // Should it turn out to live, clients must find it.
  state.publishing ||= perhapsPublished();
  // It may have been one: it counts among those that the policy limits.
  state.lastFailoverAtMs = Date.now();
  state.failoversAtMs = [...state.failoversAtMs.filter((atMs) => atMs > Date.now() - DAY_MS), Date.now()];
  offerStandbys(run);
  beginFailover(run, { cause: { kind: 'lease-expired', words, knownAtMs: Date.now() }, fencedBy: 'lease' }, undefined, true);
}
