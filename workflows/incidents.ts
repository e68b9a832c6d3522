import { getExternalWorkflowHandle, isCancellation, log, ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import { decideHold, type Hold } from '../src/decide/hold.ts';
import type { FailoverAsk, SwitchoverAsk } from '../src/decide/operator.ts';
import type { Actor, Cause, Incident, IncidentOutcome } from '../src/model/incident.ts';
import { failoverWorkflowId, switchoverWorkflowId } from '../src/model/name.ts';
import type { Started } from '../src/model/operator.ts';
import { attributesAtStart } from './attributes.ts';
import { failover } from './failover.ts';
import { note, type GroupRun } from './group-run.ts';
import { leaseToWaitOut, primaryTaken, type Loss } from './group-state.ts';
import * as messages from './messages.ts';
import { knownSystem, offerPrimary, offerPrimaryLater } from './offers.ts';
import { lossAcceptedMeanwhile, offersSpaced } from './patches.ts';
import { isPublished } from './publish.ts';
import { switchover } from './switchover.ts';

const INCIDENTS_KEPT = 20;

/** Begins a failover, unless it is held back. `continuing`: it goes on with one that has ended without a word, and is not held back. */
export function beginFailover(run: GroupRun, loss: Loss, ask?: FailoverAsk, continuing = false): void {
  const { state } = run;
  state.lastLoss = loss;
  // What was to follow, had this not come: none of it may happen beside a promotion.
  state.due = {};
  state.after = undefined;
  if (ask === undefined && !continuing) {
    const hold = holdNow(run);
    if (hold.held) {
      log.warn('a failover is held back', { group: state.spec.name, rule: hold.rule, words: hold.words });
      const heldBefore = state.held !== undefined;
      state.held = { rule: hold.rule, words: hold.words, override: hold.override, loss, ...(hold.untilMs === undefined ? {} : { untilMs: hold.untilMs }) };
      // Meanwhile the same member may come back at the same epoch: that needs no promotion. One that cannot is not asked without a pause.
      if (heldBefore && offersSpaced()) offerPrimaryLater(run);
      else offerPrimary(run, { patient: true });
      return;
    }
  }
  state.held = undefined;
  if (state.primary !== null) run.roles.forget(state.primary);
  const epoch = nextEpoch(run);
  const actor: Actor = ask === undefined ? { kind: 'policy' } : { kind: 'person', name: ask.by, reason: ask.reason };
  const id = failoverWorkflowId(state.spec.name, epoch);
  noteIncident(run, id, 'failover', epoch, loss.cause.kind);
  const input = {
    ...incidentInput(run, epoch, loss, actor),
    fencedBy: ask?.fencedByHand === true ? ('person' as const) : loss.fencedBy,
    restartsTried: state.restartsTried,
    ...(state.fork === undefined ? {} : { fork: state.fork }),
    ...knownSystem(run),
    ...(ask?.to === undefined ? {} : { target: ask.to }),
    ...(ask?.acceptLoss === true ? { acceptLoss: { by: ask.by, reason: ask.reason } } : {}),
  };
  void followIncident(run, id, startChild(failover, { ...childOptions(run, id, 'failover', epoch, loss.cause), args: [input] }));
}

export function beginSwitchover(run: GroupRun, ask: SwitchoverAsk): string {
  const { state } = run;
  const epoch = nextEpoch(run);
  const id = switchoverWorkflowId(state.spec.name, epoch);
  const cause = { kind: 'operator' as const, words: `${ask.by} asked for a switchover: ${ask.reason}`, knownAtMs: Date.now() };
  noteIncident(run, id, 'switchover', epoch, 'operator');
  const input = {
    ...incidentInput(run, epoch, { cause, fencedBy: 'agent' }, { kind: 'person', name: ask.by, reason: ask.reason }),
    ...(ask.to === undefined ? {} : { to: ask.to }),
  };
  void followIncident(run, id, startChild(switchover, { ...childOptions(run, id, 'switchover', epoch, cause), args: [input] }));
  return id;
}

/** An operator's failover: a primary that is still there is fenced first; one that a person vouches for is not waited for. */
export function forceFailover(run: GroupRun, ask: FailoverAsk): void {
  const { state } = run;
  const cause = { kind: 'operator' as const, words: `${ask.by} asked for a failover: ${ask.reason}`, knownAtMs: Date.now() };
  const loss = { ...(state.lastLoss ?? { fencedBy: 'lease' as const }), cause };
  if (ask.fencedByHand === true) beginFailover(run, loss, ask);
  else takeAway(run, loss, ask);
}

/** A failover under way finds nobody to promote without loss: a person who accepts it need not wait for its end. */
export function acceptLossIn(run: GroupRun, incident: string, { by, reason }: FailoverAsk): Started {
  if (!lossAcceptedMeanwhile()) return { incident, words: `${incident} goes on` };
  void getExternalWorkflowHandle(incident)
    .signal(messages.acceptLoss, { by, reason })
    .catch((error: unknown) => {
      if (isCancellation(error) || !(error instanceof Error)) throw error;
      note(run, `${incident} did not hear that the loss is accepted: ${error.message}`);
    });
  return { incident, words: `${incident} may promote whoever lost least` };
}

/** A failover of a primary that still holds its role: the role is asked for first, so that its end proves the fence. */
export function takeAway(run: GroupRun, loss: Loss, ask?: FailoverAsk): void {
  const { state } = run;
  if (state.primary === null || run.roles.holds(state.primary) !== 'primary') {
    beginFailover(run, loss, ask);
    return;
  }
  state.after = { loss, ...(ask === undefined ? {} : { ask }) };
  run.roles.takeBack(state.primary);
}

/** What held a failover back is over, or was lifted. */
export function liftHold(run: GroupRun): void {
  const { state } = run;
  const { held } = state;
  if (held === undefined) return;
  state.held = undefined;
  if (primaryTaken(state)) return;
  takeAway(run, held.loss);
}

export function holdNow(run: GroupRun): Hold {
  const { state } = run;
  return decideHold({
    nowMs: Date.now(),
    policy: state.spec.policy,
    ...(state.lastFailoverAtMs === undefined ? {} : { lastFailoverAtMs: state.lastFailoverAtMs }),
    failoversAtMs: state.failoversAtMs,
    ...(state.paused === undefined ? {} : { paused: state.paused }),
    override: state.override,
    incidentOpen: false,
    group: state.spec.name,
  });
}

/** An epoch that no member has been shown. */
export function nextEpoch(run: GroupRun): number {
  run.state.highestEpoch = Math.max(run.state.highestEpoch, run.state.epoch) + 1;
  return run.state.highestEpoch;
}

function incidentInput(run: GroupRun, epoch: number, loss: Loss, actor: Actor) {
  const { state } = run;
  const leaseMs = leaseToWaitOut(state, Date.now());
  // Whom the incident opens is opened under the longer one, too.
  if (leaseMs > state.spec.leaseMs) state.formerLease = { leaseMs };
  return {
    spec: { ...state.spec, leaseMs },
    owner: state.owner,
    epoch,
    cause: loss.cause,
    actor,
    before: {
      primary: state.primary ?? '',
      epoch: state.epoch,
      rule: state.recorded,
      ...(loss.last === undefined ? {} : { last: loss.last }),
      ...(loss.endedAtMs === undefined ? {} : { endedAtMs: loss.endedAtMs }),
    },
    electable: state.electable,
    excluded: Object.keys(state.excluded),
    attributes: state.attributes ? ('given' as const) : false,
  };
}

function childOptions(run: GroupRun, workflowId: string, kind: Incident['kind'], epoch: number, cause: Cause) {
  const { spec, attributes } = run.state;
  // A dead or hung worker must not cost ten seconds in the middle of a failover (protocol 9). The incident outlives a group that is terminated.
  return {
    workflowId,
    staticSummary: `${kind} of ${spec.name}: ${cause.words}`.slice(0, 200),
    ...(attributes ? { typedSearchAttributes: attributesAtStart({ group: spec.name, kind, epoch }, cause.kind) } : {}),
    workflowTaskTimeout: '2s',
    parentClosePolicy: ParentClosePolicy.ABANDON,
    taskQueue: workflowInfo().taskQueue,
  } as const;
}

function noteIncident(run: GroupRun, id: string, kind: Incident['kind'], epoch: number, cause: string): void {
  run.endedMeanwhile = undefined;
  run.state.incidents = [...run.state.incidents, { id, kind, epoch, cause, outcome: 'running', startedAtMs: Date.now() }].slice(-INCIDENTS_KEPT);
  log.info('incident begins', { id, kind, epoch, cause });
}

/** Records that an incident did not bring to an end are the group's to publish: it lives longer. */
async function followIncident(run: GroupRun, id: string, starting: Promise<{ result(): Promise<Incident> }>): Promise<void> {
  let outcome: IncidentOutcome;
  try {
    const handle = await starting;
    const incident = await handle.result();
    ({ outcome } = incident);
    if (outcome.outcome === 'done' && !isPublished(incident)) run.state.publishing = true;
  } catch (error) {
    const words = `the incident's workflow ended without a report: ${error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error)}`;
    // A workflow that has ended is no fence (protocol 2): whom it was opening may be open.
    const opening = run.elected?.incident === id ? run.elected : undefined;
    outcome = {
      outcome: 'failed',
      words,
      ...(opening === undefined ? {} : { perhaps: { member: opening.member, epoch: opening.epoch, rule: opening.inForce, electable: opening.electable } }),
    };
  }
  run.incidentEnded(id, outcome);
}
