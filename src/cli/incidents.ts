import { InvalidArgumentError } from '@commander-js/extra-typings';
import { withDesk } from './operator.ts';
import { formatSpan, formatTime, globalsOf, printData, say, table } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  program
    .command('incidents')
    .summary("list a group's failovers and switchovers")
    .description(
      'Lists incidents, the newest first: all that Temporal keeps where the search attributes are registered (understudy setup), else the last twenty that the group itself remembers.',
    )
    .argument('<group>', 'the group')
    .option('--limit <n>', 'how many at most', readLimit, 20)
    .addHelpText('after', example('understudy incidents orders', 'understudy incidents orders --limit 1 -o json | jq -r .incidents[0].id'))
    .action(async (group, { limit }, command) => incidents(group, limit, command));
  program
    .command('report')
    .summary('say what happened in an incident, and why')
    .description(
      "The report of one incident: cause, evidence and who saw it, each candidate's verdict, actor, each step's time, write gap, what was or may have been lost. As Markdown, or as JSON.",
    )
    .argument('<incident>', "the incident's id, or a group for its last one")
    .addHelpText('after', example('understudy report failover/orders/8 > incident.md', 'understudy report orders -o json | jq .facts'))
    .action(async (named, _, command) => report(named, command));
}

function readLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1) throw new InvalidArgumentError('It is a whole number from 1 on.');
  return limit;
}

async function incidents(group: string, limit: number, command: Program): Promise<void> {
  const { list, links } = await withDesk(command, async ({ desk }) => {
    const { listIncidents } = await import('../client/incidents.ts');
    const found = await listIncidents(desk, group, limit);
    return { list: found, links: found.incidents.map(({ id }) => desk.connected.uiLink(id)) };
  });
  const nowMs = Date.now();
  const data = list.incidents.map((line, index) => ({ ...line, ...(links[index] === undefined ? {} : { ui: links[index] }) }));
  await printData(globalsOf(command).output, { group, from: list.from, incidents: data }, () =>
    list.incidents.length === 0
      ? ''
      : table(
          ['incident', 'cause', 'begun', 'took', 'outcome'],
          list.incidents.map(({ id, cause, startedAtMs, endedAtMs, outcome }) => [
            id,
            cause,
            formatTime(startedAtMs, nowMs),
            endedAtMs === undefined ? 'not over' : formatSpan(endedAtMs - startedAtMs),
            outcome,
          ]),
        ),
  );
  if (list.incidents.length === 0) say(`understudy: ${group} has had no incident`);
  if (list.from === 'group') say('understudy: only the last ones, which the group remembers: the search attributes are not registered. Next: understudy setup');
}

async function report(named: string, command: Program): Promise<void> {
  const [{ resolveIncident }, { summarise }, { renderMarkdown }] = await Promise.all([
    import('../client/incidents.ts'),
    import('../decide/report.ts'),
    import('../decide/report-markdown.ts'),
  ]);
  const { incident, ui } = await withDesk(command, async ({ desk }) => {
    const id = await resolveIncident(desk, named, 'last');
    return { incident: await desk.incident(id), ui: desk.connected.uiLink(id) };
  });
  await printData(globalsOf(command).output, { incident, facts: summarise(incident), ...(ui === undefined ? {} : { ui }) }, () => renderMarkdown(incident));
  if (ui !== undefined) say(`understudy: its history: ${ui}`);
}
