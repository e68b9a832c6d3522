import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from '@commander-js/extra-typings';
import { COMMANDS } from './commands.ts';
import { EXIT, exitCodeOf, explainError } from './exit.ts';
import { say, watchReaders } from './output.ts';
import type { Program } from './program.ts';

const EXIT_CODES = `
Exit codes:
  0 done   1 failed   2 would change   3 refused by a rule   4 unknown   64 wrong usage`;

/** The whole command line; nothing heavy is loaded before a command runs. */
export async function createProgram(): Promise<Program> {
  const program: Program = new Command('understudy');
  // Before any command is made: they inherit it then, and only then.
  program.exitOverride().configureHelp({ showGlobalOptions: true }).showHelpAfterError('Next: the same command with --help shows how it is used.');
  program
    .description('Failover orchestration for databases: keeps one writable primary in every group, and says why it did what it did.')
    .version(versionOfPackage(), '-V, --version', 'the version')
    .addOption(new Option('-c, --config <file>', 'the configuration').default('understudy.yaml').env('UNDERSTUDY_CONFIG'))
    .addOption(
      new Option('-o, --output <format>', 'data goes to standard output as this, words to standard error; a report is Markdown where others are tables')
        .choices(['table', 'markdown', 'md', 'json', 'yaml'])
        .default('table'),
    )
    .option('-y, --yes', 'do not ask before harm')
    .option('--debug', 'show where an error came from')
    .helpOption('-h, --help', 'how it is used, with an example')
    .helpCommand('help [command]', 'how a command is used')
    .addHelpText('after', EXIT_CODES);
  for (const register of COMMANDS) await register(program);
  return program;
}

/**
 * Runs one command line.
 *
 * @param args what follows the program's name
 * @returns the exit code
 */
export async function main(args: readonly string[]): Promise<number> {
  watchReaders();
  const program = await createProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? EXIT.done);
  } catch (error) {
    if (error instanceof CommanderError) return HELP.has(error.code) ? EXIT.done : EXIT.usage;
    say(explainError(error, args.includes('--debug')));
    return exitCodeOf(error);
  }
}

/** Commander's ways to end that are no mistakes. */
const HELP: ReadonlySet<string> = new Set(['commander.helpDisplayed', 'commander.version']);

function versionOfPackage(): string {
  // dist/src/cli/main.js, or src/cli/main.ts where a test runs the source.
  for (const up of ['../../../package.json', '../../package.json']) {
    try {
      return (JSON.parse(readFileSync(new URL(up, import.meta.url), 'utf8')) as { version: string }).version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return 'unknown';
}
