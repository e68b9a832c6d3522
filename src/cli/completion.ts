import { readFileSync } from 'node:fs';
import type { Program } from './program.ts';
import { example } from './program.ts';

/** Arguments of commands whose values stand in the configuration. */
const GROUP = 'group';
const MEMBER = 'member';

/** `understudy completion bash|zsh|fish`, and the hidden `complete` that the printed script calls at each TAB. */
export async function register(program: Program): Promise<void> {
  // Only these two need it; it costs each other command's start nothing.
  const [first] = process.argv.slice(2);
  if (first !== 'complete') {
    program
      .command('completion')
      .summary('print a shell script that completes commands')
      .description('Prints a script that completes commands, options, groups and members in your shell.')
      .argument('<shell>', 'bash, zsh or fish')
      .addHelpText(
        'after',
        example(
          'source <(understudy completion bash)',
          'understudy completion zsh > ~/.zsh/_understudy',
          'understudy completion fish > ~/.config/fish/completions/understudy.fish',
        ),
      )
      .action(async (shell, _, command) => printScript(shell, command));
    return;
  }
  const { default: tab } = await import('@bomb.sh/tab/commander');
  const { checkConfig } = await import('../runtime/config.ts');
  const completions = tab(program as unknown as Parameters<typeof tab>[0], { completionCommandName: 'completion' });
  const file = process.env['UNDERSTUDY_CONFIG'] ?? 'understudy.yaml';
  const groups = (): Map<string, readonly string[]> => {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
      throw error;
    }
    const answer = checkConfig(text, file);
    return new Map('config' in answer ? Object.entries(answer.config.groups).map(([name, { spec }]) => [name, spec.members.map((member) => member.name)]) : []);
  };
  for (const command of completions.commands.values()) {
    for (const [name, argument] of command.arguments) {
      if (name === GROUP) argument.handler = (complete) => [...groups().keys()].forEach((group) => complete(group, 'group'));
      if (name === MEMBER) argument.handler = (complete) => [...new Set([...groups().values()].flat())].forEach((member) => complete(member, 'member'));
    }
  }
}

async function printScript(shell: string, command: Program): Promise<void> {
  if (!['bash', 'zsh', 'fish'].includes(shell)) command.error(`error: no completion for ${JSON.stringify(shell)}: bash, zsh or fish`);
  const { default: completions } = await import('@bomb.sh/tab');
  completions.setup('understudy', 'understudy', shell);
}
