import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Part } from './support-parts.ts';
import { CliError, EXIT } from './exit.ts';
import { globalsOf, printData, say } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  const support = program.command('support').summary('collect what somebody needs who is to help').description('Collects what somebody needs who is to help.');
  support
    .command('bundle')
    .summary('write a file with all that tells how things are, secrets taken out')
    .description(
      "Writes configuration (secrets as their names), doctor's findings, status, incidents with their reports, histories, and the ends of the logs that lie on this machine into one .tar.gz, which its owner alone may read. Values of secrets are taken out, and what looks like one; host names, addresses, member names and the reasons that people typed stay in. Look through it before you send it. What cannot be had is left out, and the manifest says why.",
    )
    .option('--to <file>', 'where to; left out: understudy-support-<time>.tar.gz, here')
    .option('--incidents <n>', 'of how many incidents of each group, the newest', '5')
    .option('--log <file...>', "further log files, such as an agent's or a worker's")
    .option('--database-log', "the ends of the databases' logs, too: statements may stand in them")
    .addHelpText('after', example('understudy support bundle', 'understudy support bundle --to /tmp/b.tar.gz --log /var/log/understudy-worker.log'))
    .action(async (options, command) => bundle(options, command));
}

interface Options {
  readonly to?: string | undefined;
  readonly incidents: string;
  readonly log?: readonly string[] | undefined;
  readonly databaseLog?: true | undefined;
}

async function bundle({ to, incidents, log = [], databaseLog }: Options, command: Program): Promise<void> {
  const name = `understudy-support-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}`;
  const file = path.resolve(to ?? `${name}.tar.gz`);
  const count = Number(incidents);
  if (!Number.isSafeInteger(count) || count < 0)
    throw new CliError(EXIT.usage, `--incidents ${incidents} is no whole number`, { next: 'give it one, such as 5' });
  if (existsSync(file)) throw new CliError(EXIT.failed, `${file} is there already, and nothing is overwritten`, { next: 'remove it, or name another by --to' });
  // Whatever is written from here on is for its owner alone.
  process.umask(0o077);
  const { collectParts } = await import('./support-parts.ts');
  const parts = await collectParts(command, { incidents: count, logs: log, databaseLogs: databaseLog === true });
  const folder = await mkdtemp(path.join(tmpdir(), 'understudy-support-'));
  try {
    for (const part of parts) await place(part, path.join(folder, name));
    await pack(file, folder, name);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const files = parts.flatMap((part) => ('text' in part ? [part.name] : []));
  const missing = parts.flatMap((part) => ('why' in part ? [{ what: part.name, why: part.why }] : []));
  await printData(globalsOf(command).output, { file, files, missing }, () => file);
  for (const { what, why } of missing) say(`understudy: without ${what}: ${why}`);
  say(`understudy: ${files.length} files, secrets taken out. Next: look through it before you send it: tar -tzf ${file}`);
}

async function place(part: Part, folder: string): Promise<void> {
  if (!('text' in part)) return;
  const file = path.join(folder, part.name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, part.text);
}

async function pack(file: string, folder: string, name: string): Promise<void> {
  const { execa } = await import('execa');
  const { failed, stderr, shortMessage } = await execa('tar', ['-czf', file, '-C', folder, name], { reject: false, stdin: 'ignore' });
  if (!failed) return;
  await rm(file, { force: true });
  throw new CliError(EXIT.failed, `${file} could not be written`, {
    why: stderr || shortMessage || 'tar failed',
    next: 'install tar, or name another place by --to',
  });
}
