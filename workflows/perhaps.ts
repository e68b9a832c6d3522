import { log } from '@temporalio/workflow';
import { DAY_MS } from '../src/decide/hold.ts';
import type { IncidentOutcome } from '../src/model/incident.ts';
import type { GroupRun } from './group-run.ts';
import { takeOver } from './group-state.ts';
import { beginFailover, nextEpoch } from './incidents.ts';
import { offerPrimary, offerStandbys } from './offers.ts';
import { perhapsPublished } from './patches.ts';

type PerhapsOpened = NonNullable<Extract<IncidentOutcome, { outcome: 'failed' }>['perhaps']>;

/** Whoever fell silent while it was being opened counts as the lost primary of that epoch: only its lease and the quarantine prove its end. */
export function heedPerhaps(run: GroupRun, { member, epoch, rule, electable }: PerhapsOpened, words: string): void {
  const { state } = run;
  const { primary, fork, recorded, lastLoss } = state;
  const earlier = state.perhaps ?? [];
  const before = { primary, fork, recorded, lastLoss, electable: state.electable };
  state.epoch = epoch;
  state.highestEpoch = Math.max(state.highestEpoch, epoch);
  state.primary = member;
  state.fork = undefined;
  takeOver(state, { inForce: rule, electable });
  state.perhaps = [{ member, before }, ...earlier];
  // Should it turn out to live, clients must find it.
  state.publishing ||= perhapsPublished();
  // It may have been one: it counts among those that the policy limits.
  state.lastFailoverAtMs = Date.now();
  state.failoversAtMs = [...state.failoversAtMs.filter((atMs) => atMs > Date.now() - DAY_MS), Date.now()];
  offerStandbys(run);
  beginFailover(run, { cause: { kind: 'lease-expired', words, knownAtMs: Date.now() }, fencedBy: 'lease' }, undefined, true);
}

/**
 * The primary that was perhaps opened was seen not to be: what it holds is still a standby's, its promotion's lease is over, and every order of its epoch
 * but the role that has just ended with it. So the group goes on from where it was before that promotion: it knows how far the primary of then had come, which
 * nobody can say of one that fell silent.
 *
 * @returns false where nobody was perhaps opened: then a standby's copy under the primary's role is a fault like any other
 */
export function undoPerhaps(run: GroupRun): boolean {
  const { state } = run;
  const [last, ...earlier] = state.perhaps ?? [];
  if (last === undefined || last.member !== state.primary) return false;
  const { before, member } = last;
  log.info('a promotion that may have happened has not', { member, epoch: state.epoch, primary: before.primary });
  state.primary = before.primary;
  state.fork = before.fork;
  state.recorded = before.recorded;
  state.inForce = undefined;
  const names = state.spec.members.map(({ name }) => name);
  state.electable = before.electable.filter((name) => names.includes(name) && !(name in state.excluded));
  state.acknowledged = undefined;
  state.perhaps = earlier.length === 0 ? undefined : earlier;
  if (before.lastLoss !== undefined) {
    beginFailover(run, before.lastLoss, undefined, true);
    return true;
  }
  // A switchover's: its old primary stopped in order, and is whole.
  state.epoch = nextEpoch(run);
  state.publishing = true;
  offerPrimary(run, { patient: false });
  offerStandbys(run);
  return true;
}
