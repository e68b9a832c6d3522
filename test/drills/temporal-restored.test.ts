import { copyFileSync, existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import type { Part } from '../../src/stage/processes.ts';
import { signalIfThere } from '../../src/stage/pids.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { type Ran, runCli } from '../cli/run-cli.ts';
import { LIMIT_MS, describeDrill, type Drill } from './drill.ts';

/** An agent is restarted within it, on a busy machine too. */
const LEASE_MS = 8000;
const FILES = ['', '-wal', '-shm'];

const cli = (drill: Drill, ...args: string[]): Promise<Ran> => runCli([...args, '--config', drill.stage.layout.config], { cwd: drill.stage.layout.dir });

async function stopTemporal(drill: Drill): Promise<void> {
  const { temporal } = (await drill.stage.describe()).pids;
  if (temporal === null) throw new Error('Temporal does not run');
  signalIfThere(temporal, 'SIGTERM');
  await drill.until('Temporal to be gone', async () => ((await drill.stage.describe()).pids.temporal === null ? [] : ['it runs']));
}

async function untilLeasesAreOver(drill: Drill): Promise<void> {
  const sinceMs = performance.now();
  await drill.until('the leases to be over', () => (performance.now() - sinceMs > 1.5 * LEASE_MS ? [] : ['not yet']));
}

async function databases(drill: Drill) {
  return drill.stage.members.map(({ name }) => ({ name, postmaster: drill.running(name).postmaster }));
}

async function expectGoneOn(drill: Drill, before: Awaited<ReturnType<typeof databases>>, sinceNs: number, what: string): Promise<void> {
  await drill.untilFlowing();
  expect(await databases(drill)).toEqual(before);
  const gapMs = drill.gapSince(sinceNs);
  process.stderr.write(`${what}: the longest write gap was ${gapMs.toFixed(1)} ms\n`);
  expect(gapMs).toBeLessThan(LEASE_MS / 4);
  expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
}

/** The server has heard of this member's role since then. */
function untilRenewed(drill: Drill, name: string, sinceMs: number): Promise<void> {
  return drill.until(`${name} to renew its role`, async () => {
    const { raw } = await drill.group.describe();
    const beats = (raw.pendingActivities ?? [])
      .filter(({ activityId }) => activityId?.split('/')[1] === name)
      .map(({ lastHeartbeatTime }) => lastHeartbeatTime);
    return beats.some((at) => Number(at?.seconds ?? 0) * 1000 + (at?.nanos ?? 0) / 1e6 > sinceMs) ? [] : ['not yet'];
  });
}

/** The same server with nothing, or with what it once knew. */
function replaceFiles(file: string, from: string | undefined): void {
  for (const suffix of FILES) {
    rmSync(`${file}${suffix}`, { force: true });
    if (from !== undefined && existsSync(`${from}${suffix}`)) copyFileSync(`${from}${suffix}`, `${file}${suffix}`);
  }
}

describeDrill(
  "Temporal's own database is restarted, restored and lost under a running group",
  { members: 3, leaseMs: LEASE_MS, durability: 'sync' },
  (drill) => {
    it(
      'I10: a server that is restarted with its database: the group goes on, and nothing is lost',
      async () => {
        await drill.untilSteady();
        await drill.untilFlowing();
        const { primary, epoch } = await drill.status();
        const before = await databases(drill);
        const sinceNs = monotonicNs();
        await stopTemporal(drill);
        await untilLeasesAreOver(drill);
        await drill.stage.startPart('temporal');
        await drill.untilSteady();
        await expectGoneOn(drill, before, sinceNs, 'a Temporal server away and back');
        expect(await drill.status()).toMatchObject({ primary, epoch });
      },
      LIMIT_MS,
    );

    it(
      'an older copy: what it knows promotes nobody, and the database goes on; ended and applied again, the group adopts the running primary',
      async () => {
        const { temporalDatabase, dir } = drill.stage.layout;
        const copy = path.join(dir, 'temporal.copy');
        await stopTemporal(drill);
        replaceFiles(copy, temporalDatabase);
        await drill.stage.startPart('temporal');
        await drill.untilSteady();
        const switched = await cli(drill, 'switchover', GROUP, '--reason', 'so that the copy is old', '--yes');
        expect(switched, switched.stderr).toMatchObject({ code: 0 });
        await drill.untilSteady();
        await drill.untilFlowing();
        const now = await drill.status();
        const before = await databases(drill);
        const sinceNs = monotonicNs();
        await stopTemporal(drill);
        replaceFiles(temporalDatabase, copy);
        await drill.stage.startPart('temporal');
        // It mostly finds out within a lease, by the first order that a member refuses. Nothing is promoted by what it knows, whether it does or not.
        await untilLeasesAreOver(drill);
        await drill.untilFlowing();
        const old = await drill.status();
        process.stderr.write(`the older group says that it is ${old.phase}: ${old.words ?? ''}\n`);
        expect(await databases(drill)).toEqual(before);
        await drill.group.terminate('its Temporal was restored from an older copy');
        const applied = await cli(drill, 'apply', '--yes');
        expect(applied, applied.stderr).toMatchObject({ code: 0 });
        await drill.untilSteady();
        await expectGoneOn(drill, before, sinceNs, 'an older copy of Temporal');
        expect(await drill.status()).toMatchObject({ primary: now.primary, epoch: now.epoch });
      },
      LIMIT_MS,
    );

    it(
      'a new server with nothing: applied again, the group adopts the running primary; agents that are restarted want to be told that the old one is gone',
      async () => {
        const now = await drill.status();
        const before = await databases(drill);
        const sinceNs = monotonicNs();
        await stopTemporal(drill);
        replaceFiles(drill.stage.layout.temporalDatabase, undefined);
        await drill.stage.startPart('temporal');
        await untilLeasesAreOver(drill);
        const applied = await cli(drill, 'apply', '--yes');
        expect(applied, applied.stderr).toMatchObject({ code: 0 });
        await drill.untilSteady();
        await expectGoneOn(drill, before, sinceNs, 'an emptied Temporal');
        expect(await drill.status()).toMatchObject({ primary: now.primary, epoch: now.epoch });

        const [standby] = await drill.standbys();
        const agentArgs = (name: string): string[] => ['--group', GROUP, '--member', name];
        const claimedNs = monotonicNs();
        for (const { name } of drill.stage.members) {
          signalIfThere(drill.running(name).agent, 'SIGTERM');
          await drill.until('the agent to be gone', () => (drill.stage.pidsOf(name).agent === null ? [] : ['it runs']), { everyMs: 5 });
          if (name === standby?.name) {
            const refused = await cli(drill, 'agent', ...agentArgs(name));
            expect(refused.code).not.toBe(0);
            expect(refused.stderr).toMatch(/belongs to Temporal .* --claim-anew/s);
          }
          const claiming: Part = await drill.stage.runBeside(`${name}-anew`, 'agent', [
            '--config',
            drill.stage.layout.config,
            ...agentArgs(name),
            '--claim-anew',
          ]);
          // A lease that it has not renewed would have to last for the next start, too.
          await untilRenewed(drill, name, Date.now());
          await claiming.end(5000);
          await drill.stage.startPart(name);
          await drill.untilSteady();
        }
        await expectGoneOn(drill, before, claimedNs, 'every agent claimed anew');
        expect(await drill.status()).toMatchObject({ primary: now.primary, epoch: now.epoch });
      },
      2 * LIMIT_MS,
    );

    it(
      'I2: after all that all members are alike, exactly one of them writable',
      async () => {
        await drill.expectAllAlike();
      },
      LIMIT_MS,
    );
  },
);
