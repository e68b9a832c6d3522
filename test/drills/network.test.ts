import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { DRILLS } from '../../src/drills/drills.ts';
import { whyNotHere } from '../../src/drills/inside.ts';
import type { DrillReport } from '../../src/drills/report.ts';

const PROGRAM = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'bin', 'drills.js');
const LIMIT_MS = 5 * 60_000;
const TITLE = 'real faults in a network that can be cut';

const PLAYED = [
  "I1: the primary's whole node is frozen for three leases, then resumed",
  'I1: the primary is cut off from all',
  'I1: a primary that needs no standby to acknowledge is cut off from all',
  'I3: one standby is cut off from all',
  "I1, I2: the primary's postmaster is killed",
  "I2: the primary's data disk is full",
] as const;
const nameOf = (test: string): string => test.replace(/^[I\d, ]+: /, '');

/** Started as a person does, compiled; a Ctrl-C is what `stop` is. */
function runDrills(args: readonly string[]) {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: run "npm run build" first`);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
  return { child, said, ended };
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
const leftovers = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('understudy-drills-'));

const why = await whyNotHere();
describe(TITLE, () => {
  if (why !== undefined) {
    const name = `skipped: ${why}`;
    if (process.env['CI'] !== 'true') return it.skip(name, () => undefined);
    return it(name, () => {
      throw new Error(`${TITLE}: ${why}; with CI=true every part must be there`);
    });
  }

  let report: DrillReport | undefined;
  it(
    'a few drills are played to their end, and leave nothing behind',
    async () => {
      const before = leftovers();
      const only = `: (${PLAYED.map((test) => escaped(nameOf(test))).join('|')})$`;
      const { said, ended } = runDrills(['--only', only, '-o', 'json']);
      const code = await ended;
      // Each drill is judged by a test of its own: a run that has no report is what fails here.
      if (said.out !== '') report = JSON.parse(said.out) as DrillReport;
      expect({ reported: report !== undefined, err: report === undefined ? said.err : '' }).toEqual({ reported: true, err: '' });
      expect([0, 1]).toContain(code);
      expect(leftovers()).toEqual(before);
    },
    LIMIT_MS,
  );

  it.each(PLAYED)('%s', (test) => {
    const result = report?.results.find(({ name }) => name === nameOf(test));
    expect(result).toMatchObject({ passed: true, late: 0, wrong: [] });
    if (result?.durability === 'sync') expect(result.lost).toBe(0);
  });

  it(
    'told to end in the middle, it ends with everything that it started',
    async () => {
      const before = leftovers();
      const { child, said, ended } = runDrills(['--only', 'one standby is cut off from all']);
      while (!said.err.includes('a new stage')) {
        if (child.exitCode !== null) throw new Error(`it has ended: ${said.err}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      child.kill('SIGINT');
      expect(await ended).toBe(130);
      expect(leftovers()).toEqual(before);
    },
    LIMIT_MS,
  );
});

describe('the table of drills', () => {
  it('names each drill once, and says of each what must not happen', () => {
    expect(new Set(DRILLS.map(({ name }) => name)).size).toBe(DRILLS.length);
    expect(DRILLS.filter(({ must, mustNot }) => must === '' || mustNot === '')).toEqual([]);
  });

  it('has a drill of each kind', () => {
    expect([...new Set(DRILLS.map(({ kind }) => kind))]).toEqual(['processes', 'network', 'disks', 'two things', 'people']);
  });
});
