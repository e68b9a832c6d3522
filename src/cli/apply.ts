import type { Applied, GroupPlan } from '../client/apply.ts';
import type { SpecChange } from '../decide/spec-change.ts';
import { BY, signed, withDesk } from './operator.ts';
import { confirmHarm, endWith, globalsOf, paint, printData, say, table } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  program
    .command('apply')
    .summary('make the running groups as the configuration says')
    .description(
      'Shows the difference between a configuration and the groups that run, then starts or changes their workflows to match. Nothing is restarted or demoted for a change that does not need it; of a group that has an unsafe change nothing is applied.',
    )
    .argument('[file]', 'the configuration; left out: --config')
    .option('--dry-run', 'only show the difference: exit code 2 where there is one')
    .option(...BY)
    .option('--reason <words>', 'why: it is kept with the change', 'configuration applied')
    .addHelpText('after', example('understudy apply understudy.yaml --dry-run', 'understudy apply understudy.yaml --yes'))
    .action(async (file, options, command) => apply(file, options, command));
}

interface Options {
  readonly dryRun?: true | undefined;
  readonly by?: string | undefined;
  readonly reason: string;
}

async function apply(file: string | undefined, options: Options, command: Program): Promise<void> {
  const globals = globalsOf(command);
  const [{ loadConfig }, { applyPlans, planConfig }, { attributesRegistered }] = await Promise.all([
    import('../runtime/config.ts'),
    import('../client/apply.ts'),
    import('../client/setup.ts'),
  ]);
  const config = await loadConfig(file ?? globals.config);
  const { plans, applied, attributes } = await withDesk(
    command,
    async ({ desk }) => {
      const { client, connection, namespace } = desk.connected;
      const has = await desk.call('search attributes', () => attributesRegistered(connection, namespace));
      const planned = await desk.call('the groups that run', () => planConfig(client, config));
      if (options.dryRun === true) return { plans: planned, applied: undefined, attributes: has };
      const harm = planned.flatMap(({ group, changes, action }) =>
        action === 'change' ? changes.filter(isHeavy).map(({ change, words }) => `${group} ${change}: ${words}`) : [],
      );
      if (harm.length > 0) {
        say(describe(planned));
        await confirmHarm(`${harm.join('; ')}.`, globals);
      }
      return {
        plans: planned,
        attributes: has,
        applied: await desk.call('applying', () => applyPlans({ client, config, plans: planned, attributes: has, signed: signed(options) })),
      };
    },
    config,
  );
  const groups: readonly (GroupPlan | Applied)[] = applied ?? plans;
  await printData(globals.output, { file: config.file, dryRun: options.dryRun === true, attributesRegistered: attributes, groups }, () => describe(groups));
  if (!attributes) say('understudy: the search attributes are not registered, so that groups set none and cannot be searched for. Next: understudy setup');
  const refused = groups.filter(({ action }) => action === 'refused');
  if (refused.some(({ incidents }) => incidents !== undefined)) {
    say('understudy: refused by the rule incident-runs; such a group is not started. Next: its words say what to wait for');
    endWith('refused');
  }
  if (refused.some(({ incidents }) => incidents === undefined)) {
    say('understudy: refused by the rule unsafe-change; nothing of such a group was applied. Next: take those changes out, or do first what their words say');
    endWith('refused');
  } else if (refused.length === 0 && applied === undefined && plans.some(({ action }) => action !== 'none')) {
    say('understudy: it would change. Next: the same command without --dry-run');
    endWith('wouldChange');
  }
}

/** What a person should have seen before: roles that move, and a promise that is taken back. */
function isHeavy({ change, effect, words }: SpecChange): boolean {
  return effect === 'reassign-roles' || (change === 'durability' && words.includes('may lose'));
}

const SIGNS = { start: ['good', '+ start'], change: ['note', '~ change'], none: ['dim', '= as it is'], refused: ['bad', '! refused'] } as const;

function describe(groups: readonly (GroupPlan | Applied)[]): string {
  return groups
    .map((one) => {
      const { group, action, words, changes } = one;
      const done = 'done' in one && one.done;
      const [style, sign] = SIGNS[action];
      const head = `${paint(style, sign)}  ${group}: ${changes.some(({ effect }) => effect === 'refused') ? 'nothing of it is applied' : done && changes.length > 0 ? `${changes.length} applied` : words}`;
      const rows = changes.map(({ change, from, to, effect, words: what }) => [`  ${change}`, `${from} -> ${to}`, effect, what]);
      return rows.length === 0 ? head : `${head}\n${table(['  path', 'from -> to', 'effect', 'what it does'], rows)}`;
    })
    .join('\n');
}
