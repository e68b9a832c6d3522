import { globalsOf } from './output.ts';
import { type Program, example } from './program.ts';
import { Option } from '@commander-js/extra-typings';

export function register(program: Program): void {
  program
    .command('agent')
    .summary("run a member's agent, beside its database")
    .description(
      "Runs the agent of one member on the member's own machine, until SIGTERM. It starts the guard, which is the database's parent and outlives it.",
    )
    .requiredOption('--group <group>', 'the group of the configuration')
    .requiredOption('--member <member>', 'which of its members this machine is')
    .addOption(
      new Option('--guard <who>', 'who starts the guard: the agent where none runs, or something else such as systemd')
        .choices(['spawn', 'external'] as const)
        .default('spawn' as const),
    )
    .option('--claim-anew', 'belong to this Temporal cluster and namespace, though the member belonged to another before')
    .addHelpText('after', example('understudy agent --group orders --member pg-a'))
    .action(async ({ group, member, guard, claimAnew }, command) => {
      const [{ runAgent }, { runDirectly }] = await Promise.all([import('../bin/agent.ts'), import('../bin/direct.ts')]);
      // One that refuses must end: what it holds open, and the role that it found, would keep it alive without taking an order.
      await runDirectly(() => runAgent({ config: globalsOf(command).config, group, member, guard, claimAnew: claimAnew === true }));
    });
}
