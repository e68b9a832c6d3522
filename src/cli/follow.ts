import type { Desk } from '../client/desk.ts';
import type { ReportFacts } from '../decide/report.ts';
import type { Incident, IncidentOutcome, Step } from '../model/incident.ts';
import type { Started } from '../model/operator.ts';
import { INTERRUPTED, untilInterrupted } from './operator.ts';
import { type Format, endWith, paint, printData, say } from './output.ts';

interface Following {
  readonly desk: Desk;
  readonly group: string;
  /** The incidents that were there before the word was given. */
  readonly before: ReadonlySet<string>;
  readonly started: Started;
  readonly format: Format;
}

/** Prints each step as it ends, then how all of it ended; the exit code says so too. Ctrl-C ends the looking, not the incident. */
export async function followToTheEnd({ desk, group, before, started, format }: Following): Promise<void> {
  const { awaitIncident, followIncident } = await import('../client/follow.ts');
  const interrupt = untilInterrupted();
  const { signal } = interrupt;
  let id = started.incident;
  try {
    id ??= await awaitIncident(desk, group, before, signal);
    if (id !== started.incident) say(`understudy: ${id} has begun`);
    const incident = await followIncident({
      desk,
      id,
      signal,
      onStep: (step, { cause }) => say(stepLine(step, cause.knownAtMs)),
      onNote: (words) => say(`understudy: ${words}`),
    });
    await tellEnd(desk, incident, format);
  } catch (error) {
    if (!signal.aborted) throw error;
    say(
      `understudy: no longer followed; ${id ?? 'the failover'} goes on all the same.\nNext: ${id === undefined ? `understudy status ${group} --watch` : `understudy report ${id}`}`,
    );
    process.exitCode = INTERRUPTED;
  } finally {
    interrupt.close();
  }
}

const SIGNS: Record<Step['outcome'], ['good' | 'bad' | 'dim', string]> = {
  done: ['good', 'done'],
  already: ['good', 'already'],
  failed: ['bad', 'failed'],
  skipped: ['dim', 'skipped'],
  running: ['dim', 'running'],
};

/** `  312 ms  promote pg-b     done  took 180 ms: timeline 2 from 0/5000000` */
function stepLine({ name, member, startedAtMs, endedAtMs = startedAtMs, outcome, words }: Step, zeroMs: number): string {
  const [style, sign] = SIGNS[outcome];
  const what = member === undefined ? name : `${name} ${member}`;
  return `${`${endedAtMs - zeroMs} ms`.padStart(10)}  ${what.padEnd(20)}  ${paint(style, sign.padEnd(7), process.stderr)}  took ${endedAtMs - startedAtMs} ms${words === undefined ? '' : `: ${words}`}`;
}

async function tellEnd(desk: Desk, incident: Incident, format: Format): Promise<void> {
  const { summarise } = await import('../decide/report.ts');
  const facts = summarise(incident);
  const ui = desk.connected.uiLink(incident.id);
  await printData(format, { incident, facts, ...(ui === undefined ? {} : { ui }) }, () =>
    [paint(facts.outcome === 'done' ? 'good' : 'bad', facts.outcomeWords), ...endLines(facts, ui)].join('\n'),
  );
  say(`Next: understudy report ${incident.id}`);
  endWith(exitOf(incident.outcome));
}

function endLines(facts: ReportFacts, ui: string | undefined): string[] {
  const gap =
    facts.writeGapMs === undefined
      ? 'not known: no first write was seen'
      : `${facts.writeGapMs} ms${facts.kind === 'switchover' ? ', from the order to stop to the first write' : ' since the cause was known'}`;
  return [
    ...(facts.outcome === 'done' ? [`write gap  ${gap}`, `lost       ${facts.lossWords}`] : []),
    `incident   ${facts.id}`,
    ...(ui === undefined ? [] : [`UI         ${ui}`]),
  ];
}

/** What a person's word came to: a script goes on only where the target is the primary. */
function exitOf({ outcome }: IncidentOutcome): 'done' | 'failed' | 'refused' {
  if (outcome === 'done') return 'done';
  return outcome === 'refused' || outcome === 'not-approved' ? 'refused' : 'failed';
}
