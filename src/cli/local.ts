import { CliError, EXIT } from './exit.ts';
import { globalsOf, printData, printJsonLine, say, table } from './output.ts';
import { type Program, example } from './program.ts';
import type { StageLine } from '../stage/stage-line.ts';

/** 128 and the signal's number, as a shell says it. */
const INTERRUPTED = 130;

export async function register(program: Program): Promise<void> {
  const [{ readLease, readMembers, readPort }, { DEFAULT_PORT_BASE }] = await Promise.all([import('../stage/options.ts'), import('../stage/ports.ts')]);
  const local = program
    .command('local')
    .summary('a whole group on this machine, to try out and to break')
    .description('A whole group on this machine, with everything that it needs, to try out and to break. Nothing listens beyond 127.0.0.1.');
  local
    .command('up')
    .summary('start it, say where everything is, and stay until told to end')
    .description(
      'Starts a Temporal development server, DNS, a worker, and agents with their databases; prints one line of JSON when the group is steady, and stays until SIGTERM or Ctrl-C. What is killed by hand stays dead, until "understudy local start" starts it again.',
    )
    .option('--dir <dir>', 'where everything lies; left out: a new directory in the place for temporary files, removed at the end')
    .option('--members <n>', 'how many members', readMembers, 3)
    .option('--lease <duration>', 'how long a primary may write without being heard of', readLease, 1_000)
    .option('--durability <mode>', 'sync or async', readDurability, 'sync')
    .option('--port-base <port>', 'the lowest port; 0: free ones are found', readPort, DEFAULT_PORT_BASE)
    .addHelpText(
      'after',
      example(
        'understudy local up --dir /var/tmp/stage -o json',
        'kill -9 $(understudy local status --dir /var/tmp/stage -o json | jq .members[0].pids.postmaster)',
      ),
    )
    .action(async (options, command) => up(options, command));
  local
    .command('status')
    .summary('say where everything is, and how it stands')
    .description('Asks a running stage where everything is and how it stands.')
    .requiredOption('--dir <dir>', 'the directory of the stage')
    .addHelpText('after', example('understudy local status --dir /var/tmp/stage'))
    .action(async (options, command) => status(options, command));
  local
    .command('start')
    .summary('start a part again that has ended')
    .description(
      'Asks a running stage to start a part again that has ended: the agent of a member (which starts its guard and its database), or worker, dns or temporal.',
    )
    .argument('<part>', 'a member, or worker, dns, temporal')
    .requiredOption('--dir <dir>', 'the directory of the stage')
    .addHelpText('after', example('understudy local start pg-a --dir /var/tmp/stage'))
    .action(async (part, options, command) => start(part, options, command));
}

interface UpOptions {
  readonly dir?: string | undefined;
  readonly members: number;
  readonly lease: number;
  readonly durability: string;
  readonly portBase: number;
}

async function up(options: UpOptions, command: Program): Promise<void> {
  const [{ Stage }, { listenForCommands }, { isInterruption, listenForInterrupt }] = await Promise.all([
    import('../stage/stage.ts'),
    import('../stage/control.ts'),
    import('../stage/interrupt.ts'),
  ]);
  const { output } = globalsOf(command);
  const interrupt = listenForInterrupt();
  await withStageErrors(async () => {
    try {
      const stage = await Stage.start({
        ...(options.dir === undefined ? {} : { dir: options.dir }),
        members: options.members,
        leaseMs: options.lease,
        durability: options.durability === 'async' ? 'async' : 'sync',
        portBase: options.portBase,
        temporary: options.dir === undefined,
        tell: (words) => say(`local up: ${words}`),
        signal: interrupt.signal,
      });
      const server = await listenForCommands(stage);
      try {
        const line = await stage.describe();
        if (output === 'json') await printJsonLine(line);
        else await printData(output, line, () => describe(line));
        if (!interrupt.signal.aborted) await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve, { once: true }));
        say(`local up: ending, after ${interrupt.name() ?? 'a signal'}`);
      } finally {
        server.close();
        await stage.stop();
      }
    } catch (error) {
      if (!isInterruption(error, interrupt)) throw error;
      process.exitCode = INTERRUPTED;
    } finally {
      interrupt.close();
    }
  });
}

async function status({ dir }: { readonly dir: string }, command: Program): Promise<void> {
  const { askStage } = await import('../stage/control.ts');
  const { stage } = await withStageErrors(() => askStage(dir, { ask: 'status' }));
  await printData(globalsOf(command).output, stage, () => describe(stage));
}

async function start(part: string, { dir }: { readonly dir: string }, command: Program): Promise<void> {
  const { askStage } = await import('../stage/control.ts');
  const { stage, pid } = await withStageErrors(() => askStage(dir, { ask: 'start', part }));
  await printData(globalsOf(command).output, { part, pid, stage }, () => `${part} started, process ${pid}`);
}

/** Errors of the stage are foreseen: they say themselves what was so. */
export async function withStageErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { StageError } = await import('../stage/stage-error.ts');
    if (error instanceof StageError) throw new CliError(EXIT.failed, error.message, { cause: error });
    throw error;
  }
}

function readDurability(text: string): 'sync' | 'async' {
  if (text === 'sync' || text === 'async') return text;
  throw new CliError(EXIT.usage, `--durability ${text}`, { next: 'use sync or async' });
}

function describe(stage: StageLine): string {
  const shown = (pid: number | null): string => (pid === null ? '-' : String(pid));
  const rows = stage.members.map(({ name, role, port, pids }) => [name, role, port, shown(pids.agent), shown(pids.guard), shown(pids.postmaster)]);
  return [
    `directory  ${stage.dir}`,
    `Temporal   ${stage.temporal.address}, namespace ${stage.temporal.namespace}; UI ${stage.temporal.ui}`,
    `DNS        ${stage.dns.address}; the primary is at ${stage.record.name} (${stage.record.type})`,
    `database   user ${stage.user}, database ${stage.database}, no password`,
    '',
    table(['member', 'role', 'port', 'agent', 'guard', 'postmaster'], rows),
  ].join('\n');
}
