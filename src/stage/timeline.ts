import type { Incident, Step, StepName } from '../model/incident.ts';
import type { FaultVerdict } from './checker.ts';
import { FAULTS, type FaultKind } from './faults.ts';
import type { Trial } from './trial.ts';

/** One line of the demo's table: milliseconds from the fault, by the incident's own steps and by the writer's log. */
export interface FaultLine {
  readonly kind: FaultKind;
  readonly fault: string;
  readonly from: string;
  readonly to: string;
  readonly epoch: number;
  readonly cause: string;
  readonly detectedMs?: number;
  readonly decidedMs?: number;
  readonly promotedMs?: number;
  readonly publishedMs?: number;
  /** By the writer: independent of what the incident says. */
  readonly firstWriteMs?: number;
  readonly gapMs?: number;
  readonly lost: number;
  readonly lateAcknowledgements: number;
  readonly recoveredMs: number;
  readonly incident?: string;
  readonly link?: string;
}

export function lineOf(trial: Trial, verdict: FaultVerdict): FaultLine {
  const { incident, t0WallMs } = trial;
  const since = (atMs: number | undefined): number | undefined => (atMs === undefined ? undefined : Math.round(atMs - t0WallMs));
  const published = incident?.records.map(({ publishedAtMs }) => publishedAtMs).filter((atMs) => atMs !== undefined) ?? [];
  return defined({
    kind: trial.kind,
    fault: FAULTS[trial.kind].title,
    from: trial.victim.name,
    to: trial.primaryAfter,
    epoch: trial.epochAfter,
    cause: incident?.cause.words ?? 'no incident: the database was started again in its place',
    detectedMs: since(incident?.cause.knownAtMs),
    decidedMs: since(decidedAt(incident)),
    promotedMs: since(endOf(incident, 'promote')),
    publishedMs: since(published.length > 0 ? Math.min(...published) : endOf(incident, 'publish')),
    firstWriteMs: round(verdict.firstWriteMs),
    gapMs: round(verdict.gapMs),
    lost: verdict.lost,
    lateAcknowledgements: verdict.lateAcknowledgements,
    recoveredMs: Math.round(trial.recoveredMs),
    incident: incident?.id,
    link: trial.link,
  });
}

/** A failover is decided by its last election, a switchover by the check before it. */
function decidedAt(incident: Incident | undefined): number | undefined {
  return incident?.elections.at(-1)?.atMs ?? endOf(incident, 'elect') ?? endOf(incident, 'check');
}

function endOf(incident: Incident | undefined, name: StepName): number | undefined {
  return incident?.steps.findLast((step: Step) => step.name === name && (step.outcome === 'done' || step.outcome === 'already'))?.endedAtMs;
}

const round = (ms: number | undefined): number | undefined => (ms === undefined ? undefined : Math.round(ms));

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};
const defined = <T extends object>(value: T): Defined<T> => Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Defined<T>;
