import { endWith, globalsOf, paint, printData, say } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  program
    .command('validate')
    .summary('check a configuration')
    .description('Checks a configuration and names the place of every mistake in it. Nothing is asked of any server, and no secret is read.')
    .argument('[file]', 'the configuration; left out: --config')
    .addHelpText('after', example('understudy validate understudy.yaml', 'understudy validate -o json | jq -r .mistakes[].path'))
    .action(async (file, _, command) => validate(file, command));
}

async function validate(named: string | undefined, command: Program): Promise<void> {
  const globals = globalsOf(command);
  const file = named ?? globals.config;
  const { checkConfig, printMistakes, readConfigText } = await import('../runtime/config.ts');
  const answer = checkConfig(await readConfigText(file), file);
  if ('config' in answer) {
    const { groups, providers } = answer.config;
    const counts = {
      groups: Object.keys(groups).length,
      members: Object.values(groups).reduce((sum, { spec }) => sum + spec.members.length, 0),
      providers: Object.keys(providers).length,
    };
    await printData(
      globals.output,
      { file, valid: true, ...counts, mistakes: [] },
      () => `${paint('good', 'valid')}  ${file}: ${many(counts.groups, 'group')}, ${many(counts.members, 'member')}, ${many(counts.providers, 'provider')}`,
    );
    return;
  }
  const { mistakes } = answer;
  await printData(globals.output, { file, valid: false, mistakes }, () => printMistakes(mistakes));
  say(`\nunderstudy: ${file} has ${many(mistakes.length, 'mistake')}`);
  endWith('failed');
}

const many = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
