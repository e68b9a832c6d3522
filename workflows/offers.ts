import { mayConfirm, ruleAfterPromotion } from '../src/decide/durability.ts';
import type { CommitRule } from '../src/model/group.ts';
import type { PrimaryRole } from '../src/model/role.ts';
import type { GroupRun } from './group-run.ts';
import { freshView, leaseToWaitOut, type MemberView } from './group-state.ts';
import type { ElectedWord } from './messages.ts';

/** A primary that is out of our sight and lives is looked for again after this at the latest: its standbys tell of its end sooner. */
const LEFT_ALONE_AT_MOST_MS = 10 * 60_000;
/** Their word may be lost with their agents. */
const LOOK_AGAIN_MS = 60_000;
const REJOIN_AFTER_MS = 1000;
/** A role that failed is offered again after this, doubled each time up to the limit. */
export const OFFER_AGAIN_MS = 1000;
export const OFFER_AGAIN_AT_MOST_MS = 30_000;
/** Beyond the lease itself, for an agent that is being restarted. */
const TAKE_UP_GRACE_MS = 1000;

/** A new run of the same workflow: every role is offered anew at once, and nothing is taken away because it began (protocol 8). */
export function takeUpAgain(run: GroupRun): void {
  const { state } = run;
  if (state.primary === null) return;
  // A role that is being taken away is not offered anew: its end is waited for.
  if (state.after === undefined && state.stopped === undefined) offerPrimary(run, { patient: state.held !== undefined || state.due.retry !== undefined });
  offerStandbys(run);
}

/** @param patient it is waited for without limit: somebody or something else decides when to go on without it */
export function offerPrimary(run: GroupRun, { patient, longer = 1 }: { patient: boolean; longer?: number }): void {
  const { state } = run;
  const { spec, primary, epoch } = state;
  if (primary === null) return;
  delete state.due.offer;
  const turn = nextTurn(run);
  setView(run, primary, { role: 'primary', epoch, turn, phase: 'waiting' });
  const leaseMs = leaseToWaitOut(run.state, Date.now());
  run.roles.primary(
    spec,
    primaryOrder(run, primary, epoch, turn),
    patient ? undefined : Math.min((leaseMs + TAKE_UP_GRACE_MS) * longer, Math.max(leaseMs + TAKE_UP_GRACE_MS, LEFT_ALONE_AT_MOST_MS)),
  );
}

/**
 * A primary that no heartbeat reaches us from is left alone for another while, without an incident, since everybody who could be promoted still follows it.
 * The first of them that does not says so itself.
 */
export function leaveAlone(run: GroupRun): void {
  offerPrimary(run, { patient: false, longer: Math.max(1, LOOK_AGAIN_MS / (leaseToWaitOut(run.state, Date.now()) + TAKE_UP_GRACE_MS)) });
}

/** Offers the role again after a pause that grows: the last offers have ended at once. */
export function offerPrimaryLater(run: GroupRun): void {
  const { state } = run;
  state.restartsTried += 1;
  state.due.offer = Date.now() + Math.min(OFFER_AGAIN_MS * 2 ** (state.restartsTried - 1), OFFER_AGAIN_AT_MOST_MS);
}

/** The lease of its promotion ends with the promotion; that of its role is to be there by then. */
export function offerElected(run: GroupRun, { member, epoch, inForce, electable }: ElectedWord): void {
  const { spec } = run.state;
  const turn = nextTurn(run);
  setView(run, member, { role: 'primary', epoch, turn, phase: 'waiting' });
  const order = { ...primaryOrder(run, member, epoch, turn), rule: inForce, electable, afterPromotion: true as const, found: false };
  run.roles.primary(spec, order, spec.leaseMs + TAKE_UP_GRACE_MS);
}

export function offerStandbys(run: GroupRun): void {
  const { spec, primary, epoch } = run.state;
  for (const { name } of spec.members) if (primary !== null && name !== primary) offerStandby(run, name, primary, epoch);
}

export function offerStandby(run: GroupRun, name: string, upstreamName: string, epoch: number): void {
  const { spec } = run.state;
  const upstream = spec.members.find((member) => member.name === upstreamName);
  run.standbyDue.delete(name);
  if (upstream === undefined || name === upstreamName || !spec.members.some((member) => member.name === name)) return;
  const turn = nextTurn(run);
  setView(run, name, { role: 'standby', epoch, turn, phase: 'waiting' });
  run.roles.standby(spec, {
    group: spec.name,
    member: name,
    epoch,
    turn,
    leaseMs: spec.leaseMs,
    upstream: { member: upstream.name, host: upstream.host, port: upstream.port },
    rule: ruleToOpenWith(run, name, upstreamName),
    others: othersThan(run, name),
    ...knownSystem(run),
    stopWithinMs: spec.policy.stopWithinMs,
  });
}

/** The old primary's way back costs its host, and perhaps the new one's, some work: clients come first. */
export function rejoinSoon(run: GroupRun, name: string): void {
  run.roles.forget(name);
  setView(run, name, { role: 'none', epoch: run.state.members[name]?.epoch ?? 0, turn: nextTurn(run), phase: 'waiting' });
  run.standbyDue.set(name, Date.now() + REJOIN_AFTER_MS);
}

function primaryOrder(run: GroupRun, member: string, epoch: number, turn: number): PrimaryRole {
  const { state } = run;
  const { spec } = state;
  return {
    group: spec.name,
    member,
    epoch,
    turn,
    leaseMs: spec.leaseMs,
    rule: state.inForce ?? state.recorded,
    electable: state.electable,
    others: othersThan(run, member),
    found: state.founding,
    ...knownSystem(run),
    hungAfterMs: spec.policy.hungAfterMs,
    stopWithinMs: spec.policy.stopWithinMs,
  };
}

/** What an incident would open this member with, if everybody but the primary of today answered it. */
function ruleToOpenWith(run: GroupRun, elected: string, primary: string): CommitRule {
  const { spec, excluded } = run.state;
  const members = spec.members.map(({ name }) => name);
  const following = members.filter((name) => name !== elected && name !== primary);
  return ruleAfterPromotion({
    durability: spec.durability,
    elected,
    reachable: mayConfirm({ members: spec.members, following, excluded: Object.keys(excluded) }),
    members,
  });
}

export function knownSystem(run: GroupRun): { systemId?: string } {
  return run.state.systemId === undefined ? {} : { systemId: run.state.systemId };
}

export function othersThan(run: GroupRun, name: string): string[] {
  return run.state.spec.members.map((member) => member.name).filter((other) => other !== name);
}

function setView(run: GroupRun, name: string, view: MemberView): void {
  const before = run.state.members[name] ?? freshView();
  run.state.members[name] = { ...view, ...(before.lastEnd === undefined ? {} : { lastEnd: before.lastEnd }) };
}

export function nextTurn(run: GroupRun): number {
  run.state.turn = Math.max(run.state.turn + 1, Date.now());
  return run.state.turn;
}
