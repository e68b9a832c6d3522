import type { GroupStatus, MemberStatus } from '../model/status.ts';
import { utc } from '../model/utc.ts';
import { explainRule } from './durability.ts';
import { table } from './report-markdown.ts';
import { explainRoll } from './roll.ts';

/**
 * The group as Temporal's UI shows it among a workflow's current details. Only what changes with the group is in it, never a lag or an age:
 * what is shown here costs history.
 */
export function statusMarkdown(status: GroupStatus): string {
  const lines = [
    `**${status.group}**: ${phaseWords(status)}`,
    `${capital(explainRule(status.rule))}. Could take over: ${status.electable.join(', ') || 'nobody'}.`,
  ];
  if (status.observeOnly) lines.push('_Observing only: what would be done is said, and nothing is done._');
  if (status.paused !== undefined) {
    const end = status.paused.untilMs === undefined ? 'until it is resumed' : `until ${utc(status.paused.untilMs)}`;
    lines.push(`**Paused** by ${status.paused.by} ${end}: ${status.paused.reason}. Lift it with \`understudy resume ${status.group}\`.`);
  }
  if (status.held !== undefined) {
    const end = status.held.untilMs === undefined ? '' : ` until ${utc(status.held.untilMs)}`;
    lines.push(`**Held back** by ${status.held.rule}${end}: ${status.held.words}. Lift it with \`${status.held.override}\`.`);
  }
  const { roll } = status;
  if (roll !== undefined) lines.push(`\`${roll.id}\` by ${roll.by} (${roll.reason}): ${explainRoll(roll)}.`);
  lines.push(
    table(
      ['member', 'role', 'epoch', 'phase', ''],
      status.members.map((member) => [member.name, member.role, String(member.epoch), member.phase, memberWords(member)]),
    ),
  );
  const recent = status.incidents.slice(-5).reverse();
  if (recent.length > 0) {
    lines.push(
      table(
        ['incident', 'cause', 'outcome', 'begun', 'took'],
        recent.map((one) => [
          `\`${one.id}\``,
          one.cause,
          one.outcome,
          utc(one.startedAtMs),
          one.endedAtMs === undefined ? 'not over' : `${one.endedAtMs - one.startedAtMs} ms`,
        ]),
      ),
    );
  }
  return `${lines.join('\n\n')}\n`;
}

function phaseWords({ phase, primary, epoch }: GroupStatus): string {
  const of = primary === null ? 'no primary yet' : `primary ${primary}, epoch ${epoch}`;
  const words = {
    starting: 'is starting',
    steady: 'all is well',
    incident: 'an incident is open',
    paused: 'automatic action is paused',
    held: 'a failover is held back',
    stopped: 'stopped: a person is needed',
  };
  return `${of}; ${words[phase]}.`;
}

function memberWords({ excluded, lastEnd, words }: MemberStatus): string {
  const parts = [
    words,
    excluded === undefined ? undefined : `excluded by ${excluded.by}: ${excluded.reason}`,
    lastEnd === undefined ? undefined : `last ended: ${lastEnd}`,
  ];
  return parts.filter((part) => part !== undefined).join('; ');
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
