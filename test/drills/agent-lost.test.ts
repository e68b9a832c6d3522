import { expect, it } from 'vitest';
import { isAlive, signalIfThere } from '../../src/stage/pids.ts';
import { begin, describeDrill, itEndsAlike, killAgent, LIMIT_MS } from './drill.ts';

const LEASE_MS = 3000;

describeDrill('a guard or an agent is killed for good', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    "I1: the primary's guard is killed: its database dies with it, and another member takes over once the lease is over",
    async () => {
      const { epoch, name } = await begin(drill);
      const { guard, postmaster } = drill.running(name);
      const mark = drill.mark('guard killed', name);
      signalIfThere(guard, 'SIGKILL');
      await drill.until('the database to be gone with its guard', () => (isAlive(postmaster) ? ['it lives'] : []), { everyMs: 5 });
      await drill.until('another member to take over', async () => ((await drill.status()).epoch > epoch ? [] : [`still epoch ${epoch}`]));
      await drill.untilSteady();
      await drill.untilFlowing();
      const verdict = await drill.expectNothingBroken();
      const after = await drill.status();
      expect(after).toMatchObject({ epoch: epoch + 1 });
      expect(after.primary).not.toBe(name);
      expect(verdict.newPort).not.toBe(mark.oldPort);
      // Nobody could say that it was fenced, so nobody was promoted before its lease had run out.
      expect(verdict.firstWriteMs).toBeGreaterThan(LEASE_MS / 2);
      expect(await drill.incident(`failover/orders/${epoch + 1}`)).toMatchObject({ cause: { kind: 'lease-expired' }, outcome: { outcome: 'done' } });
    },
    LIMIT_MS,
  );

  it(
    "I1: the primary's agent is killed and stays away: the guard closes the database before anybody else opens",
    async () => {
      const { epoch, name } = await begin(drill);
      const { postmaster } = drill.running(name);
      drill.mark('agent killed for good', name);
      await killAgent(drill, name);
      await drill.until('its guard to have stopped the database', () => (isAlive(postmaster) ? ['it lives'] : []));
      await drill.until('another member to take over', async () => ((await drill.status()).epoch > epoch ? [] : [`still epoch ${epoch}`]));
      await drill.untilFlowing();
      await drill.stage.startPart(name);
      await drill.untilSteady();
      await drill.expectNothingBroken();
      expect((await drill.status()).primary).not.toBe(name);
    },
    LIMIT_MS,
  );

  itEndsAlike(drill);
});
