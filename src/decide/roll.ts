import { mayConfirm } from './durability.ts';
import type { GroupSpec } from '../model/group.ts';
import type { Signed } from '../model/operator.ts';
import type { GroupStatus, Roll } from '../model/status.ts';
import { refuseAnonymous, refuseDuringIncident, refuseUnopened, refuseUnknown, refuseWhilePaused, type OperatorView, type Refused } from './operator.ts';

export interface RollAsk extends Signed {
  /** These alone, in the group's order; left out: every member. */
  readonly members?: readonly string[];
}

export type RollStep =
  | { readonly step: 'none' }
  /** Nothing can be done now: why, and until when it is waited for; without `untilMs` a person ends it. */
  | { readonly step: 'wait'; readonly words: string; readonly untilMs?: number }
  | { readonly step: 'restart'; readonly member: string }
  | { readonly step: 'switchover'; readonly member: string; readonly to: string }
  /** What was under way is over. */
  | { readonly step: 'member-done'; readonly member: string; readonly words: string }
  /** The old primary has stopped, and comes back as a standby with the programs that are there by then. */
  | { readonly step: 'handed-over'; readonly member: string }
  | { readonly step: 'done'; readonly words: string }
  | { readonly step: 'stop'; readonly words: string };

/** A restarted member is waited for until it follows; and so is the group, until the next may go. */
export const ROLL_PATIENCE_MS = 10 * 60_000;

/** Everything doubtful is a refusal: nothing has been touched yet. */
export function refuseRoll(ask: RollAsk, { spec, status }: OperatorView): Refused | undefined {
  const early = refuseAnonymous(ask) ?? refuseUnopened(status) ?? refuseDuringIncident(status) ?? refuseWhilePaused(status);
  if (early !== undefined) return early;
  if (ask.members !== undefined && !(Array.isArray(ask.members) && ask.members.length > 0))
    return { rule: 'unknown-member', words: 'members is a list of names; left out: every member' };
  for (const name of ask.members ?? []) {
    const unknown = refuseUnknown(String(name), spec);
    if (unknown !== undefined) return unknown;
  }
  const { roll } = status;
  if (roll !== undefined && roll.ended === undefined)
    return { rule: 'roll-open', words: `${roll.id} is not over: ${explainRoll(roll)}`, override: `understudy status ${spec.name} --watch` };
  const missing = status.phase === 'steady' ? whoIsMissing(spec, status) : `${spec.name} is ${status.phase}`;
  if (missing !== undefined) return { rule: 'not-following', words: `${missing}: a restart now would leave the group with one member less again` };
  const primary = status.primary ?? '';
  const rolled = ask.members ?? spec.members.map(({ name }) => name);
  if (rolled.includes(primary) && targetOf(spec, status) === undefined)
    return { rule: 'no-standby', words: `${primary} is the primary, and nobody could take its role over meanwhile` };
  return undefined;
}

/** Standbys in the group's order, the primary last: by then it can hand its role to one that has been restarted. */
export function orderOfRoll({ members }: GroupSpec, primary: string, only: readonly string[] | undefined): string[] {
  const names = members.map(({ name }) => name).filter((name) => only === undefined || only.includes(name));
  return [...names.filter((name) => name !== primary), ...names.filter((name) => name === primary)];
}

/** What a roll does next. It never goes on past a doubt: a person looks, and begins another for those that are left. */
export function nextRollStep({ roll, spec, status, nowMs }: RollInput): RollStep {
  if (roll.ended !== undefined || roll.now?.act === 'restart') return { step: 'none' };
  const foreign = status.incidents.find(({ id, startedAtMs }) => startedAtMs >= roll.startedAtMs && !roll.incidents.includes(id));
  if (foreign !== undefined) return { step: 'stop', words: `${foreign.id} began meanwhile (${foreign.cause}): ${foreign.outcome}` };
  const { now } = roll;
  if (now?.act === 'switchover') {
    const line = status.incidents.find(({ id }) => id === now.incident);
    if (line === undefined) return { step: 'stop', words: `${now.incident ?? 'the switchover'} is not among the group's incidents any more` };
    if (status.primary === now.to && status.epoch >= line.epoch) return { step: 'handed-over', member: now.member };
    if (line.endedAtMs === undefined) return { step: 'wait', words: `${line.id} goes on` };
    return { step: 'stop', words: `${now.member} did not hand its role to ${now.to ?? 'another'}: ${line.outcome}` };
  }
  if (status.phase === 'stopped' || status.phase === 'held')
    return { step: 'stop', words: `${spec.name} is ${status.phase}: ${status.words ?? status.held?.words ?? ''}` };
  if (now?.act === 'follow') {
    if (follows(now.member, status)) return { step: 'member-done', member: now.member, words: now.words ?? 'restarted' };
    const untilMs = now.sinceMs + ROLL_PATIENCE_MS;
    return nowMs < untilMs
      ? { step: 'wait', words: `${now.member} does not follow yet`, untilMs }
      : { step: 'stop', words: `${now.member} has not followed again within ${ROLL_PATIENCE_MS / 60_000} minutes of its restart` };
  }
  const [next] = roll.left;
  if (next === undefined) return { step: 'done', words: `${roll.done.map(({ member }) => member).join(', ')} restarted` };
  if (!spec.members.some(({ name }) => name === next)) return { step: 'stop', words: `${next} is no member of ${spec.name} any more` };
  if (status.paused !== undefined) return { step: 'wait', words: `${status.paused.by} has paused ${spec.name}: ${status.paused.reason}` };
  const missing = status.phase === 'steady' ? whoIsMissing(spec, status) : `${spec.name} is ${status.phase}`;
  if (missing !== undefined) {
    const untilMs = (roll.done.at(-1)?.atMs ?? roll.startedAtMs) + ROLL_PATIENCE_MS;
    return nowMs < untilMs ? { step: 'wait', words: missing, untilMs } : { step: 'stop', words: `${missing}, for too long to go on with ${next}` };
  }
  if (next !== status.primary) return { step: 'restart', member: next };
  const to = targetOf(spec, status);
  return to === undefined
    ? { step: 'stop', words: `${next} is the primary, and nobody could take its role over: ${status.electable.join(', ') || 'nobody'} could` }
    : { step: 'switchover', member: next, to };
}

export interface RollInput {
  readonly roll: Roll;
  readonly spec: GroupSpec;
  readonly status: GroupStatus;
  readonly nowMs: number;
}

export function explainRoll({ now, left, done, ended }: Roll): string {
  const so = done.length === 0 ? 'nobody restarted yet' : `restarted: ${done.map(({ member }) => member).join(', ')}`;
  const rest = left.length === 0 ? '' : `; left: ${left.join(', ')}`;
  if (ended !== undefined) return `${ended.outcome}: ${ended.words}; ${so}${rest}`;
  const doing =
    now === undefined
      ? ''
      : now.act === 'restart'
        ? `; ${now.member} is being restarted`
        : now.act === 'follow'
          ? `; ${now.member} is waited for until it follows`
          : `; ${now.member} hands its role to ${now.to}`;
  return `${so}${doing}${rest}`;
}

/** By its own word, and by the primary's, which has acknowledged it as one that could take over. */
function follows(name: string, status: GroupStatus): boolean {
  const member = status.members.find((one) => one.name === name);
  return member?.phase === 'following' && (status.electable.includes(name) || member.excluded !== undefined);
}

function whoIsMissing(spec: GroupSpec, status: GroupStatus): string | undefined {
  const away = spec.members.find(({ name }) => name !== status.primary && !follows(name, status));
  if (away !== undefined) return `${away.name} does not follow ${status.primary ?? 'anybody'} now`;
  if (spec.durability.mode === 'async') return undefined;
  // One that follows and does not confirm yet cannot stand in for the one that is restarted next: commits would wait for that one alone.
  const following = spec.members.map(({ name }) => name).filter((name) => name !== status.primary);
  const excluded = status.members.filter((member) => member.excluded !== undefined).map(({ name }) => name);
  const unsure = mayConfirm({ members: spec.members, following, excluded }).find((name) => !status.rule.names.includes(name));
  return unsure === undefined ? undefined : `${unsure} does not confirm commits yet`;
}

function targetOf({ members }: GroupSpec, status: GroupStatus): string | undefined {
  return members
    .filter(({ name, priority }) => name !== status.primary && priority > 0 && status.electable.includes(name) && follows(name, status))
    .filter(({ name }) => status.members.find((one) => one.name === name)?.excluded === undefined)
    .toSorted((a, b) => b.priority - a.priority)[0]?.name;
}
