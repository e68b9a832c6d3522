import { cpus, release, totalmem } from 'node:os';
import { FAULTS, type FaultKind } from './faults.ts';
import { type Judgement, judge } from './judgement.ts';
import { Stage } from './stage.ts';
import { type Summary, summarise } from './statistics.ts';
import { type FaultLine, lineOf } from './timeline.ts';
import { type Trial, runTrial } from './trial.ts';
import { Writers } from './writers.ts';

export type Durability = 'sync' | 'async';

export interface BenchOptions {
  readonly times: number;
  readonly durability: readonly Durability[];
  readonly faults: readonly FaultKind[];
  readonly leaseMs: number;
  readonly freezeMs: number;
  readonly signal: AbortSignal;
  readonly tell: (words: string) => void;
}

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryMb: number;
  readonly kernel: string;
  readonly node: string;
  readonly postgres: string;
}

export interface FaultFigures {
  readonly kind: FaultKind;
  readonly fault: string;
  /** Milliseconds; left out where not one was measured. */
  readonly gapMs?: Summary;
  /** From the fault to the first acknowledgement of the new primary: where the gap is longer, something stalled afterwards. */
  readonly firstWriteMs?: Summary;
  /** The most that a median may be for this act to be done (at a lease of 1 s on 2 cores). */
  readonly mustMs: number;
  readonly lost: number;
  readonly lateAcknowledgements: number;
  readonly each: readonly FaultLine[];
}

export interface BenchRun {
  readonly durability: Durability;
  readonly leaseMs: number;
  readonly faults: readonly FaultFigures[];
  readonly acknowledged: number;
  readonly lost: number;
  readonly broken: readonly string[];
}

export interface BenchResult {
  readonly machine: Machine;
  readonly startedAt: string;
  readonly times: number;
  readonly freezeMs: number;
  readonly runs: readonly BenchRun[];
}

const MEMBERS = 3;
/** The table. */
export const MUST_MS: Readonly<Record<FaultKind, number>> = { S1: 400, S2: 1_600, S3: 1_600, S4: 400 };

/** Each fault many times over, with the writer running: what clients see of it. */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const startedAt = new Date().toISOString();
  const runs: BenchRun[] = [];
  let postgres = '';
  for (const durability of options.durability) {
    const stage = await startStage(options, durability, options.leaseMs);
    postgres = stage.postgresVersion;
    let keep = true;
    try {
      const run = await runFaults(stage, durability, options);
      keep = run.broken.length > 0;
      runs.push(run);
    } finally {
      if (keep && !options.signal.aborted) options.tell(`the logs are kept in ${stage.layout.dir}`);
      await stage.stop({ keep: keep && !options.signal.aborted });
    }
  }
  return { machine: machineWords(postgres), startedAt, times: options.times, freezeMs: options.freezeMs, runs };
}

export function startStage(options: Pick<BenchOptions, 'signal' | 'tell'>, durability: Durability, leaseMs: number): Promise<Stage> {
  return Stage.start({ members: MEMBERS, leaseMs, durability, portBase: 0, temporary: true, tell: options.tell, signal: options.signal });
}

async function runFaults(stage: Stage, durability: Durability, options: BenchOptions): Promise<BenchRun> {
  const { times, faults, signal, tell } = options;
  const writers = await Writers.start(stage);
  const trials: Trial[] = [];
  for (const kind of faults) {
    for (let round = 1; round <= times; round += 1) {
      const trial = await runTrial(stage, writers, kind, { freezeMs: options.freezeMs, signal, tell: () => undefined });
      trials.push(trial);
      const gapMs = writers.gapAround(trial.t0Ns);
      tell(
        `${durability} ${kind} ${round}/${times}: ${trial.victim.name} → ${trial.primaryAfter}, gap ${gapMs === undefined ? '?' : Math.round(gapMs)} ms, all back after ${(trial.recoveredMs / 1000).toFixed(1)} s`,
      );
    }
  }
  const judgement = await judge(stage, writers, trials, signal);
  const lines = linesOf(trials, judgement);
  return {
    durability,
    leaseMs: stage.options.leaseMs,
    faults: faults.map((kind) =>
      figuresOf(
        kind,
        lines.filter((line) => line.kind === kind),
      ),
    ),
    acknowledged: judgement.acknowledged,
    lost: judgement.lost,
    broken: judgement.broken,
  };
}

function linesOf(trials: readonly Trial[], judgement: Judgement): FaultLine[] {
  return trials.flatMap((trial, index) => {
    const verdict = judgement.faults[index];
    return verdict === undefined ? [] : [lineOf(trial, verdict)];
  });
}

function figuresOf(kind: FaultKind, each: readonly FaultLine[]): FaultFigures {
  const gaps = each.flatMap(({ gapMs }) => gapMs ?? []);
  const firsts = each.flatMap(({ firstWriteMs }) => firstWriteMs ?? []);
  return {
    kind,
    fault: FAULTS[kind].title,
    ...(gaps.length === 0 ? {} : { gapMs: summarise(gaps) }),
    ...(firsts.length === 0 ? {} : { firstWriteMs: summarise(firsts) }),
    mustMs: MUST_MS[kind],
    lost: each.reduce((sum, line) => sum + line.lost, 0),
    lateAcknowledgements: each.reduce((sum, line) => sum + line.lateAcknowledgements, 0),
    each,
  };
}

export function machineWords(postgres: string): Machine {
  const all = cpus();
  return {
    cores: all.length,
    processor: all[0]?.model ?? 'unknown',
    memoryMb: Math.round(totalmem() / 2 ** 20),
    kernel: release(),
    node: process.version,
    postgres,
  };
}
