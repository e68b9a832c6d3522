import type { GroupSpec } from '../model/group.ts';
import type { Incident } from '../model/incident.ts';
import { elect } from './election.ts';

export interface Redecision {
  readonly atMs: number;
  readonly same: boolean;
  readonly words: string;
}

/**
 * Decides every election of a past incident again, from the answers that it kept, by today's code and, where given, another spec: the
 * difference is the review of that change. Verdicts count too: another reason for the same winner is told, but is no difference.
 */
export function redecide(incident: Incident, spec?: GroupSpec): Redecision[] {
  return incident.elections.map((kept) => {
    const today = elect(spec === undefined ? kept.input : { ...kept.input, spec });
    const elected = today.outcome === 'elected' ? today.member : null;
    const reasons = today.verdicts.flatMap((verdict) => {
      const then = kept.verdicts.find((one) => one.member === verdict.member);
      return then?.words === verdict.words ? [] : [`${verdict.member}: then "${then?.words ?? 'not considered'}", today "${verdict.words}"`];
    });
    const tail = reasons.length === 0 ? '' : `. ${reasons.join('. ')}`;
    if (elected === kept.elected) return { atMs: kept.atMs, same: true, words: `${name(elected)}, as then (${today.words})${tail}` };
    return { atMs: kept.atMs, same: false, words: `then ${name(kept.elected)} (${kept.words}), today ${name(elected)} (${today.words})${tail}` };
  });
}

function name(member: string | null): string {
  return member ?? 'nobody';
}
