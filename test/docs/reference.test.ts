import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { AgentMetrics } from '../../src/agent/metrics.ts';
import { createProgram } from '../../src/cli/main.ts';
import type { Program } from '../../src/cli/program.ts';
import { jsonSchema } from '../../src/model/config-schema.ts';
import { IDLE } from '../support/watched.ts';
import { ROOT, readPage, spansOf } from './pages.ts';

const BEGIN = '<!-- generated: npx vitest run test/docs -u -->';
const END = '<!-- generated: end -->';

/** The page as it would be with `made` in its generated part: `-u` writes it so. */
function withGenerated(file: string, made: string): string {
  const { text } = readPage(file);
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  expect(begin, `${file} has the line ${BEGIN}`).toBeGreaterThan(-1);
  expect(end, `${file} has the line ${END} after it`).toBeGreaterThan(begin);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${made.trim()}\n\n${text.slice(end)}`;
}

const at = (file: string): string => path.join(ROOT, file);

describe('docs/reference/configuration.md', () => {
  it('golden: has every key of the schema, with its default and its meaning', async () => {
    const rows = keysOf(jsonSchema() as Schema, '');
    expect(rows.length).toBeGreaterThan(50);
    const table = ['| key | default | meaning |', '| --- | --- | --- |', ...rows.map(({ key, value, words }) => `| ${key} | ${value} | ${words} |`)].join('\n');
    await expect(withGenerated('docs/reference/configuration.md', table)).toMatchFileSnapshot(at('docs/reference/configuration.md'));
  });
});

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly const?: unknown;
}

interface Row {
  readonly key: string;
  readonly value: string;
  readonly words: string;
}

/** Keys under a name that the user chooses are written with `<name>`. */
function keysOf(schema: Schema, above: string): Row[] {
  // A key of one kind of several says which.
  if (schema.oneOf !== undefined)
    return schema.oneOf.flatMap((form) =>
      keysOf(form, above).map((row) => ({ ...row, words: `\`${String(form.properties?.['type']?.const)}\`: ${row.words}` })),
    );
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const key = `${above}${name}`;
    const row = {
      key: `\`${key}\``,
      value: defaultOf(inner, schema.required?.includes(name) === true),
      words: (inner.description ?? '').replaceAll('|', '\\|'),
    };
    const forms = [inner, ...(inner.anyOf ?? [])];
    const below = forms.flatMap((form) => [
      ...keysOf(form, `${key}.`),
      ...(typeof form.additionalProperties === 'object' ? keysOf(form.additionalProperties, `${key}.<name>.`) : []),
      ...(form.items === undefined ? [] : keysOf(form.items, `${key}[].`)),
    ]);
    return [
      row,
      ...below.filter((one, index) => below.findIndex((other) => other.key === one.key && (other.words === one.words || !one.words.startsWith('`'))) === index),
    ];
  });
}

function defaultOf(schema: Schema, required: boolean): string {
  if (schema.default !== undefined && JSON.stringify(schema.default) !== '{}')
    return `\`${typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default)}\``;
  return required && schema.default === undefined ? 'must be given' : '';
}

describe('docs/reference/metrics.md', () => {
  it('golden: has every metric, with its labels and its meaning', async () => {
    const rows = new AgentMetrics('g', 'm', IDLE)
      .list()
      .map(({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`);
    expect(rows.length).toBeGreaterThan(10);
    const table = ['| metric | type | labels | meaning |', '| --- | --- | --- | --- |', ...rows].join('\n');
    await expect(withGenerated('docs/reference/metrics.md', table)).toMatchFileSnapshot(at('docs/reference/metrics.md'));
  });
});

describe('docs/reference/commands.md', () => {
  it('golden: shows the help of every command as the command line prints it', async () => {
    const program = await createProgram();
    const made = commandsBelow(program).map((command) => `## ${nameOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``);
    await expect(withGenerated('docs/reference/commands.md', made.join('\n\n'))).toMatchFileSnapshot(at('docs/reference/commands.md'));
  });
});

function commandsBelow(command: Program): Program[] {
  return command.commands.flatMap((one) => (one.commands.length > 0 ? commandsBelow(one) : [one]));
}

const nameOf = (command: Program): string => (command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`);

function helpOf(command: Program): string {
  let text = '';
  command.configureOutput({ writeOut: (words) => (text += words), getOutHelpWidth: () => 110, getOutHasColors: () => false });
  command.configureHelp({ showGlobalOptions: false });
  command.outputHelp();
  return text.trim();
}

/** Words of the model that people meet in reports, in the UI and in refusals. The types are read as text, since nothing of them is left at run time. */
describe('each word is explained where it is looked up', () => {
  it.each([
    ['src/model/incident.ts', 'Cause', 'docs/reference/incident.md'],
    ['src/model/incident.ts', 'StepName', 'docs/reference/incident.md'],
    ['src/model/incident.ts', 'IncidentOutcome', 'docs/reference/incident.md'],
    ['src/model/incident.ts', 'Loss', 'docs/reference/incident.md'],
    ['src/model/act.ts', 'Published', 'docs/reference/records.md'],
    ['src/model/role.ts', 'FenceCause', 'docs/reference/state-machine.md'],
    ['src/model/role.ts', 'RolePhase', 'docs/reference/state-machine.md'],
    ['src/model/role.ts', 'PrimaryEnd', 'docs/reference/state-machine.md'],
    ['src/model/role.ts', 'StandbyEnd', 'docs/reference/state-machine.md'],
    ['src/model/status.ts', 'GroupPhase', 'docs/reference/state-machine.md'],
    ['src/decide/operator.ts', 'OperatorRule', 'docs/reference/commands.md'],
    ['src/decide/hold.ts', 'HoldRule', 'docs/reference/commands.md'],
    ['src/decide/readiness.ts', 'ReadinessRule', 'docs/reference/commands.md'],
  ])('%s: %s in %s', (source, type, page) => {
    const declared =
      new RegExp(`export (?:type|interface) ${type}\\b[^]*?(?=^(?:export|const|function|/\\*\\*)|$(?![^]))`, 'm').exec(readFileSync(at(source), 'utf8'))?.[0] ??
      '';
    const words = [...declared.replaceAll(/\/\*[^]*?\*\/|\/\/.*$/gm, '').matchAll(/'([a-z][a-z-]+)'/g)].map((match) => match[1] as string);
    expect(words.length).toBeGreaterThan(1);
    const explained = new Set(spansOf(readPage(page)).map(({ text }) => text));
    expect(words.filter((word) => !explained.has(word))).toEqual([]);
  });
});
