import { expect, it } from 'vitest';
import { isAlive, signalIfThere } from '../../src/stage/pids.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { describeDrill, itEndsAlike, killAgent, LIMIT_MS, type Drill } from './drill.ts';

const LEASE_MS = 3000;
/** A busy machine takes seconds to start an agent. */
const LONG_LEASE_MS = 10_000;

/** Temporal answers nobody, from now until the returned function is called. Its own clock stands still as well, so that every lease is over when it goes on. */
async function freezeTemporal(drill: Drill): Promise<() => void> {
  const { temporal } = (await drill.stage.describe()).pids;
  if (temporal === null) throw new Error('Temporal does not run');
  signalIfThere(temporal, 'SIGSTOP');
  return () => signalIfThere(temporal, 'SIGCONT');
}

async function untilLeasesAreOver(drill: Drill, afterMs = 2.5 * LEASE_MS): Promise<void> {
  const sinceMs = performance.now();
  await drill.until('the leases to be over', () => (performance.now() - sinceMs > afterMs ? [] : ['not yet']));
}

describeDrill('Temporal is away for several leases', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    'I10: a primary that everybody follows goes on; back again, one incident says that nothing was done',
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      const before = await drill.status();
      const { name } = await drill.primary();
      const pids = drill.running(name);
      const sinceNs = monotonicNs();
      const thaw = await freezeTemporal(drill);
      try {
        await untilLeasesAreOver(drill);
        await drill.untilFlowing();
      } finally {
        thaw();
      }
      await drill.until('the incident to be over', async () => {
        const { incidents } = await drill.status();
        return incidents.length > before.incidents.length && incidents.every(({ endedAtMs }) => endedAtMs !== undefined) ? [] : ['none yet'];
      });
      await drill.untilSteady();
      await drill.untilFlowing();
      const after = await drill.status();
      expect(after).toMatchObject({ primary: name, epoch: before.epoch });
      expect(after.incidents.slice(before.incidents.length).map(({ outcome }) => outcome)).toEqual([
        expect.stringMatching(/^primary-lives: orchestrator away, nothing done: Temporal did not answer pg-/),
      ]);
      expect(drill.running(name)).toMatchObject({ guard: pids.guard, postmaster: pids.postmaster });
      expect(drill.gapSince(sinceNs)).toBeLessThan(LEASE_MS);
    },
    LIMIT_MS,
  );

  it(
    'I1: where a member of E falls away meanwhile it stops in time, and its role is offered to it before anybody is promoted over it',
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      const before = await drill.status();
      const { name } = await drill.primary();
      const [lost] = await drill.standbys();
      if (lost === undefined) throw new Error('there is no standby');
      const { postmaster } = drill.running(name);
      const thaw = await freezeTemporal(drill);
      try {
        await untilLeasesAreOver(drill);
        await drill.untilFlowing();
        drill.mark('a standby killed while Temporal is away', name);
        drill.killNode(lost.name);
        await drill.until('the primary to have been closed', () => (isAlive(postmaster) ? ['it lives'] : []), { everyMs: 10 });
      } finally {
        thaw();
      }
      await drill.untilFlowing();
      await drill.stage.startPart(lost.name);
      await drill.untilSteady();
      await drill.untilFlowing();
      await drill.expectNothingBroken();
      // Whether the server heard its agent or its own timer first, nobody was promoted.
      expect(await drill.status()).toMatchObject({ primary: name, epoch: before.epoch });
    },
    LIMIT_MS,
  );

  it(
    'I2: one that dies meanwhile is replaced once Temporal is back, and nothing acknowledged is lost',
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      const before = await drill.status();
      const { name } = await drill.primary();
      const thaw = await freezeTemporal(drill);
      try {
        await untilLeasesAreOver(drill);
        await drill.untilFlowing();
        drill.mark('the primary killed while Temporal is away', name);
        drill.killNode(name);
      } finally {
        thaw();
      }
      await drill.until('another member to take over', async () => ((await drill.status()).primary === name ? [`still ${name}`] : []));
      await drill.stage.startPart(name);
      await drill.untilSteady();
      await drill.untilFlowing();
      await drill.expectNothingBroken();
      expect((await drill.status()).epoch).toBeGreaterThan(before.epoch);
    },
    LIMIT_MS,
  );

  itEndsAlike(drill);
});

describeDrill('Temporal is away, and an agent is restarted meanwhile', { members: 3, leaseMs: LONG_LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    'an agent that is killed and started again meanwhile goes on with the lease of the primary that it finds',
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      const before = await drill.status();
      const { name } = await drill.primary();
      const { postmaster } = drill.running(name);
      const sinceNs = monotonicNs();
      const thaw = await freezeTemporal(drill);
      try {
        await killAgent(drill, name);
        await drill.stage.startPart(name);
        await untilLeasesAreOver(drill, 1.5 * LONG_LEASE_MS);
        await drill.untilFlowing();
      } finally {
        thaw();
      }
      await drill.untilSteady();
      await drill.untilFlowing();
      expect(await drill.status()).toMatchObject({ primary: name, epoch: before.epoch });
      expect(drill.running(name)).toMatchObject({ postmaster });
      expect(drill.gapSince(sinceNs)).toBeLessThan(LONG_LEASE_MS / 2);
    },
    LIMIT_MS,
  );
});
