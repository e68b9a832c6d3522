import type { Finding } from './doctor-checks.ts';
import { type Style, endWith, globalsOf, paint, printData, say } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  program
    .command('doctor')
    .summary('show what was found here, and what is missing')
    .description(
      'Looks at this machine: programs, versions, the Temporal server, rights, whether the kernel holds leases here, and the clock. Changes nothing and fetches nothing.',
    )
    .option('--measure', 'also measure how late the server knows that a lease is over: takes some ten seconds and leaves a closed workflow behind')
    .addHelpText('after', example('understudy doctor', 'understudy doctor -o json | jq \'.findings[] | select(.verdict != "ok")\''))
    .action(async ({ measure }, command) => doctor(measure === true, command));
}

const SIGNS: Record<Finding['verdict'], [Style, string]> = { ok: ['good', 'ok  '], note: ['note', 'note'], bad: ['bad', 'bad '] };

async function doctor(measure: boolean, command: Program): Promise<void> {
  const globals = globalsOf(command);
  const { examineMachine } = await import('./doctor-checks.ts');
  const findings = await examineMachine({ configFile: globals.config, configNamed: command.parent?.getOptionValueSource('config') !== 'default', measure });
  const usable = findings.every(({ verdict }) => verdict !== 'bad');
  await printData(globals.output, { usable, findings }, () =>
    findings
      .map(
        ({ verdict, subject, words, next }) =>
          `${paint(...SIGNS[verdict])}  ${subject.padEnd(14)}  ${words}${next === undefined ? '' : `\n${' '.repeat(22)}next: ${next}`}`,
      )
      .join('\n'),
  );
  say(usable ? '\nunderstudy: this machine is usable' : '\nunderstudy: this machine is not usable yet; see the lines marked bad');
  if (!usable) endWith('failed');
}
