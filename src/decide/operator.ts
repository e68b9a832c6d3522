import type { GroupSpec } from '../model/group.ts';
import type { Signed } from '../model/operator.ts';
import type { GroupStatus, IncidentLine } from '../model/status.ts';
import type { Answer } from './election.ts';
import { decideFounding } from './founding.ts';
import { DAY_MS, inWords } from './hold.ts';
import { planSpecChange } from './spec-change.ts';

/** Why what was asked is not done: exit code 3 of the command line. `override` is the command that gets past the rule, where there is one. */
export interface Refused {
  readonly rule: OperatorRule;
  readonly words: string;
  readonly override?: string;
}

export type OperatorRule =
  | 'no-name'
  | 'no-reason'
  | 'unknown-member'
  | 'excluded'
  | 'already-primary'
  | 'incident-open'
  | 'not-begun'
  | 'not-open'
  | 'already-begun'
  | 'no-member'
  | 'not-asked'
  | 'has-answered'
  | 'not-clear'
  | 'paused'
  | 'not-held'
  | 'no-end'
  | 'end-in-the-past'
  | 'pause-too-long'
  | 'not-paused'
  | 'already-excluded'
  | 'is-primary'
  | 'last-electable'
  | 'not-excluded'
  | 'unsafe-change'
  | 'no-standby'
  | 'no-incident'
  | 'roll-open'
  | 'not-following'
  | 'not-electable';

/** What a validator may look at. Nothing of it is asked anew: a validator runs inside the workflow and may not wait. */
export interface OperatorView {
  readonly spec: GroupSpec;
  readonly status: GroupStatus;
  readonly nowMs: number;
}

export interface FailoverAsk extends Signed {
  /** This member or nobody. */
  readonly to?: string;
  /** The person vouches that the old primary is off, whatever its agent says (protocol 2c). Implied by nothing else. */
  readonly fencedByHand?: boolean;
  /** Promote though acknowledged writes may be lost; the bound is recorded. */
  readonly acceptLoss?: boolean;
}

export interface SwitchoverAsk extends Signed {
  readonly to?: string;
}

export interface PauseAsk extends Signed {
  /** Milliseconds since 1970. One of the two: an end, or in so many words none. */
  readonly untilMs?: number;
  readonly untilResumed?: boolean;
}

export interface MemberOrder extends Signed {
  readonly member: string;
}

/** Begins a group without members that are silent. */
export interface BeginAsk extends Signed {
  readonly without: readonly string[];
}

export const LONGEST_PAUSE_MS = 30 * DAY_MS;

/** A failover that a person asks for. A healthy primary is no obstacle: it is fenced first; a silent one is waited for or vouched for. */
export function refuseFailover(ask: FailoverAsk, { spec, status }: OperatorView): Refused | undefined {
  return (
    refuseAnonymous(ask) ??
    refuseUnbegun(status) ??
    (isAcceptanceOnly(ask, status) ? undefined : refuseDuringIncident(status)) ??
    refuseAlone(spec, status) ??
    refuseTarget(ask.to, spec, status, ask.fencedByHand === true)
  );
}

/** A failover that is under way may be told that the loss is accepted: that begins no second one. */
function isAcceptanceOnly({ acceptLoss, to, fencedByHand }: FailoverAsk, status: GroupStatus): boolean {
  const open = openIncident(status);
  return acceptLoss === true && to === undefined && fencedByHand !== true && open?.kind === 'failover';
}

/** A planned swap of roles. Only what is known without asking the members; `decideReadiness` asks them. */
export function refuseSwitchover(ask: SwitchoverAsk, { spec, status }: OperatorView): Refused | undefined {
  return (
    refuseAnonymous(ask) ??
    refuseUnopened(status) ??
    refuseDuringIncident(status) ??
    refuseWhilePaused(status) ??
    refuseAlone(spec, status) ??
    refuseTarget(ask.to, spec, status, false)
  );
}

/** Pausing again replaces the pause before. */
export function refusePause(ask: PauseAsk, { nowMs }: OperatorView): Refused | undefined {
  const anonymous = refuseAnonymous(ask);
  if (anonymous !== undefined) return anonymous;
  if (ask.untilMs === undefined) {
    if (ask.untilResumed === true) return undefined;
    return {
      rule: 'no-end',
      words: 'a pause needs an end, so that it is not forgotten: say for how long, or in so many words until it is resumed',
      override: '--until-resumed',
    };
  }
  if (ask.untilMs <= nowMs) return { rule: 'end-in-the-past', words: `the pause would have ended ${inWords(nowMs - ask.untilMs)} ago` };
  if (ask.untilMs - nowMs > LONGEST_PAUSE_MS) {
    return {
      rule: 'pause-too-long',
      words: `a pause of ${inWords(ask.untilMs - nowMs)} is longer than ${inWords(LONGEST_PAUSE_MS)}: say a nearer end, or in so many words until it is resumed`,
      override: '--until-resumed',
    };
  }
  return undefined;
}

export function refuseResume(ask: Signed, { status }: OperatorView): Refused | undefined {
  if (ask.by.trim() === '') return NAMELESS;
  return status.paused === undefined ? { rule: 'not-paused', words: `${status.group} is not paused` } : undefined;
}

/** An excluded member goes on following, but is not promoted and confirms no commits. */
export function refuseExclude(ask: MemberOrder, { spec, status }: OperatorView): Refused | undefined {
  const early = refuseAnonymous(ask) ?? refuseUnknown(ask.member, spec);
  if (early !== undefined) return early;
  if (isExcluded(ask.member, status)) return { rule: 'already-excluded', words: `${ask.member} is excluded already` };
  if (ask.member === status.primary)
    return { rule: 'is-primary', words: `${ask.member} is the primary: hand its role to another member first`, override: `understudy switchover ${spec.name}` };
  if (
    spec.durability.mode === 'sync' &&
    status.electable.includes(ask.member) &&
    status.electable.every((name) => name === ask.member || isExcluded(name, status))
  ) {
    const then = spec.durability.relaxAfterMs === undefined ? 'writes would block' : 'commits would soon be on the primary alone';
    return {
      rule: 'last-electable',
      words: `${ask.member} is the last member that could take over and confirm commits: without it ${then}. Bring another one back first`,
    };
  }
  return undefined;
}

export function refuseInclude(ask: MemberOrder, { spec, status }: OperatorView): Refused | undefined {
  const early = refuseAnonymous(ask) ?? refuseUnknown(ask.member, spec);
  if (early !== undefined) return early;
  return isExcluded(ask.member, status) ? undefined : { rule: 'not-excluded', words: `${ask.member} is not excluded` };
}

/** The rate limit is lifted for the failover that it holds back, and for no other. */
export function refuseOverride(ask: Signed, { status }: OperatorView): Refused | undefined {
  const anonymous = refuseAnonymous(ask);
  if (anonymous !== undefined) return anonymous;
  return status.held === undefined ? { rule: 'not-held', words: `no failover of ${status.group} is held back` } : undefined;
}

/**
 * A person's word that a group begins without its silent members: what only they have is given up.
 *
 * @param answers what the members said when they were last asked; undefined where they have not been asked yet
 */
export function refuseBegin(ask: BeginAsk, { spec, status }: OperatorView, answers: readonly Answer[] | undefined): Refused | undefined {
  const anonymous = refuseAnonymous(ask);
  if (anonymous !== undefined) return anonymous;
  // Whatever a signal may carry.
  const without: unknown = ask.without;
  if (!Array.isArray(without) || without.length === 0 || !without.every((name) => typeof name === 'string'))
    return { rule: 'no-member', words: 'without whom? Each member is named, as {"without": ["pg-c"]}' };
  const unknown = ask.without.map((name) => refuseUnknown(name, spec)).find((refused) => refused !== undefined);
  if (unknown !== undefined) return unknown;
  if (status.primary !== null) return { rule: 'already-begun', words: `${status.group} has begun already: ${status.primary} is its primary` };
  if (answers === undefined) return { rule: 'not-asked', words: `the members of ${status.group} have not been asked yet: try again in a moment` };
  const heard = ask.without.filter((name) => answers.some((answer) => answer.member === name && 'report' in answer));
  if (heard.length > 0) return { rule: 'has-answered', words: `${heard.join(', ')} answered when last asked: nobody is left out who can be heard` };
  const founding = decideFounding({ spec, answers, without: ask.without });
  return founding.begin === 'found' || founding.begin === 'adopt' ? undefined : { rule: 'not-clear', words: founding.words };
}

/** An answer to a failover that waits for approval. */
export function refuseApproval(ask: Signed, { status }: OperatorView): Refused | undefined {
  if (ask.by.trim() === '') return NAMELESS;
  return status.phase === 'incident' ? undefined : { rule: 'no-incident', words: `no incident of ${status.group} waits for an answer` };
}

/** A change of members, policy, durability, lease or records, as a whole. */
export function refuseSpec(after: GroupSpec, { spec, status }: OperatorView): Refused | undefined {
  const refused = planSpecChange(spec, after, status).filter((change) => change.effect === 'refused');
  if (refused.length > 0) return { rule: 'unsafe-change', words: refused.map((change) => `${change.change}: ${change.words}`).join('; ') };
  const members = planSpecChange(spec, after, status).some((change) => change.effect === 'reassign-roles');
  return members ? refuseDuringIncident(status) : undefined;
}

const NAMELESS: Refused = { rule: 'no-name', words: 'who asks? The name is kept with the incident' };

export function refuseAnonymous({ by, reason }: Signed): Refused | undefined {
  if (by.trim() === '') return NAMELESS;
  return reason.trim() === '' ? { rule: 'no-reason', words: 'why? The reason is kept with the incident' } : undefined;
}

/** A failover is asked for just where the primary is gone: only a group that none was ever open in cannot have one. */
export function refuseUnbegun(status: GroupStatus): Refused | undefined {
  return status.primary === null || status.founding === true
    ? { rule: 'not-begun', words: `${status.group} has not begun: no member has been primary under this workflow yet` }
    : undefined;
}

/** What is planned needs a primary that runs. */
export function refuseUnopened(status: GroupStatus): Refused | undefined {
  const unbegun = refuseUnbegun(status);
  if (unbegun !== undefined || status.phase !== 'starting') return unbegun;
  return {
    rule: 'not-open',
    words: `${status.primary ?? ''} is the primary and takes no writes now: what is planned waits until it does`,
    override: `understudy failover ${status.group}`,
  };
}

/** One whose promotion is known only settles its clients, for as long as a DNS outage lasts: nobody waits for that. */
function openIncident(status: GroupStatus): IncidentLine | undefined {
  return status.incidents.findLast((incident) => incident.endedAtMs === undefined && incident.epoch > status.epoch);
}

export function refuseDuringIncident(status: GroupStatus): Refused | undefined {
  const open = openIncident(status);
  if (status.phase !== 'incident' && open === undefined) return undefined;
  const id = open?.id ?? `an incident of ${status.group}`;
  return {
    rule: 'incident-open',
    words: `${id} is not over: two at once could promote two members`,
    override: open === undefined ? `understudy status ${status.group}` : `understudy report ${open.id}`,
  };
}

export function refuseWhilePaused(status: GroupStatus): Refused | undefined {
  if (status.paused === undefined) return undefined;
  return { rule: 'paused', words: `${status.paused.by} has paused ${status.group}: ${status.paused.reason}`, override: `understudy resume ${status.group}` };
}

function refuseAlone(spec: GroupSpec, status: GroupStatus): Refused | undefined {
  const others = spec.members.filter((member) => member.name !== status.primary && !isExcluded(member.name, status));
  return others.length === 0
    ? { rule: 'no-standby', words: `${spec.name} has no other member that could take over: all are excluded, or there is none` }
    : undefined;
}

function refuseTarget(target: string | undefined, spec: GroupSpec, status: GroupStatus, vouched: boolean): Refused | undefined {
  if (target === undefined) return undefined;
  const unknown = refuseUnknown(target, spec);
  if (unknown !== undefined) return unknown;
  if (target === status.primary) return { rule: 'already-primary', words: `${target} is the primary already` };
  if (isExcluded(target, status)) return { rule: 'excluded', words: `${target} is excluded`, override: `understudy include ${spec.name} ${target}` };
  if (!vouched && !status.electable.includes(target)) {
    return {
      rule: 'not-electable',
      words: `${target} does not follow the primary now, and is not among those who could take over (${status.electable.join(', ') || 'nobody'})`,
    };
  }
  return undefined;
}

export function refuseUnknown(member: string, spec: GroupSpec): Refused | undefined {
  if (spec.members.some((one) => one.name === member)) return undefined;
  return { rule: 'unknown-member', words: `${member} is no member of ${spec.name}; its members are ${spec.members.map((one) => one.name).join(', ')}` };
}

function isExcluded(member: string, status: GroupStatus): boolean {
  return status.members.some((one) => one.name === member && one.excluded !== undefined);
}
