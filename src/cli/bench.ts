import { InvalidArgumentError, Option } from '@commander-js/extra-typings';
import type { BenchResult, Machine } from '../stage/bench.ts';
import type { FaultKind } from '../stage/faults.ts';
import type { Footprint } from '../stage/footprint.ts';
import { CliError, EXIT } from './exit.ts';
import { withStageErrors } from './local.ts';
import { globalsOf, printData, say, table } from './output.ts';
import { type Program, example } from './program.ts';

const INTERRUPTED = 130;

export async function register(program: Program): Promise<void> {
  const [{ readCount, readDuration, readLease }, { FAULT_KINDS }] = await Promise.all([import('../stage/options.ts'), import('../stage/faults.ts')]);
  program
    .command('bench')
    .summary('measure what each fault costs those who write')
    .description(
      'Starts a group of three on this machine and does each fault to it many times, with a writer running that knows its name alone. Prints the time without an acknowledged write, what was lost, and what the old primary still acknowledged.',
    )
    .option('--times <n>', 'how often each fault', readCount, 5)
    .addOption(new Option('--durability <mode>', 'which promise').choices(['sync', 'async', 'both'] as const).default('both' as const))
    .option('--faults <list>', `some of ${FAULT_KINDS.join(',')}`, (text) => readFaults(text, FAULT_KINDS), FAULT_KINDS)
    .option('--lease <duration>', 'how long a primary may write without being heard of; left out: 1s, and 3s for --footprint', readLease)
    .option('--freeze <duration>', 'how long a frozen node is left frozen', readDuration, 60_000)
    .option('--footprint', 'measure instead what agent and guard use while nothing happens, and what the history grows')
    .option('--idle <duration>', 'how long nothing happens, for --footprint', readDuration, 60_000)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', example('understudy bench --times 3 --durability sync --faults S1,S4', 'understudy bench --footprint --idle 10m'))
    .action(async (options, command) => bench(options, command));
}

interface Options {
  readonly times: number;
  readonly durability: 'sync' | 'async' | 'both';
  readonly faults: readonly FaultKind[];
  readonly lease?: number | undefined;
  readonly freeze: number;
  readonly footprint?: true | undefined;
  readonly idle: number;
  readonly json?: true | undefined;
}

async function bench(options: Options, command: Program): Promise<void> {
  const { isInterruption, listenForInterrupt } = await import('../stage/interrupt.ts');
  const { output } = globalsOf(command);
  const format = options.json === true ? 'json' : output;
  const interrupt = listenForInterrupt();
  const common = { signal: interrupt.signal, tell: (words: string) => say(`bench: ${words}`) };
  await withStageErrors(async () => {
    try {
      if (options.footprint === true) {
        const { measureFootprint } = await import('../stage/footprint.ts');
        const found = await measureFootprint({ ...common, leaseMs: options.lease ?? 3_000, idleMs: options.idle });
        return await printData(format, found, () => describeFootprint(found));
      }
      const { runBench } = await import('../stage/bench.ts');
      const durability = options.durability === 'both' ? (['sync', 'async'] as const) : [options.durability];
      const result = await runBench({
        ...common,
        times: options.times,
        durability,
        faults: options.faults,
        leaseMs: options.lease ?? 1_000,
        freezeMs: options.freeze,
      });
      await printData(format, result, () => describe(result));
      const broken = result.runs.flatMap((run) => run.broken.map((words) => `${run.durability}: ${words}`));
      if (broken.length > 0) throw new CliError(EXIT.failed, `${broken.length} promises were broken`, { why: broken.join('; ') });
    } catch (error) {
      if (!isInterruption(error, interrupt)) throw error;
      process.exitCode = INTERRUPTED;
    } finally {
      interrupt.close();
    }
  });
}

function readFaults(text: string, kinds: readonly FaultKind[]): FaultKind[] {
  return text.split(',').map((word) => {
    const kind = kinds.find((one) => one === word.trim().toUpperCase());
    if (kind === undefined) throw new InvalidArgumentError(`Use some of ${kinds.join(',')}.`);
    return kind;
  });
}

const machineLine = ({ cores, processor, memoryMb, kernel, node, postgres }: Machine): string =>
  `${cores} cores (${processor}), ${memoryMb} MB, Linux ${kernel}, Node ${node}, PostgreSQL ${postgres}`;

function describe(result: BenchResult): string {
  const rows = result.runs.flatMap((run) =>
    run.faults.map(({ kind, fault, gapMs, firstWriteMs, mustMs, lost, lateAcknowledgements }) => [
      run.durability,
      `${kind} ${fault}`,
      ...(gapMs === undefined ? ['-', '-', '-'] : [gapMs.min, gapMs.median, gapMs.max].map((ms) => `${Math.round(ms)} ms`)),
      `<= ${mustMs} ms`,
      firstWriteMs === undefined ? '-' : `${Math.round(firstWriteMs.median)} ms`,
      lost,
      lateAcknowledgements,
    ]),
  );
  const leases = [...new Set(result.runs.map(({ leaseMs }) => `${leaseMs} ms`))].join(', ');
  return [
    machineLine(result.machine),
    `lease ${leases}; each fault ${result.times} times; frozen for ${result.freezeMs / 1000} s; write gap as the writer saw it`,
    '',
    table(['durability', 'fault', 'min', 'median', 'max', 'median must be', 'first write', 'lost', 'late acknowledgements'], rows),
  ].join('\n');
}

function describeFootprint({ machine, leaseMs, idleMs, parts, together, history }: Footprint): string {
  return [
    machineLine(machine),
    `lease ${leaseMs} ms, idle for ${idleMs / 1000} s`,
    '',
    table(
      ['member', 'part', 'PSS', 'RSS', 'CPU of a core'],
      parts.map(({ member, part, pssMb, rssMb, cpuPercent }) => [member, part, `${pssMb} MB`, `${rssMb} MB`, `${cpuPercent} %`]),
    ),
    '',
    `agent and guard together, at most: ${together.pssMb} MB (${together.rssMb} MB with what is shared), ${together.cpuPercent} % of a core`,
    `events in the group's history: ${history.before} before, ${history.after} after`,
  ].join('\n');
}
