import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { IncidentLine } from '../model/status.ts';
import { UnderstudyError } from '../model/error.ts';
import { judgeMembers } from '../stage/checker.ts';
import { endOfLog, finalAnswer, hasReplayed, rowsOf } from '../stage/member-answers.ts';
import { StageError } from '../stage/stage-error.ts';
import { monotonicNs } from '../stage/writer-log.ts';
import type { Drill } from './drill.ts';
import { judgeDrill } from './judge.ts';
import type { Network } from './network.ts';
import { Rig } from './rig.ts';
import type { Step } from './step.ts';

export interface DrillResult {
  readonly name: string;
  readonly kind: string;
  readonly durability: 'sync' | 'async';
  readonly expected: string;
  readonly must: string;
  readonly mustNot: string;
  /** In words, by the witnesses, and the incidents by the group's own word. */
  readonly happened: string;
  readonly gapMs?: number;
  readonly lost: number;
  readonly late: number;
  /** From the end of the healing until all was as before. */
  readonly convergedMs?: number;
  readonly tookMs: number;
  readonly passed: boolean;
  readonly wrong: readonly string[];
  /** Where its logs are, where it failed. */
  readonly logs?: string;
}

export interface RunOptions {
  /** Of this run alone: every stage has a directory below. */
  readonly dir: string;
  readonly network: Network;
  readonly leaseMs: number;
  readonly signal: AbortSignal;
  readonly tell: (words: string) => void;
  readonly done: (result: DrillResult, count: number) => void;
}

export interface RunResult {
  readonly results: readonly DrillResult[];
  readonly postgres: string;
  readonly kept: readonly string[];
}

const CONVERGE_MS = 40_000;
const FLOW_LIMIT_MS = 30_000;
const WRITES_BETWEEN = 40;
const SETTLED_LEASES = 2;
/** A workflow's clock is that of the server's last event, and may lie a little behind ours. */
const CLOCK_SLACK_MS = 50;

/** Each drill, one after another, on one stage for as long as it is whole. */
export async function runDrills(drills: readonly Drill[], options: RunOptions): Promise<RunResult> {
  const results: DrillResult[] = [];
  const kept: string[] = [];
  const stages = new Stages(options, kept);
  try {
    for (const drill of inOrder(drills)) {
      options.signal.throwIfAborted();
      const result = await oneDrill(drill, stages, options);
      results.push(result);
      options.done(result, results.length);
    }
    for (const wrong of await stages.close()) {
      results.push(wrong);
      options.done(wrong, results.length);
    }
  } finally {
    await stages.end();
  }
  return { results, postgres: stages.postgres, kept };
}

/** Those of one durability after another, so that they can share a stage. */
const inOrder = (drills: readonly Drill[]): Drill[] => [...drills].sort((a, b) => rank(a) - rank(b));
const rank = ({ durability, last }: Drill): number => (durability === 'async' ? 2 : 0) + (last === true ? 1 : 0);

async function oneDrill(drill: Drill, stages: Stages, options: RunOptions): Promise<DrillResult> {
  const startedMs = Date.now();
  const durability = drill.durability ?? 'sync';
  const base = { name: drill.name, kind: drill.kind, durability, expected: expectedOf(drill), must: drill.must, mustNot: drill.mustNot };
  // A stage that does not come up is no result of a drill: it ends the run.
  const rig = await stages.take(durability);
  try {
    options.tell(`${drill.name} …`);
    const played = await play(drill, rig);
    const passed = played.wrong.length === 0;
    const logs = rig.options.dir;
    await stages.give(!passed || drill.last === true, !passed);
    return { ...base, ...played, passed, tookMs: Date.now() - startedMs, ...(passed ? {} : { logs }) };
  } catch (error) {
    if (options.signal.aborted || !(error instanceof StageError || error instanceof UnderstudyError || isRefusal(error))) throw error;
    const logs = rig.options.dir;
    await stages.give(true, true);
    const words = (error as Error).message;
    return {
      ...base,
      happened: 'it could not be played to its end',
      lost: 0,
      late: 0,
      passed: false,
      wrong: [words],
      tookMs: Date.now() - startedMs,
      logs,
    };
  }
}

/** What Temporal, a member or a tool of the system says no with: a drill that fails, and not this program. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof Error &&
  /^(ServiceError|WorkflowUpdateFailedError|WorkflowNotFoundError|QueryNotRegisteredError|QueryRejectedError|ExecaError|DatabaseError|error|Error)$/.test(
    error.name,
  );

const expectedOf = ({ ending, gap, incidents }: Drill): string => `${ending}; gap: ${gap}${incidents === undefined ? '' : `; incidents: at most ${incidents}`}`;

async function play(drill: Drill, rig: Rig) {
  const { witnesses, stage } = rig;
  const { signal } = rig.options;
  await rig.untilSteady(CONVERGE_MS);
  await witnesses.untilFlowing(WRITES_BETWEEN, FLOW_LIMIT_MS, signal);
  await rig.takeCast();
  rig.notes.clear();
  for (const step of drill.before ?? []) await take(step, rig, 0);
  if (drill.before !== undefined) {
    await rig.untilSteady(CONVERGE_MS);
    await rig.takeCast();
    await witnesses.untilFlowing(WRITES_BETWEEN, FLOW_LIMIT_MS, signal);
  }
  const epochBefore = (await rig.status()).epoch;
  const primary = rig.member('primary');
  const wrong: string[] = [];
  const [t0Ns, t0WallMs] = [monotonicNs(), Date.now()];
  let convergedMs: number | undefined;
  try {
    for (const step of drill.faults) await take(step, rig, t0Ns);
    for (const step of drill.heal) await take(step, rig, t0Ns);
  } catch (error) {
    if (signal.aborted || !(error instanceof StageError)) throw error;
    wrong.push(error.message);
  }
  await rig.network.healAll();
  rig.thawAll();
  try {
    const healedMs = Date.now();
    await rig.untilSteady(drill.convergeMs ?? CONVERGE_MS);
    await witnesses.untilFlowing(WRITES_BETWEEN, FLOW_LIMIT_MS, signal);
    await untilAllReplayed(rig);
    convergedMs = Date.now() - healedMs;
    // A lease that is lost shows late: what comes of a fault is not known before it would have run out, and an incident would be under way.
    const restMs = SETTLED_LEASES * rig.leaseMs - (Date.now() - t0WallMs);
    if (restMs > 0) {
      await rig.hold(restMs);
      await rig.untilSteady(drill.convergeMs ?? CONVERGE_MS);
    }
  } catch (error) {
    if (signal.aborted || !(error instanceof StageError)) throw error;
    wrong.push(`not as before: ${error.message}`);
  }
  // The logs are read before the rows, so whatever they hold must be there.
  const seen = witnesses.read();
  const endNs = monotonicNs();
  const open = await rig.openMembers();
  const [last] = open;
  const judged = judgeDrill(drill, {
    seen,
    rows: last === undefined ? undefined : await rowsOf(last),
    t0Ns,
    endNs,
    oldPort: primary.port,
    newPort: last?.port,
    leaseMs: rig.leaseMs,
    durability: stage.options.durability,
    ...(drill.strayed === undefined ? {} : { strayedPort: rig.member(drill.strayed).port }),
  });
  wrong.push(...judged.wrong);
  if (drill.check !== undefined) wrong.push(...(await drill.check(rig, t0Ns)));
  const { incidents, words } = await incidentsSince(rig, t0WallMs, epochBefore);
  if (drill.incidents !== undefined && incidents.length > drill.incidents)
    wrong.push(`${incidents.length} incidents, and at most ${drill.incidents} were to be`);
  const moved = last !== undefined && last.name !== primary.name ? ` ${primary.name} → ${last.name}` : '';
  return {
    happened: `${judged.ending}${moved}${words === '' ? '' : `; ${words}`}`,
    ...(judged.gapMs === undefined ? {} : { gapMs: Math.round(judged.gapMs) }),
    lost: judged.lost,
    late: judged.late,
    ...(convergedMs === undefined ? {} : { convergedMs }),
    wrong,
  };
}

async function take(step: Step, rig: Rig, t0Ns: number): Promise<void> {
  rig.options.tell(`  ${step.words}`);
  await step.run(rig, t0Ns);
}

async function untilAllReplayed(rig: Rig): Promise<void> {
  const [primary] = await rig.openMembers();
  if (primary === undefined) throw new StageError('nobody is open');
  const end = await endOfLog(primary);
  await rig.until('every member to have replayed the same log', async () => {
    const there = await Promise.all(rig.stage.members.map(async (one) => ((await hasReplayed(one, end)) ? [] : [`${one.name} has not replayed ${end}`])));
    return there.flat();
  });
  const answers = await Promise.all(rig.stage.members.map((one) => finalAnswer(one.name, one)));
  if (new Set(answers.map(({ timeline }) => timeline)).size > 1)
    throw new StageError(`the members are on different timelines: ${answers.map(({ member, timeline }) => `${member} ${timeline}`).join(', ')}`);
}

async function incidentsSince(rig: Rig, t0WallMs: number, epochBefore: number): Promise<{ incidents: readonly IncidentLine[]; words: string }> {
  try {
    const { incidents, epoch } = await rig.status();
    const since = incidents.filter(({ startedAtMs }) => startedAtMs >= t0WallMs - CLOCK_SLACK_MS);
    const lines = since.map(({ kind, cause, outcome }) => `${kind} ${cause}: ${outcome}`);
    return { incidents: since, words: [...(epoch === epochBefore ? [] : [`epoch ${epochBefore} → ${epoch}`]), ...lines].join('; ') };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { incidents: [], words: `the group does not answer (${error.message})` };
  }
}

/** One stage after another: each is used until something on it went wrong. */
class Stages {
  readonly #options: RunOptions;
  readonly #kept: string[];
  #rig: Rig | undefined;
  #count = 0;
  postgres = '';

  constructor(options: RunOptions, kept: string[]) {
    this.#options = options;
    this.#kept = kept;
  }

  async take(durability: 'sync' | 'async'): Promise<Rig> {
    if (this.#rig !== undefined && this.#rig.options.durability !== durability) await this.give(true, false);
    if (this.#rig === undefined) {
      const { dir, network, leaseMs, signal, tell } = this.#options;
      this.#count += 1;
      const own = path.join(dir, `s${this.#count}`);
      mkdirSync(own, { recursive: true, mode: 0o755 });
      tell(`a new stage, ${durability}, lease ${leaseMs} ms`);
      this.#rig = await Rig.start({ dir: own, network, leaseMs, durability, signal, tell: () => undefined });
      this.postgres = this.#rig.stage.postgresVersion;
    }
    return this.#rig;
  }

  async give(end: boolean, keep: boolean): Promise<void> {
    if (!end || this.#rig === undefined) return;
    const rig = this.#rig;
    this.#rig = undefined;
    if (keep) this.#kept.push(rig.options.dir);
    await rig.stop(keep);
  }

  /** The last stage was whole to its end: with nobody writing any more, all members must hold the same rows. */
  async close(): Promise<DrillResult[]> {
    const rig = this.#rig;
    if (rig === undefined) return [];
    const startedMs = Date.now();
    await rig.witnesses.stop();
    await untilAllReplayed(rig);
    const wrong = judgeMembers(await Promise.all(rig.stage.members.map((one) => finalAnswer(one.name, one))));
    await this.give(true, wrong.length > 0);
    return [
      {
        name: 'at the end, with nobody writing',
        kind: 'all',
        durability: rig.options.durability,
        expected: 'all alike',
        must: 'one member is open; all hold the same rows on the same timeline',
        mustNot: 'a member that looks healthy and is not',
        happened: wrong.length === 0 ? 'all alike' : 'not alike',
        lost: 0,
        late: 0,
        passed: wrong.length === 0,
        wrong,
        tookMs: Date.now() - startedMs,
      },
    ];
  }

  async end(): Promise<void> {
    await this.give(true, false);
  }
}
