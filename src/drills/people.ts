import { chownSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { parse, stringify } from 'yaml';
import { applyConfig } from '../client/apply.ts';
import { CONTROL_QUEUE, groupWorkflowId } from '../model/name.ts';
import { accountOf } from '../stage/account.ts';
import { withMember } from '../stage/member-answers.ts';
import type { Part } from '../stage/processes.ts';
import { GROUP } from '../stage/stage-file.ts';
import { StageError } from '../stage/stage-error.ts';
import { findPostgres } from '../runtime/tools/postgres.ts';
import { custom, kill, start, type Step } from './step.ts';
import type { Rig } from './rig.ts';
import { runTool } from './tool.ts';

/** What people do by hand, past Understudy. */

const SIGNED = { by: 'a drill', reason: 'to see what comes of it' };

export const sql = (word: string, ...statements: readonly string[]): Step =>
  custom(`${word}: ${statements.join('; ')}`, (rig) =>
    withMember(rig.member(word), async (client) => {
      for (const text of statements) await client.query(text);
    }),
  );

/** A program of PostgreSQL as its own account, beside the member. */
export const postgresTool = (word: string, tool: string, args: (dataDir: string) => readonly string[]): Step =>
  custom(`${tool} by hand on ${word}`, async (rig) => {
    const { binDir } = await findPostgres({ fetch: false });
    const member = rig.member(word).name;
    const account = accountOf();
    const drop = account === undefined ? [] : ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups', '--'];
    const [command = '', ...rest] = [...rig.network.enter(member), ...drop, path.join(binDir, tool), ...args(dataDirOf(rig, member))];
    // Whether it lets itself be done is not what is asked here, but what comes of it.
    await runTool('sh', ['-c', '"$@" < /dev/null > "$0" 2>&1 || true', rig.fileOf('logs', `by-hand-${tool}.log`), command, ...rest]);
  });

const dataDirOf = (rig: Rig, member: string): string => rig.fileOf('members', member, 'data');

export const ask = (word: 'switchover' | 'failover', more: object = {}): Step =>
  custom(`ask for a ${word}`, async (rig) => {
    await rig.group.executeUpdate(word, { args: [{ ...SIGNED, ...more }] });
  });

/** `understudy apply`. */
export const apply: Step = custom('understudy apply', async (rig) => {
  await applyConfig(rig.stage.connected.client, rig.stage.config, SIGNED);
});

export const applyMinInterval = (minIntervalMs: number): Step =>
  custom(`understudy apply with minInterval ${minIntervalMs} ms`, async (rig) => {
    const { config } = rig.stage;
    const group = config.groups[GROUP];
    if (group === undefined) throw new StageError('the stage has no group');
    const policy = { ...group.spec.policy, minIntervalMs };
    await applyConfig(rig.stage.connected.client, { ...config, groups: { [GROUP]: { ...group, spec: { ...group.spec, policy } } } }, SIGNED);
  });

export const terminate: Step = custom("terminate the group's workflow", async (rig) => {
  await rig.group.terminate('by hand');
});

export const resetGroup: Step = custom("reset the group's workflow to its first task", async (rig) => {
  const { client, namespace } = rig.stage.connected;
  const { events } = await rig.group.fetchHistory();
  const first = (events ?? []).find((event) => event.workflowTaskCompletedEventAttributes != null);
  if (first?.eventId == null) throw new StageError("the group's history has no completed task");
  await client.workflowService.resetWorkflowExecution({
    namespace,
    workflowExecution: { workflowId: groupWorkflowId(GROUP) },
    workflowTaskFinishEventId: first.eventId,
    requestId: `reset-${Date.now()}`,
    reason: 'by hand',
  });
});

export const startTwice: Step = custom("start the group's workflow a second time", async (rig) => {
  const { client } = rig.stage.connected;
  const spec = rig.stage.config.groups[GROUP]?.spec;
  try {
    await client.workflow.start('failoverGroup', { workflowId: groupWorkflowId(GROUP), taskQueue: CONTROL_QUEUE, args: [{ spec }] });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return;
    throw error;
  }
  throw new StageError('a second run of the group was let begin');
});

const DATABASE_FILES = ['temporal.db', 'temporal.db-wal', 'temporal.db-shm'];

/** As a snapshot of its disk would. */
export const copyTemporal: Step = custom("copy Temporal's database", async (rig) => {
  rig.freeze('temporal');
  mkdirSync(rig.fileOf('copy'), { recursive: true });
  for (const file of DATABASE_FILES) if (existsSync(rig.fileOf(file))) copyFileSync(rig.fileOf(file), rig.fileOf('copy', file));
  rig.thawAll();
});

export const restoreTemporal: Step = custom("Temporal's database is restored from the copy", async (rig) => {
  await rig.kill('temporal');
  for (const file of DATABASE_FILES) {
    rmSync(rig.fileOf(file), { force: true });
    if (existsSync(rig.fileOf('copy', file))) copyFileSync(rig.fileOf('copy', file), rig.fileOf(file));
  }
  await rig.start('temporal');
});

export const emptyTemporal: Step = custom("Temporal's database is emptied", async (rig) => {
  await rig.kill('temporal');
  for (const file of DATABASE_FILES) rmSync(rig.fileOf(file), { force: true });
  await rig.start('temporal');
});

/** Each agent started once with --claim-anew, as its own words say; then as ever. */
export const claimAnew: Step = custom('start every agent once with --claim-anew', async (rig) => {
  for (const { name } of rig.stage.members) {
    if (rig.stage.pidOf(name) !== null) await rig.kill(`${name}.agent`);
    const args = ['--config', rig.stage.layout.config, '--group', GROUP, '--member', name, '--claim-anew'];
    const once = await rig.stage.runBeside(`claim-${name}`, 'agent', args, name);
    await once.end(2_000);
    await rig.start(name);
  }
});

/** The database is stopped with its node, and another one lies there when the node is back. */
export const replaceData = (word: string, by: 'nothing' | 'a foreign database'): Step =>
  custom(`the data directory of ${word} is replaced by ${by}`, async (rig) => {
    const { name } = rig.member(word);
    await rig.kill(word);
    const dataDir = dataDirOf(rig, name);
    rmSync(`${dataDir}.before`, { recursive: true, force: true });
    renameSync(dataDir, `${dataDir}.before`);
    if (by === 'a foreign database') await postgresTool(word, 'initdb', (dir) => ['-D', dir, '-U', 'postgres', '--auth=trust', '-k', '--no-sync']).run(rig, 0);
    await rig.start(word);
  });

/** What a person does who has read the refusal: the node is stopped, and the foreign directory is moved away. */
export const removeForeign = (word: string): Step[] => [
  kill(word),
  custom('the foreign directory is moved away', async (rig) => {
    const dataDir = dataDirOf(rig, rig.member(word).name);
    const state = await runTool('stat', ['-c', '%F', path.join(dataDir, 'base')]);
    if (state.trim() !== 'directory') throw new StageError('the foreign database is not there any more: it was overwritten');
    for (const left of [`${dataDir}.before`, dataDir]) rmSync(left, { recursive: true, force: true });
  }),
  start(word),
];

/** A second host with the same member's name in its configuration, and an empty disk. */
export const twin = (word: string): Step =>
  custom(`an agent on another host that is configured as ${word}`, async (rig) => {
    const member = rig.member(word);
    const home = rig.fileOf('members', `${member.name}-twin`);
    mkdirSync(path.join(home, 'state'), { recursive: true, mode: 0o755 });
    const account = accountOf();
    if (account !== undefined) chownSync(home, account.uid, account.gid);
    const config = parse(readFileSync(rig.stage.layout.config, 'utf8')) as TwinConfig;
    const entry = config.groups[GROUP]?.members[member.name];
    if (entry === undefined) throw new StageError(`the configuration has no ${member.name}`);
    Object.assign(entry, { address: `${rig.network.hostOf('second')}:${member.port}`, dataDir: path.join(home, 'data'), stateDir: path.join(home, 'state') });
    const file = rig.fileOf('twin.yaml');
    writeFileSync(file, stringify(config));
    const args = ['--config', file, '--group', GROUP, '--member', member.name];
    try {
      rig.notes.set('twin', await rig.stage.runBeside('twin', 'agent', args, 'second'));
    } catch (error) {
      // It is refused, and says so: all the better.
      if (!(error instanceof StageError)) throw error;
      rig.notes.set('twin refused', error.message);
    }
  });

interface TwinConfig {
  readonly groups: Record<string, { readonly members: Record<string, object> } | undefined>;
}

export const endTwin: Step = custom('the agent on the other host is ended', async (rig) => {
  await (rig.notes.get('twin') as Part | undefined)?.end(2_000);
});

export const secondWorker: Step = custom('a second worker beside the first', async (rig) => {
  rig.notes.set('worker', await rig.stage.runBeside('worker-2', 'worker', ['--config', rig.stage.layout.config], 'worker'));
});

export const endSecondWorker: Step = custom('the second worker is ended', async (rig) => {
  await (rig.notes.get('worker') as Part | undefined)?.end(3_000);
});
