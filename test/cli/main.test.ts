import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/main.ts';
import { refused, explainError, exitCodeOf, CliError, EXIT } from '../../src/cli/exit.ts';
import { confirmHarm, formatAge, formatSpan, formatTime, table } from '../../src/cli/output.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import { runCli } from './run-cli.ts';

const CONFIG = path.join(import.meta.dirname, '../config');

describe('exit codes', () => {
  it.each([
    [0, ['--help']],
    [0, ['--version']],
    [0, ['validate', '--help']],
    [64, []],
    [64, ['valdate']],
    [64, ['validate', 'a', 'b']],
    [64, ['validate', '--no-such-option']],
    [64, ['validate', '-o', 'xml']],
    [64, ['completion', 'tcsh']],
    [0, ['validate', path.join(CONFIG, 'good.yaml')]],
    [1, ['validate', path.join(CONFIG, 'bad.yaml')]],
    [1, ['validate', '/nowhere.yaml']],
  ] as const)('%i for %j', async (code, args) => {
    expect((await runCli(args)).code).toBe(code);
  });

  it('a wrong word is answered with the likely one, on standard error, with the next step', async () => {
    const { stdout, stderr } = await runCli(['valdate']);
    expect(stdout).toBe('');
    expect(stderr).toContain("unknown command 'valdate'");
    expect(stderr).toContain('Did you mean validate?');
    expect(stderr).toContain('--help');
  });

  it.each([
    [new CliError(EXIT.wouldChange, 'x'), 2],
    [refused('min-interval', 'the last failover was 3m ago'), 3],
    [new UnderstudyError('TemporalUnreachable', 'x'), 4],
    [new UnderstudyError('ConfigInvalid', 'x'), 1],
    [new TypeError('x'), 1],
  ])('%s ends with %i', (error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });
});

describe('errors', () => {
  it('say what, why and the next command, each on its own line', () => {
    expect(explainError(refused('min-interval', 'the last failover was 3m ago', 'understudy failover orders --override'), false)).toBe(
      'understudy: refused by the rule min-interval\nWhy: the last failover was 3m ago\nNext: understudy failover orders --override',
    );
    expect(explainError(new UnderstudyError('SecretMissing', 'X is not set. Next: set it.'), false)).toBe('understudy: X is not set.\nNext: set it.');
  });

  it('show a stack only with --debug, the causes with it', () => {
    const error = new CliError(EXIT.failed, 'what', { cause: new TypeError('deeper') });
    expect(explainError(error, false)).toBe('understudy: what');
    expect(explainError(error, true)).toMatch(/at .*main\.test\.ts[\s\S]*caused by:[\s\S]*deeper/);
    expect(explainError(new TypeError('odd'), false)).toMatch(/nobody foresaw: odd\nNext: .*--debug/);
  });
});

describe('output', () => {
  it('data goes to standard output and words to standard error', async () => {
    const { stdout, stderr, code } = await runCli(['validate', path.join(CONFIG, 'bad.yaml'), '-o', 'json']);
    const told = JSON.parse(stdout) as { valid: boolean; mistakes: { line: number; column: number; path: string }[] };
    expect(code).toBe(1);
    expect(told.valid).toBe(false);
    expect(told.mistakes[0]).toMatchObject({ line: 4, column: 13, path: 'providers.main.server' });
    expect(stderr).toContain('has 24 mistakes');
    expect(stdout + stderr).not.toMatch(/hunter2|also-a-secret/);
  });

  it('golden: every mistake of one file, as people read it', async () => {
    const { stdout } = await runCli(['validate', 'bad.yaml'], { cwd: CONFIG });
    await expect(stdout).toMatchFileSnapshot('../golden/validate.txt');
  });

  it('a pipe gets no colour, and neither does NO_COLOR', async () => {
    const { stdout } = await runCli(['validate', path.join(CONFIG, 'good.yaml')], { env: { NO_COLOR: '1' } });
    expect(stdout).toBe(`valid  ${path.join(CONFIG, 'good.yaml')}: 1 group, 3 members, 1 provider\n`);
  });

  it('a reader that leaves early is no crash', async () => {
    const { code, stderr } = await runCli(['validate', path.join(CONFIG, 'bad.yaml')], { closeStdout: true });
    expect(code).toBe(1);
    expect(stderr).not.toContain('EPIPE');
  });

  it('a table has columns and no borders', () => {
    expect(
      table(
        ['member', 'lag'],
        [
          ['pg-a', 0],
          ['pg-long', 12],
        ],
      ),
    ).toBe('member   lag\npg-a     0\npg-long  12');
  });

  it('a time is in UTC, with its age', () => {
    const now = Date.UTC(2026, 10, 24, 10, 3, 5);
    expect(formatTime(now - 185_000, now)).toBe('2026-11-24 10:00:00Z (3m 5s ago)');
    expect([0, 999, 1000, 61_000, 3_600_000, 90_061_000].map(formatAge)).toEqual(['now', 'now', '1s ago', '1m 1s ago', '1h ago', '1d 1h ago']);
    expect(formatAge(-5000)).toBe('in 5s');
    expect(formatSpan(250)).toBe('250ms');
  });
});

describe('harm', () => {
  it('without a terminal and without --yes is refused, with its override named', async () => {
    const error: unknown = await confirmHarm('Members pg-a and pg-b swap their roles.', { yes: false }).catch((reason: unknown) => reason);
    expect(exitCodeOf(error)).toBe(EXIT.refused);
    expect(explainError(error, false)).toContain('--yes');
    await expect(confirmHarm('Anything.', { yes: true })).resolves.toBeUndefined();
  });
});

describe('help', () => {
  it('of every command has an example', async () => {
    const program = await createProgram();
    const commands = program.commands.flatMap((command) => (command.commands.length > 0 ? command.commands : [command]));
    for (const command of commands) {
      let text = '';
      command.configureOutput({ writeOut: (words) => (text += words) });
      command.outputHelp();
      expect(text, command.name()).toMatch(/\nExamples?:\n(  .*\n)*  \$ .*\bunderstudy \w/);
    }
  });
});

describe('completion', () => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const { stdout } = await runCli(['complete', '--', ...words], { env: { UNDERSTUDY_CONFIG: path.join(CONFIG, 'good.yaml') } });
    return stdout
      .split('\n')
      .filter((line) => line !== '' && !/^:\d+$/.test(line))
      .map((line) => line.split('\t')[0] as string);
  };

  it.each(['bash', 'zsh', 'fish'])('prints a script for %s', async (shell) => {
    const { code, stdout } = await runCli(['completion', shell]);
    expect(code).toBe(0);
    expect(stdout).toContain('understudy');
  });

  it('knows commands and the values of options', async () => {
    expect(await complete('vali')).toEqual(['validate']);
    expect(await complete('-o', '')).toEqual(['table', 'markdown', 'md', 'json', 'yaml']);
  });

  it('knows the groups and members of the configuration', async () => {
    expect(await complete('switchover', '')).toEqual(['orders']);
    expect(await complete('switchover', 'orders', '--to', 'pg-')).toEqual(['pg-a', 'pg-b', 'pg-c']);
    expect(await complete('exclude', 'orders', '')).toEqual(['pg-a', 'pg-b', 'pg-c']);
  });
});
