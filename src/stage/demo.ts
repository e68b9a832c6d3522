import { type Interrupt } from './interrupt.ts';
import { FAULTS, FAULT_KINDS, type FaultKind } from './faults.ts';
import { type Judgement, judge } from './judgement.ts';
import type { DemoView } from './demo-view.ts';
import { Stage } from './stage.ts';
import { DEFAULT_PORT_BASE, isPortBaseFree } from './ports.ts';
import { type FaultLine, lineOf } from './timeline.ts';
import { type Trial, runTrial } from './trial.ts';
import { Writers } from './writers.ts';
import { listenForCommands } from './control.ts';
import type { StageLine } from './stage-line.ts';

export interface DemoOptions {
  readonly leaseMs: number;
  readonly stay: boolean;
  /** How long the frozen node is left frozen. */
  readonly freezeMs: number;
  readonly faults?: readonly FaultKind[];
}

export interface DemoResult {
  readonly faults: readonly FaultLine[];
  readonly writes: { readonly attempted: number; readonly acknowledged: number; readonly unknown: number; readonly lost: number };
  /** Each broken promise in words; empty where all were kept. */
  readonly broken: readonly string[];
}

const MEMBERS = 3;

/** The main job on embedded parts, one fault after another, judged at the end by the writer's log and the members' answers. */
export async function playDemo(options: DemoOptions, view: DemoView, interrupt: Interrupt): Promise<DemoResult> {
  const { signal } = interrupt;
  const tell = (words: string): void => view.tell(words);
  view.begin('starting Temporal, DNS, a worker and three members');
  const stage = await Stage.start({
    members: MEMBERS,
    leaseMs: options.leaseMs,
    durability: 'sync',
    // The usual place where it is free, so that the UI is where people look for it.
    portBase: (await isPortBaseFree(DEFAULT_PORT_BASE, MEMBERS)) ? DEFAULT_PORT_BASE : 0,
    temporary: true,
    tell,
    signal,
  });
  let keep = false;
  try {
    const writers = await Writers.start(stage);
    view.done(`a group of ${MEMBERS}, and a writer that finds its primary by ${stage.config.groups['orders']?.spec.records[0]?.name ?? 'its name'}`);
    view.note(`Temporal UI: ${stage.config.temporal.ui ?? ''}`);
    const trials: Trial[] = [];
    for (const kind of options.faults ?? FAULT_KINDS) {
      const { title, words } = FAULTS[kind];
      view.begin(`${title} (${words})`);
      const trial = await runTrial(stage, writers, kind, { freezeMs: options.freezeMs, signal, tell });
      trials.push(trial);
      const gapMs = writers.gapAround(trial.t0Ns);
      view.done(
        `${title}: ${trial.victim.name} → ${trial.primaryAfter}, no write for ${gapMs === undefined ? '?' : Math.round(gapMs)} ms, all back after ${(trial.recoveredMs / 1000).toFixed(1)} s`,
      );
    }
    view.begin('comparing what was acknowledged with what is there');
    const judgement = await judge(stage, writers, trials, signal);
    view.done(`${judgement.acknowledged} writes acknowledged, ${judgement.lost} of them lost`);
    const result = resultOf(trials, judgement);
    view.end(result);
    keep = result.broken.length > 0;
    if (options.stay) await stay(stage, view, signal);
    return result;
  } catch (error) {
    keep = !signal.aborted;
    throw error;
  } finally {
    view.close();
    if (keep) view.note(`The logs are kept in ${stage.layout.dir}`);
    await stage.stop({ keep });
  }
}

function resultOf(trials: readonly Trial[], judgement: Judgement): DemoResult {
  return {
    faults: trials.flatMap((trial, index) => {
      const verdict = judgement.faults[index];
      return verdict === undefined ? [] : [lineOf(trial, verdict)];
    }),
    writes: { attempted: judgement.attempts, acknowledged: judgement.acknowledged, unknown: judgement.unknown, lost: judgement.lost },
    broken: judgement.broken,
  };
}

async function stay(stage: Stage, view: DemoView, signal: AbortSignal): Promise<void> {
  const server = await listenForCommands(stage);
  const line: StageLine = await stage.describe();
  view.stay(line);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  server.close();
}
