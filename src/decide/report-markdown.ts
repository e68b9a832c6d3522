import type { Actor, Incident, Step } from '../model/incident.ts';
import { assertNever } from '../model/assert-never.ts';
import { utc } from '../model/utc.ts';
import { explainRule } from './durability.ts';
import { inWords } from './hold.ts';
import { summarise } from './report.ts';
import type { ReportFacts } from './report.ts';

/** The incident for people: Markdown with a Mermaid timeline, which GitHub and GitLab draw. All times are UTC. */
export function renderMarkdown(incident: Incident): string {
  const facts = summarise(incident);
  const sections = [
    head(incident, facts),
    timesSection(facts),
    evidenceSection(incident),
    electionSections(incident),
    stepsSection(incident),
    ganttSection(incident),
    recordsSection(incident),
    lossSection(incident),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function head(incident: Incident, facts: ReportFacts): string {
  const { before, cause } = incident;
  const kind = incident.kind === 'failover' ? 'Failover' : 'Switchover';
  const last =
    before.last === undefined
      ? 'not known'
      : `${before.last.lsn ?? 'place not known'}${before.last.timeline === undefined ? '' : ` on timeline ${before.last.timeline}`}${before.last.exact === true ? ', the end of its log' : before.last.ageMs === undefined ? '' : `, ${inWords(before.last.ageMs)} old`}`;
  return [
    `# ${kind} of ${incident.group}, epoch ${incident.epoch}`,
    '',
    `**Outcome: ${escape(facts.outcomeWords)}.**`,
    '',
    table(
      ['', ''],
      [
        ['incident', code(incident.id)],
        ['cause', `${cause.kind}: ${cause.words}`],
        ['known', utc(cause.knownAtMs, 'milliseconds')],
        ['actor', actorWords(incident.actor)],
        ['before', `${before.primary}, epoch ${before.epoch}; ${explainRule(before.rule)}`],
        ["old primary's last word", last],
        ['write gap', gapWords(incident, facts)],
        ['lost', incident.loss.words],
      ],
    ),
  ].join('\n');
}

/** The gap as the members saw it. Only the writers themselves can tell the whole of it. */
function gapWords({ kind }: Incident, { writeGapMs }: ReportFacts): string {
  if (writeGapMs === undefined) return 'not known: no first write was seen';
  return kind === 'switchover'
    ? `${span(writeGapMs)}, from the order to stop to the first write`
    : `${span(writeGapMs)} since the cause was known; the old primary had stopped before that`;
}

function timesSection(facts: ReportFacts): string {
  const at = (ms: number | undefined): string => (ms === undefined ? '-' : span(ms));
  const row = ['0 ms', at(facts.decidedMs), at(facts.promotedMs), at(facts.publishedMs), at(facts.verifiedMs), at(facts.firstWriteMs), at(facts.totalMs)];
  return `## Times\n\nSince the cause was known.\n\n${table(['detected', 'decided', 'promoted', 'published', 'verified', 'first write', 'all done'], [row])}`;
}

function evidenceSection({ evidence, cause }: Incident): string {
  if (evidence.length === 0) return '';
  return `## What was seen, and by whom\n\n${table(
    ['after', 'by', 'what'],
    evidence.map((one) => [offset(one.atMs - cause.knownAtMs), one.by, one.words]),
  )}`;
}

function electionSections({ elections, cause }: Incident): string {
  return elections
    .map((election, i) => {
      const title = elections.length === 1 ? '## Who could take over' : `## Who could take over, round ${i + 1}`;
      const verdict = election.elected === null ? 'Nobody was elected' : `${election.elected} was elected`;
      const rows = election.verdicts.map((one) => [one.member, one.fit ? 'fit' : 'not fit', one.words]);
      return `${title}\n\nAfter ${offset(election.atMs - cause.knownAtMs)}. ${verdict}: ${escape(election.words)}.\n\n${table(['member', '', 'why'], rows)}`;
    })
    .join('\n\n');
}

function stepsSection({ steps, cause }: Incident): string {
  if (steps.length === 0) return '';
  const rows = steps.map((step) => [
    step.name,
    step.member ?? '',
    offset(step.startedAtMs - cause.knownAtMs),
    step.endedAtMs === undefined ? '-' : span(step.endedAtMs - step.startedAtMs),
    step.outcome,
    step.words ?? '',
  ]);
  return `## Steps\n\n${table(['step', 'member', 'after', 'took', 'outcome', ''], rows)}`;
}

function ganttSection({ steps, cause }: Incident): string {
  if (steps.length === 0) return '';
  const bars = steps.map(
    (step) =>
      `    ${label(step)} :${step.outcome === 'failed' ? 'crit, ' : ''}${Math.max(0, step.startedAtMs - cause.knownAtMs)}, ${Math.max(1, Math.max(0, (step.endedAtMs ?? step.startedAtMs) - cause.knownAtMs))}`,
  );
  return ['```mermaid', 'gantt', '    title Milliseconds since the cause was known', '    dateFormat x', '    axisFormat %S.%L', ...bars, '```'].join('\n');
}

function recordsSection({ records, cause }: Incident): string {
  if (records.length === 0) return '';
  const after = (atMs: number | undefined): string => (atMs === undefined ? '-' : offset(atMs - cause.knownAtMs));
  const rows = records.map((record) => [
    code(`${record.name} ${record.type}`),
    record.provider,
    record.outcome,
    after(record.publishedAtMs),
    after(record.verifiedAtMs),
    String(record.attempts),
    record.words ?? '',
  ]);
  return `## Records\n\n${table(['record', 'provider', 'outcome', 'published', 'verified', 'attempts', ''], rows)}`;
}

function lossSection({ loss, outcome }: Incident): string {
  const title =
    loss.kind === 'none'
      ? outcome.outcome === 'done'
        ? 'Nothing acknowledged was lost'
        : 'Nobody was promoted, nothing was lost'
      : loss.kind === 'at-most'
        ? 'What may have been lost'
        : 'What was lost is not known';
  return `## ${title}\n\n${capital(escape(loss.words))}.`;
}

function actorWords(actor: Actor): string {
  switch (actor.kind) {
    case 'policy':
      return 'the policy, by itself';
    case 'person':
      return `${actor.name}: ${actor.reason}`;
    default:
      return assertNever(actor);
  }
}

/** Colons, commas and semicolons divide a Mermaid line: a label has none. */
function label(step: Step): string {
  return `${step.name}${step.member === undefined ? '' : ` ${step.member}`}`.replaceAll(/[:,;#]/g, ' ');
}

/** In milliseconds as long as they can be compared at a glance. */
function span(ms: number): string {
  return ms < 100_000 ? `${ms} ms` : inWords(ms);
}

function offset(ms: number): string {
  return ms < 0 ? `-${span(-ms)}` : span(ms);
}

/** A Markdown table; what stands in a cell cannot break out of it. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escape).join(' | ')} |`;
  return [line(heads), `| ${heads.map(() => '---').join(' | ')} |`, ...rows.map(line)].join('\n');
}

function escape(text: string): string {
  return text.replaceAll(/\r?\n/g, ' ').replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

function code(text: string): string {
  return `\`${text}\``;
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
