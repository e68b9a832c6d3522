import { BY, REASON, signed, withDesk } from './operator.ts';
import { globalsOf, printData, say } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  answer(
    program,
    'approve',
    'let a failover that waits for a person go on',
    'Approves a failover that waits for it, where the policy says "approval: required".',
  );
  answer(program, 'decline', 'stop a failover that waits for a person', 'Declines a failover that waits for approval: nobody is promoted.');
}

function answer(program: Program, word: 'approve' | 'decline', summary: string, description: string): void {
  program
    .command(word)
    .summary(summary)
    .description(description)
    .argument('<incident>', "the incident's id, or its group for the one that is open")
    .requiredOption(...REASON)
    .option(...BY)
    .addHelpText(
      'after',
      example(`understudy ${word} orders --reason "seen on the dashboard"`, `understudy ${word} failover/orders/8 --reason "seen on the dashboard"`),
    )
    .action(async (named, options, command) => {
      const { words, id } = await withDesk(command, async ({ desk }) => {
        const { resolveIncident } = await import('../client/incidents.ts');
        const incident = await resolveIncident(desk, named, 'open');
        return { id: incident, words: await desk.tellIncident(incident, word, signed(options)) };
      });
      await printData(globalsOf(command).output, { incident: id, word, answer: words }, () => words);
      say(`Next: understudy report ${id}`);
    });
}
