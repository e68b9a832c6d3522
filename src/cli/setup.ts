import { withDesk } from './operator.ts';
import { globalsOf, printData, say } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  program
    .command('setup')
    .summary('register the search attributes that make groups and incidents findable')
    .description(
      'Registers in the Temporal namespace the search attributes that groups and incidents set. Those that are there are left as they are; asked twice, it does nothing.',
    )
    .addHelpText('after', example('understudy setup'))
    .action(async (_, command) => setup(command));
}

async function setup(command: Program): Promise<void> {
  const { added, present, namespace } = await withDesk(command, async ({ desk }) => {
    const { registerAttributes } = await import('../client/setup.ts');
    const { connection, namespace: name } = desk.connected;
    return { namespace: name, ...(await desk.call('registering search attributes', () => registerAttributes(connection, name))) };
  });
  await printData(globalsOf(command).output, { namespace, added, present }, () =>
    [...added.map((name) => `added    ${name}`), ...present.map((name) => `present  ${name}`)].join('\n'),
  );
  say(
    added.length === 0
      ? `understudy: namespace ${namespace} had all of them`
      : `understudy: namespace ${namespace} has all of them now; a group that was started without them goes on without them`,
  );
}
