import type { Answer } from './election.ts';

export interface Outage {
  readonly words: string;
}

/** An outage that ended longer ago has expired no lease of today. */
const ENDED_WITHIN_MS = 15_000;

/**
 * Whether leases ran out because Temporal was away, and not the primary: a server that was away for as long as a lease expires every one of them at its start,
 * before any agent can reach it (protocol 3.5). Whoever answers says whether Temporal answered it.
 */
export function orchestratorWasAway(answers: readonly Answer[], leaseMs: number): Outage | undefined {
  const seen = answers
    .flatMap((answer) => ('report' in answer && answer.report.away !== undefined ? [{ member: answer.member, ...answer.report.away }] : []))
    .filter(({ lastedMs, endedAgoMs }) => lastedMs >= leaseMs / 2 && endedAgoMs <= ENDED_WITHIN_MS)
    .toSorted((a, b) => b.lastedMs - a.lastedMs || (a.member < b.member ? -1 : 1));
  const [longest] = seen;
  if (longest === undefined) return undefined;
  const names = seen.map(({ member }) => member).toSorted();
  return { words: `Temporal did not answer ${names.join(', ')} for up to ${inSeconds(longest.lastedMs)} s, until ${inSeconds(longest.endedAgoMs)} s ago` };
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
