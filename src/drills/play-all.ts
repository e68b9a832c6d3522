import { findTemporal } from '../runtime/tools/temporal.ts';
import { machineWords } from '../stage/bench.ts';
import type { Drill } from './drill.ts';
import { Network } from './network.ts';
import { type DrillReport, describeReport, writeDocs } from './report.ts';
import { PARTS } from './rig.ts';
import { type DrillResult, runDrills } from './run.ts';

export interface PlayOptions {
  readonly dir: string;
  readonly drills: readonly Drill[];
  /** All that there are, in the order of the page. */
  readonly all: readonly Drill[];
  readonly leaseMs: number;
  readonly format: string;
  readonly docs: string | undefined;
}

/** In the namespaces that are ours alone. @returns the exit code */
export async function playAll(options: PlayOptions): Promise<number> {
  const stop = new AbortController();
  // Whoever started us holds the other end: it closes when we are to end, or when nobody is there any more.
  process.stdin.resume().once('close', () => stop.abort(new Error('told to end')));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(new Error(`ended by ${signal}`)));
  const say = (words: string): void => void process.stderr.write(`${words}\n`);
  const startedAt = new Date().toISOString();
  const done = (result: DrillResult, count: number): void => {
    const gap = result.gapMs === undefined ? '' : `, gap ${result.gapMs} ms`;
    say(
      `${result.passed ? 'pass' : 'FAIL'} ${count}/${options.drills.length} ${result.name}: ${result.happened}${gap} (${(result.tookMs / 1000).toFixed(1)} s)`,
    );
    for (const words of result.wrong) say(`     ${words}`);
  };
  try {
    const network = await Network.make(PARTS);
    const { version } = await findTemporal({ fetch: false });
    const run = await runDrills(options.drills, {
      dir: options.dir,
      network,
      leaseMs: options.leaseMs,
      signal: stop.signal,
      tell: (words) => say(`     ${words}`),
      done,
    });
    const report: DrillReport = { startedAt, machine: machineWords(run.postgres), temporal: version, leaseMs: options.leaseMs, results: run.results };
    const text = options.format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : `${describeReport(report)}\n`;
    await new Promise((resolve) => process.stdout.write(text, resolve));
    if (options.docs !== undefined)
      writeDocs(
        options.docs,
        report,
        options.all.map(({ name }) => name),
      );
    return run.results.every(({ passed }) => passed) ? 0 : 1;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    return 130;
  }
}
