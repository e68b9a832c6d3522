import { type FaultVerdict, type MemberAnswer, findDuplicates, findLost, judgeFaults, judgeMembers } from './checker.ts';
import { endOfLog, finalAnswer, hasReplayed, rowsOf } from './member-answers.ts';
import type { Stage } from './stage.ts';
import { StageError } from './stage-error.ts';
import { statusOf } from './steady.ts';
import type { Trial } from './trial.ts';
import { waitUntil } from './wait.ts';
import type { Writers } from './writers.ts';

/** What is so at the end, by the writers' logs and the members' answers alone. */
export interface Judgement {
  readonly faults: readonly FaultVerdict[];
  readonly attempts: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly lateAcknowledgements: number;
  readonly members: readonly MemberAnswer[];
  /** Each broken promise in words; empty where all were kept. */
  readonly broken: readonly string[];
}

const REPLAY_LIMIT_MS = 30_000;

/** Ends the writers, waits until every member has replayed what the primary has, and compares. */
export async function judge(stage: Stage, writers: Writers, trials: readonly Trial[], signal: AbortSignal): Promise<Judgement> {
  await writers.stop();
  const { writer, pinned } = writers.read();
  const { primary } = await statusOf(stage);
  const open = stage.members.find(({ name }) => name === primary);
  if (open === undefined) throw new StageError('the group has no primary at the end');
  const end = await endOfLog(open);
  await waitUntil(
    'every member to have replayed the same log',
    async () => {
      const there = await Promise.all(stage.members.map(async (one) => ((await hasReplayed(one, end)) ? [] : [`${one.name} has not replayed ${end}`])));
      return there.flat();
    },
    { limitMs: REPLAY_LIMIT_MS, signal },
  );
  const [rows, members] = await Promise.all([rowsOf(open), Promise.all(stage.members.map((one) => finalAnswer(one.name, one)))]);
  const ofPinned = pinned.flatMap((log) => log.acknowledged);
  const lost = findLost([...writer.acknowledged, ...ofPinned], rows);
  const duplicates = findDuplicates(rows);
  const faults = judgeFaults(
    trials.map(({ kind, t0Ns, victim }) => ({ name: kind, t0Ns, oldPort: victim.port })),
    writer.acknowledged,
    ofPinned,
    lost,
  );
  const lateAcknowledgements = faults.reduce((sum, fault) => sum + fault.lateAcknowledgements, 0);
  return {
    faults,
    attempts: writer.attempts + pinned.reduce((sum, log) => sum + log.attempts, 0),
    acknowledged: writer.acknowledged.length + ofPinned.length,
    unknown: writer.unknown.length,
    lost: lost.length,
    duplicates: duplicates.length,
    lateAcknowledgements,
    members,
    broken: [
      ...(lost.length > 0 && stage.options.durability === 'sync'
        ? [`I2: ${lost.length} acknowledged writes are lost, the first is ${lost[0]?.by}:${lost[0]?.id}`]
        : []),
      ...(lateAcknowledgements > 0 ? [`I1: the old primary acknowledged ${lateAcknowledgements} writes after the new one's first`] : []),
      ...(duplicates.length > 0 ? [`${duplicates.length} writes are there twice, the first is ${duplicates[0]}`] : []),
      ...judgeMembers(members),
      ...faults.flatMap((fault) => (fault.gapMs === undefined ? [`${fault.name}: nobody took the writes`] : [])),
    ],
  };
}
