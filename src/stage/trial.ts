import type { Incident } from '../model/incident.ts';
import { type FaultKind, type FaultOptions, type Injected, inject } from './faults.ts';
import type { Stage } from './stage.ts';
import { StageError } from './stage-error.ts';
import { statusOf, whatIsMissing } from './steady.ts';
import { waitUntil } from './wait.ts';
import type { Writers } from './writers.ts';

export interface TrialOptions extends FaultOptions {
  readonly signal: AbortSignal;
  readonly tell: (words: string) => void;
}

/** One fault from its making to the return of everybody. What it did to the writers is judged at the end, from their logs. */
export interface Trial {
  readonly kind: FaultKind;
  readonly t0Ns: number;
  readonly t0WallMs: number;
  readonly victim: { readonly name: string; readonly port: number };
  readonly epochBefore: number;
  readonly epochAfter: number;
  readonly primaryAfter: string;
  /** From the fault until every member was back and followed. */
  readonly recoveredMs: number;
  readonly incident?: Incident;
  readonly link?: string;
}

/** That many writes between a steady group and the next fault. */
const WRITES_BETWEEN = 100;
const FLOW_LIMIT_MS = 30_000;
const TAKEOVER_LIMIT_MS = 60_000;
const RECOVERY_LIMIT_MS = 120_000;

export async function runTrial(stage: Stage, writers: Writers, kind: FaultKind, options: TrialOptions): Promise<Trial> {
  const { signal, tell } = options;
  await writers.untilFlowing(WRITES_BETWEEN, FLOW_LIMIT_MS, signal);
  const before = await statusOf(stage);
  const victim = stage.members.find(({ name }) => name === before.primary);
  if (victim === undefined) throw new StageError(`the group has no primary that the stage knows: ${before.primary ?? 'nobody'}`);
  const injected = await inject(stage, kind, victim, options);
  tell(`${victim.name} ${DONE_TO[kind]}`);
  await untilTakenOver(stage, writers, injected, before.epoch, signal);
  tell('writes go on; the old primary is to return');
  await injected.heal(signal);
  await waitUntil('the return of every member', async () => whatIsMissing(stage), { limitMs: RECOVERY_LIMIT_MS, signal });
  const recoveredMs = Date.now() - injected.t0WallMs;
  const after = await statusOf(stage);
  const line = after.incidents.findLast(({ startedAtMs }) => startedAtMs >= injected.t0WallMs - CLOCK_SLACK_MS);
  const incident = line === undefined ? undefined : await incidentOf(stage, line.id);
  const link = line === undefined ? undefined : stage.connected.uiLink(line.id);
  return {
    kind,
    t0Ns: injected.t0Ns,
    t0WallMs: injected.t0WallMs,
    victim,
    epochBefore: before.epoch,
    epochAfter: after.epoch,
    primaryAfter: after.primary ?? 'nobody',
    recoveredMs,
    ...(incident === undefined ? {} : { incident }),
    ...(link === undefined ? {} : { link }),
  };
}

/** A workflow's clock is that of the server's last event, and may lie a little behind ours. */
const CLOCK_SLACK_MS = 50;
const DONE_TO: Readonly<Record<FaultKind, string>> = {
  S1: 'has lost its database process',
  S2: 'is dead: agent, guard and database',
  S3: 'is frozen',
  S4: 'is asked to hand over',
};

function incidentOf(stage: Stage, id: string): Promise<Incident> {
  return stage.connected.client.workflow.getHandle(id).query<Incident>('incident');
}

/** Someone else, or the same database started again, has acknowledged a write since the fault. */
async function untilTakenOver(stage: Stage, writers: Writers, { t0Ns, victim, postmaster }: Injected, epochBefore: number, signal: AbortSignal): Promise<void> {
  await waitUntil(
    'somebody to take the writes',
    async () => {
      writers.requireRunning();
      const { lastAckNs, lastPort } = writers.tail.read();
      if (lastAckNs > t0Ns && lastPort !== victim.port) return [];
      const now = stage.pidsOf(victim.name).postmaster;
      if (lastAckNs > t0Ns && now !== null && now !== postmaster && (await statusOf(stage)).epoch === epochBefore) return [];
      return [`nobody has acknowledged a write since ${victim.name} fell`];
    },
    { limitMs: TAKEOVER_LIMIT_MS, everyMs: 50, signal },
  );
}
