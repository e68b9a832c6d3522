import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { withMember } from '../../src/stage/member-answers.ts';
import { signalIfThere } from '../../src/stage/pids.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { LIMIT_MS, describeDrill, type Drill } from './drill.ts';

const LEASE_MS = 10_000;
const REPLICATOR = 'replicator';
const dir = mkdtempSync(path.join(tmpdir(), 'understudy-passwords-'));
const fileOf = (name: string): string => path.join(dir, name);
const write = (name: string, password: string): void => writeFileSync(fileOf(name), `${password}\n`, { mode: 0o600 });

/** On the primary, as an operator would: the server is told first, then the file. */
async function changePassword(drill: Drill, user: string, name: string, password: string): Promise<void> {
  const { port } = await drill.primary();
  await withMember(port, async (client) => {
    await client.query(`alter role ${client.escapeIdentifier(user)} with password ${client.escapeLiteral(password)}`);
  });
  write(name, password);
}

/** Every stream is cut, so that each standby has to show its password. */
async function cutStreams(drill: Drill): Promise<void> {
  const { port } = await drill.primary();
  await withMember(port, (client) => client.query('select pg_terminate_backend(pid) from pg_stat_replication'));
}

async function restartAgents(drill: Drill): Promise<void> {
  for (const { name } of drill.stage.members) {
    signalIfThere(drill.running(name).agent, 'SIGTERM');
    await drill.until('the agent to be gone', () => (drill.stage.pidsOf(name).agent === null ? [] : ['it runs']), { everyMs: 5 });
    await drill.stage.startPart(name);
    await drill.untilSteady();
  }
}

write('superuser', 'the-first-superuser');
write('replication', 'the-first-replication');
// The stage asks the members as any client does, and so do its writers.
process.env['PGPASSWORD'] = 'the-first-superuser';

describeDrill(
  'passwords change while a group is written to',
  {
    members: 3,
    leaseMs: LEASE_MS,
    durability: 'sync',
    adjust: ({ groups }) => {
      Object.assign(groups[GROUP]?.postgres ?? {}, {
        auth: 'scram-sha-256',
        superuser: { user: 'postgres', password: { file: fileOf('superuser') } },
        replication: { user: REPLICATOR, password: { file: fileOf('replication') } },
      });
      return Promise.resolve();
    },
  },
  (drill) => {
    afterAll(() => {
      delete process.env['PGPASSWORD'];
      rmSync(dir, { recursive: true, force: true });
    });

    it(
      "replication's: nobody is restarted, and a standby whose stream breaks is back by the new one",
      async () => {
        await drill.untilSteady();
        await drill.untilFlowing();
        const before = { status: await drill.status(), pids: drill.stage.members.map(({ name }) => drill.running(name)) };
        const sinceNs = monotonicNs();
        await changePassword(drill, REPLICATOR, 'replication', 'the-second-replication');
        await drill.untilFlowing();
        const gapMs = drill.gapSince(sinceNs);
        process.stderr.write(`replication's password changed: the longest write gap was ${gapMs.toFixed(1)} ms\n`);
        expect(gapMs).toBeLessThan(LEASE_MS / 4);
        await cutStreams(drill);
        await drill.untilSteady();
        await drill.untilFlowing();
        expect(await drill.status()).toMatchObject({ epoch: before.status.epoch, incidents: before.status.incidents });
        expect(drill.stage.members.map(({ name }) => drill.running(name))).toEqual(before.pids);
        expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
      },
      LIMIT_MS,
    );

    it(
      "the superuser's: agents go on with the connection that they have, and a new agent with the new one",
      async () => {
        const before = await drill.status();
        const sinceNs = monotonicNs();
        await changePassword(drill, 'postgres', 'superuser', 'the-second-superuser');
        process.env['PGPASSWORD'] = 'the-second-superuser';
        await restartAgents(drill);
        await drill.untilFlowing();
        const gapMs = drill.gapSince(sinceNs);
        process.stderr.write(`the superuser's password changed, and every agent restarted: the longest write gap was ${gapMs.toFixed(1)} ms\n`);
        expect(gapMs).toBeLessThan(LEASE_MS / 4);
        expect(await drill.status()).toMatchObject({ epoch: before.epoch, incidents: before.incidents, phase: 'steady' });
        expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
      },
      LIMIT_MS,
    );
  },
);
