import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import Table from 'cli-table3';
import { NO_BORDERS } from '../runtime/no-borders.ts';
import type { Machine } from '../stage/bench.ts';
import type { DrillResult } from './run.ts';

export interface DrillReport {
  readonly startedAt: string;
  readonly machine: Machine;
  readonly temporal: string;
  readonly leaseMs: number;
  readonly results: readonly DrillResult[];
}

const gap = ({ gapMs }: DrillResult): string => (gapMs === undefined ? '-' : `${gapMs} ms`);

/** For people, on a terminal. */
export function describeReport({ results }: DrillReport): string {
  const drawn = new Table({
    head: ['drill', '', 'what happened', 'write gap', 'lost', 'late', 'back after', 'verdict'],
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  drawn.push(
    ...results.map((result) => [
      result.name,
      result.durability,
      result.happened,
      gap(result),
      String(result.lost),
      String(result.late),
      result.convergedMs === undefined ? '-' : `${(result.convergedMs / 1000).toFixed(1)} s`,
      result.passed ? 'pass' : 'FAIL',
    ]),
  );
  const failed = results.filter(({ passed }) => !passed);
  const why = failed.flatMap(({ name, wrong, logs }) => [
    `${name}:`,
    ...wrong.map((words) => `  - ${words}`),
    ...(logs === undefined ? [] : [`  logs: ${logs}`]),
  ]);
  return [...lines(drawn.toString()), '', `${results.length - failed.length} passed, ${failed.length} failed`, ...why].join('\n');
}

const lines = (text: string): string[] => text.split('\n').map((line) => line.trimEnd());

const HEAD = `# Drills: real faults on real parts

What \`npm run drills\` found. Each member, the Temporal server, the worker, DNS and the clients are hosts of their own (network namespaces behind a router that can be cut), the
members' data lies on disks of its own that can fill and break. How to run them: [run the faults](how-to/run-the-faults.md). A line is replaced when its drill is run again.

**Write gap**: the longest time without an acknowledged write, as the writer saw it that knows only the DNS name; \`none\` means at most 1 s, \`short\` 3 s, \`lease\` twice the lease and 3 s,
\`fault\` as long as the fault lasts. **Lost**: acknowledged by anybody, and not there at the end. **Late**: acknowledgements, or answers "I am open", of a member that another one had overtaken.

| drill | must | must not | expected | what happened | write gap | lost | late | verdict | when and where |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** Keeps the lines of drills that were not run this time. */
export function writeDocs(file: string, report: DrillReport, order: readonly string[]): void {
  const rows = new Map<string, string>();
  if (existsSync(file)) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const name = /^\| (.+?) \| /.exec(line)?.[1];
      if (name !== undefined && name !== 'drill' && !name.startsWith('---')) rows.set(name, line);
    }
  }
  const { machine } = report;
  const where = `${report.startedAt.slice(0, 10)}, ${machine.cores} cores, Linux ${machine.kernel}, PostgreSQL ${machine.postgres}, Temporal ${report.temporal}, lease ${report.leaseMs} ms`;
  for (const result of report.results) {
    const verdict = result.passed ? 'pass' : `**fail**: ${result.wrong.join('; ')}`;
    const cells = [
      result.name,
      result.must,
      result.mustNot,
      `${result.durability}: ${result.expected}`,
      result.happened,
      gap(result),
      String(result.lost),
      String(result.late),
      verdict,
      where,
    ];
    rows.set(cell(result.name), `| ${cells.map(cell).join(' | ')} |`);
  }
  const known = [...order, ...report.results.map(({ name }) => name)].map(cell);
  const kept = [...new Set(known)].flatMap((name) => rows.get(name) ?? []);
  writeFileSync(file, `${HEAD}${kept.join('\n')}\n`);
}
