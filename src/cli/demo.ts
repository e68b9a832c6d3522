import { CliError, EXIT } from './exit.ts';
import { withStageErrors } from './local.ts';
import { globalsOf, printData } from './output.ts';
import { type Program, example } from './program.ts';

const INTERRUPTED = 130;

export async function register(program: Program): Promise<void> {
  const { readDuration, readLease } = await import('../stage/options.ts');
  program
    .command('demo')
    .summary('play the main job on embedded parts')
    .description(
      'Starts a group of three on this machine with everything that it needs, writes to it, breaks it in four ways, and shows what each cost. Ends with 0 only if every promise was kept, and leaves nothing behind.',
    )
    .option('--stay', 'leave it up at the end, to explore')
    .option('--json', 'print the result as JSON')
    .option('--lease <duration>', 'how long a primary may write without being heard of', readLease, 1_000)
    .option('--freeze <duration>', 'how long the frozen node is left frozen', readDuration, 8_000)
    .addHelpText('after', example('understudy demo', 'understudy demo --json | jq .faults[].gapMs'))
    .action(async (options, command) => demo(options, command));
}

interface Options {
  readonly stay?: true | undefined;
  readonly json?: true | undefined;
  readonly lease: number;
  readonly freeze: number;
}

async function demo(options: Options, command: Program): Promise<void> {
  const [{ playDemo }, { makeView }, { isInterruption, listenForInterrupt }] = await Promise.all([
    import('../stage/demo.ts'),
    import('../stage/demo-view.ts'),
    import('../stage/interrupt.ts'),
  ]);
  const { output } = globalsOf(command);
  const format = options.json === true ? 'json' : output;
  const interrupt = listenForInterrupt();
  const view = makeView(process.stderr, format === 'table' ? process.stdout : undefined);
  await withStageErrors(async () => {
    try {
      const result = await playDemo({ leaseMs: options.lease, stay: options.stay === true, freezeMs: options.freeze }, view, interrupt);
      if (format !== 'table') await printData(format, result, () => '');
      if (result.broken.length > 0) throw new CliError(EXIT.failed, `${result.broken.length} promises were broken`, { why: result.broken.join('; ') });
    } catch (error) {
      if (!isInterruption(error, interrupt)) throw error;
      process.exitCode = INTERRUPTED;
    } finally {
      view.close();
      interrupt.close();
    }
  });
}
