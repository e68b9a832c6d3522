import { weakest } from '../src/decide/durability.ts';
import type { CommitRule, GroupSpec } from '../src/model/group.ts';
import { NO_RULE } from '../src/model/group.ts';
import type { Cause, IncidentOutcome, LastKnown } from '../src/model/incident.ts';
import type { Lsn } from '../src/model/lsn.ts';
import type { BeginAsk, FailoverAsk } from '../src/decide/operator.ts';
import type { Signed } from '../src/model/operator.ts';
import type { RolePhase } from '../src/model/role.ts';
import type { PromotedWord } from './messages.ts';
import type { GroupPhase, GroupStatus, IncidentLine, MemberStatus, Pause, Roll } from '../src/model/status.ts';

/** Everything that a group's workflow knows: plain data, handed whole from one run to the next. */
export interface GroupState {
  spec: GroupSpec;
  specHash: string;
  /** Whose the records are: `<namespace>/<group>`. */
  owner: string;
  attributes: boolean;
  /** The epoch of the primary; 0 before the group has begun. */
  epoch: number;
  /** The highest epoch that any incident may have shown to a member. */
  highestEpoch: number;
  primary: string | null;
  /** A person's word to begin without members that do not answer. */
  without?: BeginAsk | undefined;
  /** The database system of the group, once a primary of it has been open: a member that holds another is none of ours. */
  systemId: string | undefined;
  /** The first primary has still to make the database: however often its role is lost on the way, it is told so again. */
  founding: boolean;
  /** Where the primary's timeline began: its parent, and the place. */
  fork: Fork | undefined;
  /** Protocol 5.1: what every acknowledged commit of this epoch is sure to satisfy. */
  recorded: CommitRule;
  /** What the primary was last told; undefined while the end of an order is not known. */
  inForce: CommitRule | undefined;
  electable: string[];
  acknowledged: string[] | undefined;
  roll?: Roll | undefined;
  /** A longer lease, under which the primary may still write though its order says another now. */
  formerLease?: FormerLease | undefined;
  /** When the last standby stopped following, for the policy's relaxing. */
  aloneSinceMs: number | undefined;
  relaxed: boolean;
  turn: number;
  members: Record<string, MemberView>;
  excluded: Record<string, Signed>;
  paused: Pause | undefined;
  /** The rate limit is lifted for the next failover. */
  override: boolean;
  held: Held | undefined;
  stopped: string | undefined;
  restartsTried: number;
  /** When the primary said that it was open, for as long as it is. */
  openSinceMs: number | undefined;
  lastFailoverAtMs: number | undefined;
  failoversAtMs: number[];
  incidents: IncidentLine[];
  /** The primary's records still have to be written at this epoch. */
  publishing: boolean;
  /** Instants at which something is due, milliseconds since 1970. */
  due: { restart?: number; offer?: number; retry?: number };
  /** What follows once the primary's role, taken away, has ended. */
  after: AfterTaking | undefined;
  lastLoss: Loss | undefined;
  /** The primaries that were perhaps opened, the last one first, each with what was so before: should one prove that it was not, that holds again. */
  perhaps?: readonly Perhaps[] | undefined;
}

/** `to`: the timeline that began there; left out by runs of before. */
export interface Fork {
  readonly timeline: number;
  readonly lsn: Lsn;
  readonly to?: number;
}

export interface Perhaps {
  readonly member: string;
  readonly before: Pick<GroupState, 'primary' | 'fork' | 'recorded' | 'electable' | 'lastLoss'>;
}

export interface FormerLease {
  readonly leaseMs: number;
  /** Once the primary goes by the shorter one, what it had renewed before lasts no longer than until then. */
  readonly untilMs?: number;
}

export interface Loss {
  readonly cause: Cause;
  readonly fencedBy: 'agent' | 'lease' | 'person';
  readonly last?: LastKnown;
  /** When the primary's role ended, where that was later than the cause was known. */
  readonly endedAtMs?: number;
}

export interface Held {
  readonly rule: string;
  readonly words: string;
  readonly untilMs?: number;
  readonly override: string;
  readonly loss: Loss;
}

export interface AfterTaking {
  readonly loss: Loss;
  readonly ask?: FailoverAsk;
}

export interface MemberView {
  role: 'primary' | 'standby' | 'none';
  epoch: number;
  turn: number;
  phase: RolePhase | 'waiting' | 'silent';
  following?: readonly string[];
  lastLsn?: Lsn;
  lastEnd?: string;
  words?: string;
}

export function beginState(input: { spec: GroupSpec; specHash: string; owner: string; attributes: boolean }): GroupState {
  return {
    ...input,
    epoch: 0,
    highestEpoch: 0,
    primary: null,
    systemId: undefined,
    founding: false,
    fork: undefined,
    recorded: NO_RULE,
    inForce: undefined,
    electable: [],
    acknowledged: undefined,
    aloneSinceMs: undefined,
    relaxed: false,
    turn: 0,
    members: Object.fromEntries(input.spec.members.map(({ name }) => [name, freshView()])),
    excluded: {},
    paused: undefined,
    override: false,
    held: undefined,
    stopped: undefined,
    restartsTried: 0,
    openSinceMs: undefined,
    lastFailoverAtMs: undefined,
    failoversAtMs: [],
    incidents: [],
    publishing: false,
    due: {},
    after: undefined,
    lastLoss: undefined,
  };
}

export function freshView(): MemberView {
  return { role: 'none', epoch: 0, turn: 0, phase: 'waiting' };
}

/** What a new primary has in force from its first write on; what is recorded must hold for the commits before it, too. */
export function takeOver(state: GroupState, { inForce, recorded, electable }: Pick<PromotedWord, 'inForce' | 'recorded' | 'electable'>): void {
  state.recorded = recorded ?? weakest(state.recorded, inForce);
  state.inForce = inForce;
  state.electable = [...electable];
  state.acknowledged = [...electable];
  state.restartsTried = 0;
  state.held = undefined;
  state.stopped = undefined;
  state.due = {};
  state.after = undefined;
  state.lastLoss = undefined;
  state.perhaps = undefined;
  state.openSinceMs = undefined;
  state.aloneSinceMs = undefined;
  state.relaxed = false;
}

/** The lease that the primary of this moment is to be waited out by: a deadline never moves back (protocol 1.2), so that a shorter one counts only later. */
export function leaseToWaitOut({ spec, formerLease }: GroupState, nowMs: number): number {
  const over = formerLease === undefined || (formerLease.untilMs !== undefined && formerLease.untilMs <= nowMs);
  return over ? spec.leaseMs : Math.max(spec.leaseMs, formerLease.leaseMs);
}

/** Whether the primary has said that it is open under its present order. */
export function primaryOpen(state: GroupState): boolean {
  const view = state.primary === null ? undefined : state.members[state.primary];
  return view?.role === 'primary' && view.phase === 'open';
}

/** Whether it has taken its present order up at all: it may still be starting. */
export function primaryTaken(state: GroupState): boolean {
  const view = state.primary === null ? undefined : state.members[state.primary];
  return view?.role === 'primary' && view.phase !== 'waiting' && view.phase !== 'silent';
}

export function openIncident(state: GroupState): IncidentLine | undefined {
  return state.incidents.findLast(({ endedAtMs }) => endedAtMs === undefined);
}

/**
 * The incident that may still promote somebody. One whose promotion is known only settles its clients: that may take as long as a DNS outage, and
 * nobody's role, nor the next incident, waits for it.
 */
export function decidingIncident(state: GroupState): IncidentLine | undefined {
  return state.incidents.findLast(({ endedAtMs, epoch }) => endedAtMs === undefined && epoch > state.epoch);
}

export function statusOf(state: GroupState, busy: boolean, note?: string): GroupStatus {
  const words = state.stopped ?? note;
  return {
    ...(words === undefined ? {} : { words }),
    group: state.spec.name,
    epoch: state.epoch,
    phase: phaseOf(state, busy),
    primary: state.primary,
    ...(state.founding ? { founding: true } : {}),
    rule: state.recorded,
    electable: state.electable,
    ...(state.paused === undefined ? {} : { paused: state.paused }),
    ...(state.held === undefined ? {} : { held: heldOf(state.held) }),
    ...(state.roll === undefined ? {} : { roll: state.roll }),
    members: state.spec.members.map(({ name }) => memberStatus(name, state)),
    incidents: state.incidents,
    observeOnly: state.spec.policy.mode === 'observe',
    specHash: state.specHash,
  };
}

function heldOf({ rule, words, untilMs, override }: Held): NonNullable<GroupStatus['held']> {
  return { rule, words, override, ...(untilMs === undefined ? {} : { untilMs }) };
}

function phaseOf(state: GroupState, busy: boolean): GroupPhase {
  if (state.stopped !== undefined) return 'stopped';
  if (busy) return 'incident';
  if (state.held !== undefined) return 'held';
  if (!primaryOpen(state)) return state.epoch === 0 ? 'starting' : state.paused === undefined ? 'starting' : 'paused';
  return state.paused === undefined ? 'steady' : 'paused';
}

function memberStatus(name: string, state: GroupState): MemberStatus {
  const view = state.members[name] ?? freshView();
  const excluded = state.excluded[name];
  return {
    name,
    role: view.role,
    epoch: view.epoch,
    phase: view.phase,
    ...(view.lastEnd === undefined ? {} : { lastEnd: view.lastEnd }),
    ...(excluded === undefined ? {} : { excluded }),
    ...(view.words ? { words: view.words } : {}),
  };
}

export function outcomeWords(outcome: IncidentOutcome): string {
  switch (outcome.outcome) {
    case 'done':
      return `done: ${outcome.primary} is the primary`;
    case 'running':
      return 'running';
    default:
      return `${outcome.outcome}: ${outcome.words}`;
  }
}

/** Whether the last incident has left the primary alone, since its standbys could tell that it lives. */
export function leftAlone({ incidents }: GroupState): boolean {
  return incidents.at(-1)?.outcome.startsWith('primary-lives') === true;
}
