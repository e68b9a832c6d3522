import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { redecide } from '../../src/decide/redecide.ts';
import type { Incident } from '../../src/model/incident.ts';

/** Histories of each kind, as they were when they were recorded: a change that would break workflows that run fails here. */
const HISTORIES = path.join(import.meta.dirname, 'histories');
const found = inject('temporal');
const missing = 'missing' in found ? found.missing : undefined;
const files = readdirSync(HISTORIES).filter((name) => name.endsWith('.json'));

interface Recorded {
  readonly events: readonly {
    readonly workflowExecutionCompletedEventAttributes?: { readonly result: { readonly payloads: readonly { readonly data: string }[] } };
  }[];
}

const read = (file: string): Recorded => JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8')) as Recorded;

/** What an incident's workflow returned; undefined for a group's, which has no end. */
function incidentOf({ events }: Recorded): Incident | undefined {
  const data = events.at(-1)?.workflowExecutionCompletedEventAttributes?.result.payloads[0]?.data;
  return data === undefined ? undefined : (JSON.parse(Buffer.from(data, 'base64').toString()) as Incident);
}

describe.skipIf(missing !== undefined && process.env['CI'] !== 'true')(
  `the histories${missing === undefined ? '' : ` (skipped: ${missing.split('\n')[0]})`}`,
  () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'understudy-replay-'));
    beforeAll(() => Runtime.install({ logger: new DefaultLogger('ERROR') }));
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    const bundle = (): string => {
      if ('missing' in found) throw new Error(found.missing);
      return found.bundle;
    };
    const replay = (codePath: string, file: string): Promise<void> => Worker.runReplayHistory({ workflowBundle: { codePath } }, read(file), file);

    /** Today's workflows with one line of them changed. */
    function changed(name: string, line: string, to: string): string {
      const code = readFileSync(bundle(), 'utf8');
      expect(code.split(line)).toHaveLength(2);
      const file = path.join(directory, `${name}.js`);
      writeFileSync(
        file,
        code.replace(line, () => to),
      );
      return file;
    }

    it('are there for each kind of workflow and outcome', () => {
      const outcomes = files.flatMap((file) => incidentOf(read(file))?.outcome.outcome ?? []);
      expect([...new Set(outcomes)].sort()).toEqual(['done', 'failed', 'given-back', 'observed', 'primary-lives', 'refused', 'restarted']);
      expect(files.filter((file) => file.startsWith('group-')).length).toBeGreaterThan(2);
    });

    it.each(files)("%s is replayed by today's code", async (file) => {
      await replay(bundle(), file);
    });

    it.each(files.filter((file) => incidentOf(read(file)) !== undefined))('%s would be decided the same today', (file) => {
      const incident = incidentOf(read(file));
      if (incident === undefined) throw new Error('it has no incident');
      expect(redecide(incident).filter(({ same }) => !same)).toEqual([]);
    });

    it('fail where steps change their order: members asked from the last to the first', async () => {
      const file = changed(
        'order',
        'question.names.map((name)=>askOne(question, name))',
        'question.names.slice().reverse().map((name)=>askOne(question, name))',
      );
      await expect(replay(file, 'failover-crash.json')).rejects.toMatchObject({ name: 'DeterminismViolationError' });
    });

    it('fail where another member would be promoted: the decision stands in the id', async () => {
      const file = changed('winner', 'fits.sort((a, b)=>', 'fits.sort((b, a)=>');
      await expect(replay(file, 'failover-crash.json')).rejects.toMatchObject({ name: 'DeterminismViolationError' });
    });
  },
);
