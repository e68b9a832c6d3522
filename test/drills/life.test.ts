import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { lookAt, withMember } from '../../src/stage/member-answers.ts';
import { signalIfThere } from '../../src/stage/pids.ts';
import { GROUP, memberDirOf, type StageConfig } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { type Ran, runCli } from '../cli/run-cli.ts';
import { LIMIT_MS, describeDrill, type Drill } from './drill.ts';

const LEASE_MS = 3000;
/** What a busy machine makes by itself. On a quiet one the gaps are below 50 ms: they are told with the test. */
/** No failover fits into it, and a busy machine's moment does. */
const GAP_LIMIT_MS = 3000;

type Group = StageConfig['groups'][string];

/** Edits the stage's configuration as an operator would, and applies it. */
async function apply(drill: Drill, edit: (group: Group) => void): Promise<Ran> {
  const { config: file, dir } = drill.stage.layout;
  const config = parse(readFileSync(file, 'utf8')) as StageConfig;
  const group = config.groups[GROUP];
  if (group === undefined) throw new Error(`the configuration has no group ${GROUP}`);
  edit(group);
  writeFileSync(file, stringify(config));
  return runCli(['apply', file, '--yes', '--config', file], { cwd: dir });
}

async function applied(drill: Drill, edit: (group: Group) => void): Promise<void> {
  const ran = await apply(drill, edit);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
}

interface Before {
  readonly primary: string;
  readonly epoch: number;
  readonly postmaster: number;
  readonly incidents: number;
  readonly sinceNs: number;
}

async function snapshot(drill: Drill): Promise<Before> {
  const { epoch, incidents } = await drill.status();
  const { name } = await drill.primary();
  return { primary: name, epoch, postmaster: drill.running(name).postmaster, incidents: incidents.length, sinceNs: monotonicNs() };
}

/** No failover, the same database, no write gap, nothing lost. */
async function expectUntouched(drill: Drill, before: Before, what: string): Promise<void> {
  await drill.untilFlowing();
  const { primary, epoch, incidents } = await drill.status();
  expect({ primary, epoch, incidents: incidents.length, postmaster: drill.running(before.primary).postmaster }).toEqual({
    primary: before.primary,
    epoch: before.epoch,
    incidents: before.incidents,
    postmaster: before.postmaster,
  });
  const gapMs = drill.gapSince(before.sinceNs);
  process.stderr.write(`${what}: the longest write gap was ${gapMs.toFixed(1)} ms\n`);
  expect(gapMs).toBeLessThan(GAP_LIMIT_MS);
  expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
}

function untilRule(drill: Drill, words: string, fits: (names: readonly string[], count: number) => boolean): Promise<void> {
  return drill.until(words, async () => {
    const { rule, phase } = await drill.status();
    return phase === 'steady' && fits(rule.names, rule.count) ? [] : [`${phase}, ${rule.count} of ${rule.names.join(', ')}`];
  });
}

async function restartAgent(drill: Drill, name: string): Promise<void> {
  signalIfThere(drill.running(name).agent, 'SIGTERM');
  await drill.until('the agent to be gone', () => (drill.stage.pidsOf(name).agent === null ? [] : ['it runs']), { everyMs: 5 });
  await drill.stage.startPart(name);
}

function removeDirectories(drill: Drill, name: string): void {
  for (const one of ['data', 'state']) rmSync(path.join(memberDirOf(drill.stage.layout, name), one), { recursive: true, force: true });
}

function slotsOf(port: number): Promise<string[]> {
  return withMember(port, async (client) => {
    const { rows } = await client.query<{ name: string }>('select slot_name::text as name from pg_replication_slots');
    return rows.map(({ name }) => name);
  });
}

async function lastStandby(drill: Drill): Promise<string> {
  const name = (await drill.standbys()).at(-1)?.name;
  if (name === undefined) throw new Error('there is no standby');
  return name;
}

describeDrill('a group changes while it is written to', { members: 4, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    'another lease, longer and shorter: the primary goes on under it',
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      for (const lease of ['6s', '2s', `${LEASE_MS}ms`]) {
        const before = await snapshot(drill);
        await applied(drill, (group) => (group['lease'] = lease));
        await drill.untilSteady();
        await expectUntouched(drill, before, `lease ${lease}`);
      }
    },
    LIMIT_MS,
  );

  it(
    'another durability: two confirm, one confirms, none, and one again',
    async () => {
      const steps: [unknown, number][] = [
        [{ mode: 'sync', confirm: 2 }, 2],
        ['sync', 1],
        ['async', 0],
        ['sync', 1],
      ];
      for (const [durability, count] of steps) {
        const before = await snapshot(drill);
        await applied(drill, (group) => (group['durability'] = durability));
        await untilRule(drill, `${count} to confirm`, (_, now) => now === count);
        await expectUntouched(drill, before, `durability ${JSON.stringify(durability)}`);
      }
    },
    LIMIT_MS,
  );

  it(
    'another policy',
    async () => {
      const before = await snapshot(drill);
      await applied(drill, (group) => (group['policy'] = { ...(group['policy'] as object), hungAfter: '20s', stopWithin: '20s', maxPerDay: 999 }));
      await drill.untilSteady();
      await expectUntouched(drill, before, 'policy');
    },
    LIMIT_MS,
  );

  it(
    "the primary's removal and its move are refused, each with its reason, and change nothing",
    async () => {
      const before = await snapshot(drill);
      const { name } = await drill.primary();
      const kept = readFileSync(drill.stage.layout.config, 'utf8');
      const removed = await apply(drill, ({ members }) => delete members[name]);
      expect(removed).toMatchObject({ code: 3 });
      expect(removed.stdout + removed.stderr).toContain('it is the primary: hand its role to another member first');
      writeFileSync(drill.stage.layout.config, kept);
      const moved = await apply(drill, ({ members }) => Object.assign(members[name] ?? {}, { address: '127.0.0.2:1' }));
      expect(moved).toMatchObject({ code: 3 });
      expect(moved.stdout + moved.stderr).toContain('a new address means a restart of its database');
      writeFileSync(drill.stage.layout.config, kept);
      await expectUntouched(drill, before, 'refused');
    },
    LIMIT_MS,
  );

  it(
    'a member is removed, its slot with it, and added again',
    async () => {
      const before = await snapshot(drill);
      const name = await lastStandby(drill);
      let kept: Record<string, unknown> = {};
      await applied(drill, ({ members }) => {
        kept = members[name] ?? {};
        delete members[name];
      });
      await untilRule(drill, `${name} to be out of the rule`, (names) => !names.includes(name) && names.length > 0);
      drill.killNode(name);
      await drill.until('its slot to be dropped', async () => {
        const slots = await slotsOf((await drill.primary()).port);
        return slots.includes(`understudy_${name.replaceAll('-', '_')}`) ? [slots.join(', ')] : [];
      });
      await expectUntouched(drill, before, 'a member removed');
      removeDirectories(drill, name);
      const between = await snapshot(drill);
      await applied(drill, ({ members }) => (members[name] = kept));
      await drill.stage.startPart(name);
      await drill.untilSteady();
      await untilRule(drill, `${name} to be in the rule`, (names) => names.includes(name));
      await expectUntouched(drill, between, 'a member added');
    },
    LIMIT_MS,
  );

  it(
    'a member is replaced: another host under the same name, with nothing of what was there',
    async () => {
      const before = await snapshot(drill);
      const name = await lastStandby(drill);
      drill.killNode(name);
      removeDirectories(drill, name);
      await applied(drill, ({ members }) => Object.assign(members[name] ?? {}, { dataDir: path.join(memberDirOf(drill.stage.layout, name), 'data-anew') }));
      await drill.stage.startPart(name);
      await drill.untilSteady();
      await untilRule(drill, `${name} to be in the rule`, (names) => names.includes(name));
      await expectUntouched(drill, before, 'a member replaced');
    },
    LIMIT_MS,
  );

  it(
    'a standby moves to another port: its agent, restarted, restarts its database there',
    async () => {
      const { name, port } = drill.place(await lastStandby(drill));
      for (const to of [port + 700, port]) {
        const before = await snapshot(drill);
        await applied(drill, ({ members }) => Object.assign(members[name] ?? {}, { address: `127.0.0.1:${to}` }));
        await restartAgent(drill, name);
        await drill.until(`${name} to stream at port ${to}`, async () => {
          const look = await lookAt(to);
          if ('silent' in look) return [look.silent];
          return look.inRecovery && look.streaming ? [] : ['it does not stream'];
        });
        await untilRule(drill, `${name} to be in the rule`, (names) => names.includes(name));
        await expectUntouched(drill, before, `port ${to}`);
      }
    },
    LIMIT_MS,
  );

  it(
    'I2: after all that all members are alike, exactly one of them writable',
    async () => {
      await drill.expectAllAlike();
    },
    LIMIT_MS,
  );
});
