import { readFileSync } from 'node:fs';
import type { Program } from './program.ts';
import { example } from './program.ts';

/** Arguments and options whose values stand in the configuration. */
const GROUPS: ReadonlySet<string> = new Set(['group']);
const MEMBERS: ReadonlySet<string> = new Set(['member', 'to']);

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
  const completeGroups = (complete: Complete): void => [...groups().keys()].forEach((group) => complete(group, 'group'));
  const completeMembers = (complete: Complete): void => {
    const all = groups();
    // Of the group that stands in the line already; of every group where none does.
    const group = process.argv.find((word) => all.has(word));
    const members = group === undefined ? [...all.values()].flat() : (all.get(group) ?? []);
    [...new Set(members)].forEach((member) => complete(member, 'member'));
  };
  for (const command of completions.commands.values()) {
    for (const [name, taker] of [...command.arguments, ...command.options]) {
      if (GROUPS.has(name)) taker.handler = completeGroups;
      if (MEMBERS.has(name)) taker.handler = completeMembers;
    }
  }
}

type Complete = (value: string, description: string) => void;

async function printScript(shell: string, command: Program): Promise<void> {
  if (!['bash', 'zsh', 'fish'].includes(shell)) command.error(`error: no completion for ${JSON.stringify(shell)}: bash, zsh or fish`);
  const { default: completions } = await import('@bomb.sh/tab');
  completions.setup('understudy', 'understudy', shell);
}
