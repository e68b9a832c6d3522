import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Incident } from '../../src/model/incident.ts';
import { groupWorkflowId } from '../../src/model/name.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import { useStage } from '../support/workflow-stage.ts';
import { spec } from '../support/workflow-world.ts';
import { runningIncidents } from '../../src/runtime/running-incidents.ts';
import { type Ran, runCli } from './run-cli.ts';

const { stage, scene } = useStage();
const temporal = inject('temporal');
const address = 'missing' in temporal ? '127.0.0.1:1' : temporal.address;
/** Without an understudy.yaml: the environment says where Temporal is. */
let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'understudy-operator-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const cli = (...args: string[]): Promise<Ran> => runCli(args, { cwd: directory, env: { TEMPORAL_ADDRESS: address } });
const json = <T = Record<string, unknown>>({ stdout }: Ran): T => JSON.parse(stdout) as T;
const WHY = ['--reason', 'to see', '--by', 'ada'] as const;

describe('status', () => {
  scene('shows members, roles and lag as a table and as JSON, and names the groups where there is no such one', {}, async (w) => {
    await w.steady();
    const [table, data, nobody] = await Promise.all([cli('status', w.group), cli('status', w.group, '-o', 'json'), cli('status', 'nobody')]);
    expect(table.code, table.stderr).toBe(0);
    expect(table.stdout).toMatch(/steady; primary pg-a, epoch 1/);
    expect(table.stdout).toMatch(/pg-b +standby +following/);
    expect(json<{ groups: unknown[] }>(data).groups[0]).toMatchObject({
      group: w.group,
      status: { primary: 'pg-a' },
      members: [{ member: 'pg-a' }, { member: 'pg-b' }, { member: 'pg-c' }],
    });
    expect(nobody.code).toBe(1);
    expect(nobody.stderr).toMatch(/there is no group nobody\nWhy: these run: .*\nNext: /);
  });

  scene('prints, where nobody draws, a line for each change, and ends by Ctrl-C', {}, async (w) => {
    await w.steady();
    const watching = start(['status', w.group, '--watch', '-o', 'json']);
    await watching.until(({ stdout }) => stdout.includes('steady, primary pg-a'));
    await w.ask('pause', { untilResumed: true });
    await watching.until(({ stdout }) => stdout.includes('automatic action is paused'));
    watching.interrupt();
    const { stdout } = await watching.ended;
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { subject: string; was?: string });
    expect(lines.filter(({ was }) => was !== undefined).map(({ subject }) => subject)).toEqual(['group', 'paused']);
  });
});

describe('the words of an operator', () => {
  scene('are done with exit code 0, and refused with 3, the rule and what gets past it', {}, async (w) => {
    await w.steady();
    const endless = await cli('pause', w.group, ...WHY);
    expect(endless.code).toBe(3);
    expect(endless.stderr).toMatch(/refused by the rule no-end\nWhy: .*\nNext: the same command with --until-resumed/);
    expect(json(await cli('pause', w.group, '--for', '1h', ...WHY, '-o', 'json'))).toMatchObject({ word: 'pause', by: 'ada', answer: 'paused by ada' });
    const planned = await cli('switchover', w.group, '--yes', ...WHY);
    expect(planned.code).toBe(3);
    expect(planned.stderr).toContain(`refused by the rule paused\nWhy: ada has paused ${w.group}: to see\nNext: understudy resume ${w.group}`);
    expect((await cli('resume', w.group)).code).toBe(0);
    expect((await cli('exclude', w.group, 'pg-c', ...WHY)).code).toBe(0);
    expect((await cli('include', w.group, 'pg-c')).code).toBe(0);
    expect((await w.status()).members.every(({ excluded }) => excluded === undefined)).toBe(true);
    const idle = await cli('approve', w.group, ...WHY);
    expect([idle.code, idle.stderr]).toEqual([1, expect.stringContaining(`no incident of ${w.group} is open`)]);
  });

  scene('begin, without those who are silent, only by a yes; and show what the answers that came leave open', {}, async (w) => {
    await w.start({ agents: ['pg-a', 'pg-b'] });
    await w.untilStatus('it waits for pg-c', ({ words }) => words?.includes('--without pg-c') === true);
    const unasked = await cli('begin', w.group, '--without', 'pg-c', ...WHY);
    expect([unasked.code, unasked.stderr]).toEqual([3, expect.stringContaining('writes that only pg-c has are given up')]);
    const answers = await cli('begin', w.group, '--without', 'pg-b', 'pg-c', ...WHY, '--yes');
    expect([answers.code, answers.stderr]).toEqual([3, expect.stringContaining('refused by the rule has-answered\nWhy: pg-b answered')]);
    expect(json(await cli('begin', w.group, '--without', 'pg-c', ...WHY, '--yes', '-o', 'json'))).toMatchObject({
      word: 'begin',
      by: 'ada',
      without: ['pg-c'],
    });
    await w.untilPrimary('pg-a');
  });

  scene(
    'I7: what the rate limit holds back is shown with the command that lifts it, and goes on by that command',
    { policy: { ...spec().policy, minIntervalMs: 3_600_000 } },
    async (w) => {
      await w.steady();
      w.member('pg-a').crash();
      await w.untilPrimary('pg-b');
      await w.untilStatus('both others follow', ({ electable, rule }) => electable.length === 2 && rule.names.length === 2);
      w.member('pg-b').die();
      await w.untilStatus('it is held back', ({ phase }) => phase === 'held');
      const { stdout } = await cli('status', w.group);
      expect(stdout).toContain(`Lift it: understudy override ${w.group}`);
      expect((await cli('override', w.group)).code).toBe(0);
      await w.untilStatus('somebody else is primary', ({ primary, phase }) => primary !== 'pg-b' && phase === 'steady');
    },
  );
});

describe('a switchover and a failover', () => {
  scene('ask first; are followed to the end; and can be read and replayed afterwards', {}, async (w) => {
    await w.steady();
    const unasked = await cli('switchover', w.group, ...WHY);
    expect([unasked.code, unasked.stderr]).toEqual([3, expect.stringContaining('refused by the rule confirmation')]);
    const done = await cli('switchover', w.group, '--to', 'pg-c', '--yes', '-o', 'json', ...WHY);
    expect(done.code, done.stderr).toBe(0);
    expect(json(done)).toMatchObject({ incident: { actor: { name: 'ada' }, outcome: { outcome: 'done', primary: 'pg-c' } }, facts: { to: 'pg-c' } });
    const steps = [...done.stderr.matchAll(/\d+ ms  (\S+)/g)].map(([, name]) => name);
    expect(steps.slice(0, 4)).toEqual(['check', 'checkpoint', 'step-down', 'promote']);
    await w.untilPrimary('pg-c');
    // A live primary is fenced first; the incident is named after that.
    const forced = await cli('failover', w.group, '--to', 'pg-b', '--yes', ...WHY);
    expect(forced.code, forced.stderr).toBe(0);
    expect(forced.stdout).toMatch(/pg-b is the primary of epoch 3[\s\S]*incident +failover\/g\w+\/3/);

    const [list, report, replayed] = await Promise.all([
      cli('incidents', w.group, '-o', 'json'),
      cli('report', `switchover/${w.group}/2`),
      cli('replay', `switchover/${w.group}/2`, `failover/${w.group}/3`, '-o', 'json'),
    ]);
    expect(json<{ incidents: { id: string }[] }>(list).incidents.map(({ id }) => id)).toEqual([`failover/${w.group}/3`, `switchover/${w.group}/2`]);
    expect(report.stdout).toContain(`# Switchover of ${w.group}, epoch 2`);
    expect(replayed.code, replayed.stdout + replayed.stderr).toBe(0);
    expect(json(replayed)).toMatchObject({ replayed: 2, differing: 0, results: [{ same: true }, { same: true, elections: [{ same: true }] }] });
  });

  scene('end with exit code 1 where the role was given back', {}, async (w) => {
    await w.steady();
    w.member('pg-b').always('promote', () => {
      throw new UnderstudyError('DatabaseFailed', 'its disk is full');
    });
    const { code, stdout } = await cli('switchover', w.group, '--to', 'pg-b', '--yes', ...WHY);
    expect([code, stdout]).toEqual([1, expect.stringContaining('the role was given back to pg-a')]);
  });

  scene('go on when the one who follows them leaves', {}, async (w) => {
    await w.steady();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    w.member('pg-b').once('promote', async (usual) => {
      await gate;
      return usual();
    });
    const following = start(['switchover', w.group, '--to', 'pg-b', '--yes', ...WHY]);
    await following.until(({ stderr }) => stderr.includes('step-down pg-a'));
    following.interrupt();
    const { code, stderr } = await following.ended;
    expect([code, stderr]).toEqual([
      130,
      expect.stringContaining(`switchover/${w.group}/2 goes on all the same.\nNext: understudy report switchover/${w.group}/2`),
    ]);
    release();
    await w.untilPrimary('pg-b');
  });
});

describe('replay', () => {
  scene('says which command, and which election, would be another one today', {}, async (w) => {
    await w.steady();
    w.member('pg-a').crash();
    await w.untilPrimary('pg-b');
    const history = historyToJSON(await w.history(`failover/${w.group}/2`));
    const [moved, decided] = [path.join(directory, 'moved.json'), path.join(directory, 'decided.json')];
    await writeFile(moved, history.replaceAll('promote/pg-b/2', 'promote/pg-c/2'));
    await writeFile(
      decided,
      withResult(history, (incident) => ({ ...incident, elections: incident.elections.map((election) => ({ ...election, elected: 'pg-c' })) })),
    );
    const { code, stdout } = await cli('replay', moved, decided, '-o', 'json');
    expect(code).toBe(1);
    const { results } = JSON.parse(stdout) as { results: unknown[] };
    expect(results[0]).toMatchObject({ same: false, words: expect.stringContaining("'promote/pg-c/2'") as string });
    expect(results[1]).toMatchObject({ same: true, elections: [{ same: false, words: expect.stringContaining('then pg-c') as string }] });
  });
});

describe('apply', () => {
  it.skipIf('missing' in temporal)('shows the difference, starts and changes groups, and applies nothing of one with an unsafe change', async () => {
    const group = `g${Math.random().toString(16).slice(2, 12)}`;
    const write = async (name: string, members: readonly string[], priority: number): Promise<string> => {
      const file = path.join(directory, name);
      const lines = members.map(
        (member, index) =>
          `      ${member}: { address: 127.0.0.1:${index + 1}, priority: ${priority}, dataDir: /nowhere/${member}/data, stateDir: /nowhere/${member}/state }`,
      );
      await writeFile(
        file,
        `temporal: { address: ${address} }\ngroups:\n  ${group}:\n    database: postgres\n    postgres: { auth: trust }\n    members:\n${lines.join('\n')}\n`,
      );
      return file;
    };
    const first = await write('first.yaml', ['pg-a', 'pg-b'], 100);
    const dry = await cli('apply', first, '--dry-run');
    expect(dry.code, dry.stderr).toBe(2);
    expect((await cli('apply', first)).code).toBe(0);
    try {
      expect((await cli('apply', first, '--dry-run')).code).toBe(0);
      const changed = await cli('apply', await write('second.yaml', ['pg-a', 'pg-b'], 50), '-o', 'json');
      expect(json(changed)).toMatchObject({
        groups: [
          { group, action: 'change', done: true, changes: [{ change: 'members.pg-a.priority', from: '100', to: '50' }, { change: 'members.pg-b.priority' }] },
        ],
      });
      const unsafe = await cli('apply', await write('third.yaml', ['pg-x', 'pg-y'], 50), '--yes', '-o', 'json');
      expect(unsafe.code).toBe(3);
      expect(json(unsafe)).toMatchObject({ groups: [{ action: 'refused', done: false }] });
      expect(await stage.client.workflow.getHandle(groupWorkflowId(group)).query('spec')).toMatchObject({
        members: [{ name: 'pg-a', priority: 50 }, { name: 'pg-b' }],
      });
    } finally {
      await stage.client.workflow.getHandle(groupWorkflowId(group)).terminate('the test is over');
    }
  });

  it.skipIf('missing' in temporal)('starts no group while an incident of it runs', async () => {
    const group = `g${Math.random().toString(16).slice(2, 12)}`;
    const file = path.join(directory, 'alone.yaml');
    await writeFile(
      file,
      `temporal: { address: ${address} }\ngroups:\n  ${group}:\n    database: postgres\n    durability: async\n    postgres: { auth: trust }\n    members:\n      pg-a: { address: 127.0.0.1:1, dataDir: /nowhere/a/data, stateDir: /nowhere/a/state }\n`,
    );
    // No worker has to run it: it is there, and a moment later Temporal's list knows.
    const incident = await stage.client.workflow.start('failover', { workflowId: `failover/${group}/2`, taskQueue: 'nobody', args: [] });
    try {
      await expect.poll(() => runningIncidents(stage.client, group), { timeout: 10_000 }).toEqual([`failover/${group}/2`]);
      const refused = await cli('apply', file, '-o', 'json');
      expect(refused.code, refused.stderr).toBe(3);
      expect(refused.stderr).toContain('incident-runs');
      expect(json(refused)).toMatchObject({ groups: [{ group, action: 'refused', done: false, incidents: [`failover/${group}/2`] }] });
    } finally {
      await incident.terminate('the test is over');
    }
    expect((await cli('apply', file)).code).toBe(0);
    await stage.client.workflow.getHandle(groupWorkflowId(group)).terminate('the test is over');
  });

  scene(
    'knows an incident that its group began a moment ago from the history of the group',
    { policy: { ...spec().policy, approval: 'required', approvalWithinMs: 3_600_000 } },
    async (w) => {
      await w.steady();
      w.member('pg-a').crash();
      await w.untilStatus('an incident waits', ({ phase }) => phase === 'incident');
      const id = `failover/${w.group}/2`;
      await w.terminate(groupWorkflowId(w.group));
      expect(await runningIncidents(stage.client, w.group)).toEqual([id]);
      await w.terminate(id);
      expect(await runningIncidents(stage.client, w.group)).toEqual([]);
    },
  );

  it.skipIf('missing' in temporal)('setup registers what is missing, and says what was there', async () => {
    expect((await cli('setup')).code).toBe(0);
    expect(json(await cli('setup', '-o', 'json'))).toMatchObject({ added: [], present: expect.arrayContaining(['UnderstudyGroup']) as string[] });
  });
});

interface Running {
  readonly ended: Promise<Ran>;
  until(holds: (seen: { stdout: string; stderr: string }) => boolean): Promise<void>;
  interrupt(): void;
}

function start(args: readonly string[]): Running {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, '../../bin/understudy'), ...args], {
    cwd: directory,
    env: { PATH: process.env['PATH'], TEMPORAL_ADDRESS: address },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const seen = { stdout: '', stderr: '' };
  let look = (): void => undefined;
  child.stdout.on('data', (chunk) => {
    seen.stdout += String(chunk);
    look();
  });
  child.stderr.on('data', (chunk) => {
    seen.stderr += String(chunk);
    look();
  });
  const ended = new Promise<Ran>((resolve, reject) => child.once('error', reject).once('close', (code) => resolve({ code, ...seen })));
  return {
    ended,
    until: (holds) =>
      new Promise((resolve, reject) => {
        look = () => {
          if (holds(seen)) resolve();
        };
        look();
        void ended.then((ran) => reject(new Error(`it ended too early: ${JSON.stringify(ran)}`)));
      }),
    interrupt: () => child.kill('SIGINT'),
  };
}

/** The same history with another result in its last event. */
function withResult(history: string, change: (incident: Incident) => unknown): string {
  const raw = JSON.parse(history) as { events: { workflowExecutionCompletedEventAttributes?: { result: { payloads: { data: string }[] } } }[] };
  const payload = raw.events.at(-1)?.workflowExecutionCompletedEventAttributes?.result.payloads[0];
  if (payload === undefined) throw new Error('the history has no result');
  payload.data = Buffer.from(JSON.stringify(change(JSON.parse(Buffer.from(payload.data, 'base64').toString()) as Incident))).toString('base64');
  return JSON.stringify(raw);
}
