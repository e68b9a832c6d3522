import type { Incident, IncidentOutcome, Loss, Step, StepName } from '../model/incident.ts';
import { assertNever } from '../model/assert-never.ts';

/** An incident in numbers: each is milliseconds since its cause was known; left out where it did not happen. */
export interface ReportFacts {
  readonly id: string;
  readonly group: string;
  readonly kind: Incident['kind'];
  readonly epoch: number;
  readonly cause: Incident['cause']['kind'];
  readonly outcome: IncidentOutcome['outcome'];
  readonly outcomeWords: string;
  readonly from: string;
  readonly to: string | null;
  /** When the cause was known, milliseconds since 1970: the zero of all that follows. */
  readonly startedAtMs: number;
  readonly decidedMs?: number;
  readonly promotedMs?: number;
  /** The last record of the group written; `verifiedMs` when every authoritative server answered it. */
  readonly publishedMs?: number;
  readonly verifiedMs?: number;
  /** The first write that the new primary acknowledged. */
  readonly firstWriteMs?: number;
  /** From the last instant at which the old primary may have taken writes, as far as it is known, to the first write: the gap as members saw it. */
  readonly writeGapMs?: number;
  /** The last thing that happened. */
  readonly totalMs: number;
  readonly steps: readonly {
    readonly name: StepName;
    readonly member?: string;
    readonly fromMs: number;
    readonly tookMs?: number;
    readonly outcome: Step['outcome'];
  }[];
  readonly lossKind: Loss['kind'];
  readonly lossWords: string;
}

/** A pure function of the incident, so that report, JSON and page can never disagree. */
export function summarise(incident: Incident): ReportFacts {
  const zero = incident.cause.knownAtMs;
  const since = (atMs: number | undefined): number | undefined => (atMs === undefined ? undefined : atMs - zero);
  const lastDone = (name: StepName): Step | undefined =>
    incident.steps.findLast((step) => step.name === name && (step.outcome === 'done' || step.outcome === 'already'));
  const firstWrite = since(lastDone('first-write')?.endedAtMs);
  // A planned swap closes the old primary on purpose: the gap begins there. Else it began, at the latest, when the cause was known.
  const closing =
    incident.kind === 'switchover' ? since(incident.steps.find((step) => step.name === 'step-down')?.startedAtMs) : (since(incident.before.endedAtMs) ?? 0);
  const published = incident.records.length > 0 ? latest(incident.records.map((record) => record.publishedAtMs)) : lastDone('publish')?.endedAtMs;
  const verified = incident.records.length > 0 ? latest(incident.records.map((record) => record.verifiedAtMs)) : lastDone('verify')?.endedAtMs;
  const ends = [
    ...incident.steps.flatMap((step) => [step.startedAtMs, step.endedAtMs]),
    ...incident.elections.map((election) => election.atMs),
    ...incident.records.flatMap((record) => [record.publishedAtMs, record.verifiedAtMs]),
  ].filter((atMs) => atMs !== undefined);
  return {
    id: incident.id,
    group: incident.group,
    kind: incident.kind,
    epoch: incident.epoch,
    cause: incident.cause.kind,
    outcome: incident.outcome.outcome,
    outcomeWords: outcomeWords(incident.outcome),
    from: incident.before.primary,
    to: incident.outcome.outcome === 'done' ? incident.outcome.primary : null,
    startedAtMs: zero,
    ...given('decidedMs', since(lastDone('elect')?.endedAtMs ?? incident.elections.at(-1)?.atMs)),
    ...given('promotedMs', since(lastDone('promote')?.endedAtMs)),
    ...given('publishedMs', since(published)),
    ...given('verifiedMs', since(verified)),
    ...given('firstWriteMs', firstWrite),
    ...given('writeGapMs', firstWrite === undefined || closing === undefined ? undefined : firstWrite - closing),
    totalMs: Math.max(0, ...ends.map((atMs) => atMs - zero)),
    steps: incident.steps.map((step) => ({
      name: step.name,
      ...given('member', step.member),
      fromMs: step.startedAtMs - zero,
      ...given('tookMs', step.endedAtMs === undefined ? undefined : step.endedAtMs - step.startedAtMs),
      outcome: step.outcome,
    })),
    lossKind: incident.loss.kind,
    lossWords: incident.loss.words,
  };
}

/** How it ended, in one sentence without its full stop. */
export function outcomeWords(outcome: IncidentOutcome): string {
  switch (outcome.outcome) {
    case 'running':
      return 'it is not over';
    case 'done':
      return `${outcome.primary} is the primary of epoch ${outcome.epoch}, on timeline ${outcome.timeline}`;
    case 'given-back':
      return `the role was given back to ${outcome.primary}: ${outcome.words}`;
    case 'nobody-fit':
      return `nobody was promoted: ${outcome.words}`;
    case 'primary-lives':
      return `the primary was alive, and nothing was promoted: ${outcome.words}`;
    case 'restarted':
      return `the old primary was started in place: ${outcome.words}`;
    case 'observed':
      return `observed only: ${outcome.words}`;
    case 'not-approved':
      return `not approved: ${outcome.words}`;
    case 'refused':
      return `refused: ${outcome.words}`;
    case 'failed':
      return `failed: ${outcome.words}`;
    default:
      return assertNever(outcome);
  }
}

/** Only where every one of them is there: a set that is half published is not published. */
function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === times.length ? Math.max(...known) : undefined;
}

function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}
