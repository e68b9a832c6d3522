import { assertNever } from '../model/assert-never.ts';
import type { Verdict } from '../model/incident.ts';
import { compareLsn, lagBytes } from '../model/lsn.ts';
import type { ElectionInput, Fit, Nobody, Refusal } from './election.ts';

/** The refusal as the incident's report words it, after the member's name. */
export function explain(refusal: Refusal): string {
  switch (refusal.reason) {
    case 'silent':
      return `gave no answer in time: ${refusal.words}`;
    case 'not-a-member':
      return 'is no member of this group';
    case 'old-primary':
      return 'is the primary whose role ended';
    case 'excluded':
      return 'is excluded by an operator';
    case 'refused-promotion':
      return 'has refused its promotion in this incident';
    case 'not-electable':
      return 'is not among those whom the old primary had acknowledged as electable';
    case 'priority-zero':
      return 'has priority 0 and is promoted only when asked for by name';
    case 'seen-epoch':
      return `has already acted on epoch ${refusal.epoch}`;
    case 'wrong-cluster':
      return `belongs to ${refusal.found}, not to ${refusal.expected}`;
    case 'no-database':
      return `has no running database: ${refusal.words}`;
    case 'wrong-system':
      return `holds database system ${refusal.found}, not ${refusal.expected}`;
    case 'not-in-recovery':
      return 'is not a standby: it is out of recovery';
    case 'other-timeline':
      return `is on timeline ${refusal.timeline}, not on ${refusal.expected}`;
    case 'attached':
      return refusal.from === undefined ? 'has not been detached, so its place may still move' : `still receives from ${refusal.from}`;
    case 'replay-paused':
      return 'has its replay paused';
    case 'too-far-behind':
      return `is ${inBytes(refusal.lagBytes)} behind, above the limit of ${inBytes(refusal.limitBytes)}`;
    default:
      return assertNever(refusal);
  }
}

/** Why nobody is promoted, and what would help. */
export function explainNobody(why: Nobody): string {
  switch (why.reason) {
    case 'newer-epoch':
      return `${why.member} has already acted on epoch ${why.epoch}, which is later than this election: this group's state is out of date`;
    case 'another-writable':
      return `${why.members.join(' and ')} can write: nobody else may be promoted beside it`;
    case 'primary-alive':
      return `the old primary lives, as ${why.seenBy.join(', ')} can tell: something was received from it within the lease, or it can still write. Its role is offered to it again`;
    case 'target-unfit':
      return `${why.target} was asked for, but it ${explain(why.refusal)}`;
    case 'target-behind':
      return `${why.target} was asked for, but it is ${inBytes(why.lagBytes)} behind ${why.ahead}: promote ${why.ahead}, or accept the loss`;
    case 'none-fit':
      return 'no member is fit to be promoted';
    case 'not-enough-answers':
      return `only ${why.have} of the ${why.needed} answers needed to be sure of every acknowledged write came; missing: ${why.missing.join(', ')}. Bring one of them back, or accept the loss`;
    case 'furthest-unfit':
      return `${why.ahead.join(', ')} may hold acknowledged writes that ${why.best}, the best candidate, has not, and cannot be promoted. Make it fit, or accept the loss`;
    case 'nothing-promised':
      return 'no standby confirmed commits at that time, so no member is known to have every acknowledged write. Bring the old primary back, or accept the loss';
    case 'loss-unknown':
      return "the old primary's last place was never heard, so what a promotion would lose has no bound. Bring it back, or accept the loss";
    default:
      return assertNever(why);
  }
}

/** Each member's verdict, in the order of the configuration. */
export function verdictsOf(input: ElectionInput, fits: readonly Fit[], refusals: ReadonlyMap<string, Refusal>, winner: string | undefined): Verdict[] {
  const fit = fits.map(({ member, lsn, priority }): Verdict => {
    const place = `received up to ${lsn}, priority ${priority}`;
    return { member, fit: true, words: member === winner ? `elected: ${place}` : `fit: ${place}` };
  });
  const refused = [...refusals].map(([member, refusal]): Verdict => ({ member, fit: false, words: explain(refusal) }));
  const names = input.spec.members.map((one) => one.name);
  return [...fit, ...refused].sort((a, b) => names.indexOf(a.member) - names.indexOf(b.member) || (a.member < b.member ? -1 : 1));
}

/** Why this one and no other. */
export function whyElected(chosen: Fit, fits: readonly Fit[], input: ElectionInput): string {
  if (input.target === chosen.member) return `${chosen.member} was asked for, and is fit`;
  const others = fits.filter((fit) => fit.member !== chosen.member);
  const next = others[0];
  if (next === undefined) return `${chosen.member} is the only fit member`;
  const ahead = lagBytes(chosen.lsn, next.lsn);
  if (ahead > 0) return `${chosen.member} is the most advanced, ${inBytes(ahead)} ahead of ${next.member}`;
  const level = others
    .filter((fit) => compareLsn(fit.lsn, chosen.lsn) === 0)
    .map((fit) => fit.member)
    .join(', ');
  return chosen.priority > next.priority
    ? `${chosen.member} is as advanced as ${level}, and has the highest priority`
    : `${chosen.member} is as advanced as ${level}, of the same priority, and first by name`;
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const;

/** A number of bytes for people: `1 byte`, `512 bytes`, `16 MB`. */
export function inBytes(bytes: number): string {
  if (bytes === 1) return '1 byte';
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : Number(value.toFixed(1))} ${UNITS[unit]}`;
}
