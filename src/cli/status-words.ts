import type { GroupLook, MemberBeat } from '../client/look.ts';
import { explainRule } from '../decide/durability.ts';
import { inWords } from '../decide/hold.ts';
import { explainRoll } from '../decide/roll.ts';
import type { GroupPhase, GroupStatus, IncidentLine, MemberStatus } from '../model/status.ts';
import { formatSize } from '../model/units.ts';
import { formatAge, formatSpan, paint, table } from './output.ts';
import type { Style } from './output.ts';

const PHASES: Record<GroupPhase, [Style, string]> = {
  starting: ['note', 'starting'],
  steady: ['good', 'steady'],
  incident: ['note', 'an incident is open'],
  paused: ['note', 'automatic action is paused'],
  held: ['bad', 'a failover is held back'],
  stopped: ['bad', 'stopped: a person is needed'],
};
const INCIDENTS_SHOWN = 5;

/** One group, for a person. */
export function describeGroup(look: GroupLook, nowMs: number): string {
  const { status, ui } = look;
  const lines = status === undefined ? unseenHead(look) : head(status, nowMs);
  if (look.open !== undefined) lines.push(openLine(look.group, look.open));
  lines.push('', memberTable(look, nowMs));
  const incidents = status?.incidents.slice(-INCIDENTS_SHOWN).toReversed() ?? [];
  if (incidents.length > 0)
    lines.push(
      '',
      table(
        ['incident', 'cause', 'begun', 'took', 'outcome'],
        incidents.map((line) => incidentRow(line, nowMs)),
      ),
    );
  if (ui !== undefined) lines.push('', paint('dim', ui));
  return lines.join('\n');
}

function openLine(group: string, { id, step, member }: NonNullable<GroupLook['open']>): string {
  if (step === 'approval')
    return `${paint('bad', 'waits for a person')}: ${id}. Answer: understudy approve ${group} --reason WHY, or understudy decline ${group} --reason WHY`;
  return step === undefined ? `${id} goes on` : `${id} goes on: ${step}${member === undefined ? '' : ` ${member}`}`;
}

function unseenHead({ group, noted }: GroupLook): string[] {
  const last =
    noted.primary === undefined
      ? 'nothing is known of its roles'
      : `the last that was noted: primary ${noted.primary}, epoch ${noted.epoch ?? '?'}, ${noted.phase ?? '?'}`;
  return [
    `${paint('strong', group)}  ${paint('bad', 'unknown: no worker answers')}; ${last}`,
    'Databases go on meanwhile; decisions wait. The heartbeats are what the server holds:',
  ];
}

function head(status: GroupStatus, nowMs: number): string[] {
  const { group, phase, primary, epoch, rule, electable, paused, held, roll } = status;
  const [style, words] = PHASES[phase];
  const lines = [
    `${paint('strong', group)}  ${paint(style, words)}; ${primary === null ? 'no primary yet' : `primary ${paint('strong', primary)}, epoch ${epoch}`}`,
    `${explainRule(rule)}; could take over: ${electable.join(', ') || 'nobody'}`,
  ];
  if (status.observeOnly) lines.push(paint('note', 'observe only: what would be done is said, and nothing is done'));
  if (paused !== undefined) {
    const end = paused.untilMs === undefined ? 'until it is resumed' : `for another ${inWords(paused.untilMs - nowMs)}`;
    lines.push(`${paint('note', 'paused')} by ${paused.by} ${end}: ${paused.reason}. Lift it: understudy resume ${group}`);
  }
  if (roll !== undefined)
    lines.push(`${paint(roll.ended?.outcome === 'stopped' ? 'bad' : 'note', roll.id)} by ${roll.by} (${roll.reason}): ${explainRoll(roll)}`);
  if (held !== undefined) {
    const end = held.untilMs === undefined ? '' : `, another ${inWords(held.untilMs - nowMs)}`;
    lines.push(`${paint('bad', 'held back')} by the rule ${held.rule}${end}: ${held.words}. Lift it: ${held.override}`);
  }
  return lines;
}

function memberTable(look: GroupLook, nowMs: number): string {
  const beats = new Map(look.members.map((beat) => [beat.member, beat]));
  const members = look.status?.members ?? look.members.map(ofBeat);
  return table(
    ['member', 'role', 'phase', 'epoch', 'timeline', 'place', 'lag', 'heard', ''],
    members.map((member) => {
      const beat = beats.get(member.name);
      const { timeline, lsn } = beat?.heartbeat ?? {};
      return [
        member.name,
        member.role,
        member.phase,
        member.epoch,
        timeline ?? '-',
        lsn ?? '-',
        beat?.lagBytes === undefined ? '-' : formatSize(beat.lagBytes),
        beat?.heardAtMs === undefined ? '-' : formatAge(nowMs - beat.heardAtMs),
        memberNotes(member, beat),
      ];
    }),
  );
}

function ofBeat({ member, heartbeat }: MemberBeat): MemberStatus {
  return { name: member, role: heartbeat?.role ?? 'none', epoch: heartbeat?.epoch ?? 0, phase: heartbeat?.phase ?? 'waiting' };
}

function memberNotes({ excluded, lastEnd, words, phase }: MemberStatus, beat: MemberBeat | undefined): string {
  const parts = [
    words,
    excluded === undefined ? undefined : `excluded by ${excluded.by}: ${excluded.reason}`,
    beat?.paused === true ? 'its activity is paused in Temporal: no lease runs' : undefined,
    beat?.waiting === true ? 'its agent has not taken the role up' : undefined,
    beat?.heartbeat?.fence === 'process' ? 'fence: process, no kernel holds its lease' : undefined,
    // How a role ended before is of interest until it is held again.
    lastEnd === undefined || phase === 'open' || phase === 'following' ? undefined : `last ended: ${lastEnd}`,
  ];
  return parts.filter((part) => part !== undefined && part !== '').join('; ');
}

function incidentRow({ id, cause, startedAtMs, endedAtMs, outcome }: IncidentLine, nowMs: number): string[] {
  return [id, cause, formatAge(nowMs - startedAtMs), endedAtMs === undefined ? 'not over' : formatSpan(endedAtMs - startedAtMs), outcome];
}

/** What changes with the group, and not with every write: subject and words, for those who watch. */
export function factsOf({ status, unseen, members, open }: GroupLook): [string, string][] {
  if (status === undefined) return [['group', `unknown: ${unseen ?? 'no answer'}`]];
  const facts: [string, string][] = [
    ['group', `${PHASES[status.phase][1]}, primary ${status.primary ?? 'none'}, epoch ${status.epoch}`],
    ['rule', explainRule(status.rule)],
    ['could take over', status.electable.join(', ') || 'nobody'],
    ['paused', status.paused === undefined ? 'no' : `by ${status.paused.by}: ${status.paused.reason}`],
    ['held back', status.held === undefined ? 'no' : `by ${status.held.rule}; ${status.held.override} lifts it`],
  ];
  for (const { name, role, phase, epoch, excluded } of status.members) {
    const paused = members.find(({ member }) => member === name)?.paused === true;
    facts.push([name, `${role}, ${phase}, epoch ${epoch}${excluded === undefined ? '' : ', excluded'}${paused ? ', its activity is paused' : ''}`]);
  }
  if (status.roll !== undefined) facts.push([status.roll.id, explainRoll(status.roll)]);
  if (open?.step === 'approval') facts.push(['approval', `${open.id} waits for a person`]);
  for (const { id, outcome } of status.incidents) facts.push([id, outcome]);
  return facts;
}
