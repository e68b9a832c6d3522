import { readFileSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.dirname(import.meta.dirname);

/** Rooms, the deeper first, so that a file is in the first one that holds it. */
const ROOMS = [
  'src/model',
  'src/decide',
  'src/runtime',
  'src/database',
  'src/providers',
  'src/probes',
  'src/flags',
  'src/guard',
  'src/agent',
  'src/client',
  'src/replay',
  'src/stage',
  'src/drills',
  'src/cli',
  'src/bin',
  'workflows',
  'activities',
  'test',
] as const;
type Room = (typeof ROOMS)[number];

interface Rule {
  /** Rooms besides itself. */
  readonly rooms: readonly Room[];
  /** Packages; `node` stands for Node's own modules. */
  readonly packages: RegExp;
}

const ANY = /./;
/** Who may import whom. `import type` is free. */
const TABLE: Record<Room, Rule> = {
  'src/model': { rooms: [], packages: /^zod$/ },
  'src/decide': { rooms: ['src/model'], packages: /^zod$/ },
  workflows: { rooms: ['src/model', 'src/decide'], packages: /^@temporalio\/(workflow|common)$/ },
  'src/runtime': { rooms: ['src/model'], packages: ANY },
  'src/database': { rooms: ['src/model', 'src/decide', 'src/runtime'], packages: /^(node|pg|execa|koffi)$/ },
  'src/providers': { rooms: ['src/model', 'src/decide', 'src/runtime'], packages: /^(node|dns-packet|zod|@aws-sdk\/client-route-53)$/ },
  'src/probes': { rooms: ['src/model', 'src/decide', 'src/runtime'], packages: /^(node|pg|dns-packet)$/ },
  'src/flags': { rooms: ['src/model', 'src/decide', 'src/runtime'], packages: /^(node|zod)$/ },
  'src/guard': { rooms: ['src/model', 'src/decide', 'src/runtime'], packages: /^(node|koffi|execa)$/ },
  'src/agent': { rooms: ['src/model', 'src/decide', 'src/runtime', 'src/guard', 'src/database'], packages: ANY },
  // Asks the workflows from outside, for the command line and for whoever embeds it.
  'src/client': { rooms: ['src/model', 'src/decide', 'src/runtime', 'workflows'], packages: ANY },
  // Runs histories against today's code, and decides past incidents again.
  'src/replay': { rooms: ['src/model', 'src/decide', 'src/runtime', 'workflows'], packages: ANY },
  activities: { rooms: ['src/model', 'src/decide', 'src/runtime', 'src/database', 'src/providers', 'src/guard', 'src/agent'], packages: ANY },
  'src/stage': {
    rooms: ['src/model', 'src/decide', 'src/runtime', 'src/database', 'src/providers', 'src/guard', 'src/agent', 'src/client', 'activities', 'workflows'],
    packages: ANY,
  },
  // Real faults on a stage in a network that can be cut.
  'src/drills': { rooms: ['src/model', 'src/decide', 'src/runtime', 'src/client', 'src/stage', 'activities', 'workflows'], packages: ANY },
  'src/cli': {
    // `understudy agent` and `understudy worker` are the processes of bin: there, and only there, bin is imported.
    rooms: [
      'src/model',
      'src/decide',
      'src/runtime',
      'src/database',
      'src/providers',
      'src/guard',
      'src/agent',
      'src/client',
      'src/replay',
      'src/stage',
      'src/bin',
      'activities',
      'workflows',
    ],
    packages: ANY,
  },
  'src/bin': { rooms: ROOMS.filter((room) => room !== 'test' && room !== 'src/bin'), packages: ANY },
  test: { rooms: ROOMS, packages: ANY },
};

interface Import {
  readonly file: string;
  readonly line: number;
  readonly from: string;
}

function filesBelow(directory: string, ending: string): string[] {
  return readdirSync(path.join(ROOT, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)));
}

/** Every import and re-export of values, dynamic ones too; comments are blanked first. */
export function importsOf(file: string, source: string): Import[] {
  const code = source
    .replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(?<=^|\s)\/\/[^\n]*/g, (comment) => ' '.repeat(comment.length));
  const found: Import[] = [];
  const note = (index: number, from: string): void => void found.push({ file, line: code.slice(0, index).split('\n').length, from });
  for (const match of code.matchAll(/^[ \t]*(?:import|export)\s+(type\s)?[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]/gm)) {
    if (match[1] === undefined) note(match.index, match[2] as string);
  }
  for (const match of code.matchAll(/^[ \t]*import\s*['"]([^'"]+)['"]/gm)) note(match.index, match[1] as string);
  // `typeof import('…')` is a type.
  for (const match of code.matchAll(/(typeof\s+)?\bimport\(\s*['"]([^'"]+)['"]\s*\)(\.\w)?/g)) {
    if (match[1] === undefined && !/[:<|&]\s*$/.test(code.slice(0, match.index))) note(match.index, match[2] as string);
  }
  return found;
}

const roomOf = (file: string): Room | undefined => ROOMS.find((room) => file.startsWith(`${room}/`));
const packageOf = (from: string): string =>
  isBuiltin(from)
    ? 'node'
    : from
        .split('/')
        .slice(0, from.startsWith('@') ? 2 : 1)
        .join('/');

/** Why this import is not allowed; undefined where it is. */
export function complaint({ file, line, from }: Import): string | undefined {
  const room = roomOf(file);
  if (room === undefined) return `${file} is in no room`;
  const rule = TABLE[room];
  const at = `${file}:${line}`;
  if (!from.startsWith('.')) return rule.packages.test(packageOf(from)) ? undefined : `${at}: ${room} may not import the package ${from}`;
  const target = path.normalize(path.join(path.dirname(file), from));
  const other = roomOf(target);
  if (other === undefined) return `${at}: ${from} is in no room`;
  if (other === room || rule.rooms.includes(other)) return undefined;
  return `${at}: ${room} may not import ${other} (${from})`;
}

describe('who may import whom', () => {
  const files = ['src', 'workflows', 'activities', 'test'].flatMap((directory) => filesBelow(directory, '.ts'));

  it('every import statement keeps to the table', () => {
    const imports = files.flatMap((file) => importsOf(file, readFileSync(path.join(ROOT, file), 'utf8')));
    expect(imports.length).toBeGreaterThan(100);
    expect(imports.map(complaint).filter((words) => words !== undefined)).toEqual([]);
  });

  it.each([
    ['src/model/a.ts', "import fs from 'node:fs';", 'src/model/a.ts:1: src/model may not import the package node:fs'],
    ['src/decide/a.ts', "import { x } from '../runtime/b.ts';", 'src/decide/a.ts:1: src/decide may not import src/runtime (../runtime/b.ts)'],
    ['workflows/a.ts', "// why\nexport * from '../src/agent/b.ts';", 'workflows/a.ts:2: workflows may not import src/agent (../src/agent/b.ts)'],
    ['workflows/a.ts', "import type { acts } from '../activities/index.ts';", undefined],
    ['workflows/a.ts', "const x = await import('../activities/index.ts');", 'workflows/a.ts:1: workflows may not import activities (../activities/index.ts)'],
    ['src/guard/a.ts', "import {\n  one,\n  two,\n} from '../database/b.ts';", 'src/guard/a.ts:1: src/guard may not import src/database (../database/b.ts)'],
    ['src/guard/a.ts', "/* import { x } from '../agent/b.ts'; */", undefined],
    ['src/providers/a.ts', "import pg from 'pg';", 'src/providers/a.ts:1: src/providers may not import the package pg'],
    ['src/agent/a.ts', "import '../bin/agent.ts';", 'src/agent/a.ts:1: src/agent may not import src/bin (../bin/agent.ts)'],
  ])('in %s, %j: %s', (file, source, expected) => {
    expect(
      importsOf(file, source)
        .map(complaint)
        .find((words) => words !== undefined),
    ).toBe(expected);
  });

  it('files are named in kebab-case', () => {
    const odd = files.filter((file) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/.test(path.basename(file)));
    expect(odd).toEqual([]);
  });
});

describe('what must always hold', () => {
  const sources = filesBelow('test', '.test.ts')
    .filter((file) => file !== 'test/tidy.test.ts')
    .map((file) => readFileSync(path.join(ROOT, file), 'utf8'));
  const named = new Set(sources.flatMap((source) => [...source.matchAll(/['"`](?:[\w-]+: )?(I\d+)[:,] /g)].map((match) => match[1] as string)));

  it.each(Array.from({ length: 10 }, (_, index) => `I${index + 1}`))('%s is named by a test', (invariant) => {
    expect([...named].sort()).toContain(invariant);
  });
});
