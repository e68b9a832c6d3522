import { expect, it } from 'vitest';
import { failoverWorkflowId } from '../../src/model/name.ts';
import { signalIfThere } from '../../src/stage/pids.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { begin, describeDrill, itEndsAlike, LIMIT_MS } from './drill.ts';
import type { Act, Moment } from './turns.ts';
import { LEASE_MS, expectOnePromotion, killWorker, walkAndKill } from './worker-drill.ts';

const FAILOVER: readonly Act[] = ['inspect', 'promote', 'publishRecord'];
const DURING_FAILOVER: readonly Moment[] = [
  { act: 'inspect', when: 'ordered' },
  { act: 'inspect', when: 'done' },
  { act: 'promote', when: 'ordered' },
  { act: 'promote', when: 'done' },
  { act: 'publishRecord', when: 'ordered' },
];

describeDrill('the only worker is killed in a failover', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    'I10: with every worker down the primary goes on taking writes, for longer than its lease',
    async () => {
      const primary = await drill.primary();
      const before = drill.running(primary.name);
      const epoch = (await drill.status()).epoch;
      await drill.untilFlowing();
      const killedNs = monotonicNs();
      await killWorker(drill);
      await drill.until('more than its lease to have passed', () => (monotonicNs() - killedNs > 1.5 * LEASE_MS * 1e6 ? [] : ['not yet']));
      await drill.untilFlowing();
      expect(drill.gapSince(killedNs)).toBeLessThan(LEASE_MS / 2);
      expect(drill.running(primary.name)).toEqual(before);
      await drill.stage.startPart('worker');
      await drill.untilSteady();
      expect(await drill.status()).toMatchObject({ primary: primary.name, epoch, phase: 'steady' });
      expect(drill.running(primary.name)).toEqual(before);
    },
    LIMIT_MS,
  );

  it(
    'I5: before a failover begins: it is decided when a worker is back',
    async () => {
      const { epoch, name } = await begin(drill);
      await killWorker(drill);
      drill.mark('crash, no worker', name);
      signalIfThere(drill.running(name).postmaster, 'SIGKILL');
      await drill.until('the database to be gone', () => (drill.stage.pidsOf(name).postmaster === null ? [] : ['it runs']));
      await drill.stage.startPart('worker');
      await expectOnePromotion(drill, failoverWorkflowId(GROUP, epoch + 1), epoch, name);
    },
    LIMIT_MS,
  );

  for (const moment of DURING_FAILOVER) {
    it(
      `I5: in a failover, ${moment.act} ${moment.when}: another worker goes on, promotes once, and nothing is lost`,
      async () => {
        const { epoch, name } = await begin(drill);
        const id = failoverWorkflowId(GROUP, epoch + 1);
        const agents = (await drill.standbys()).map((standby) => drill.running(standby.name).agent);
        await walkAndKill(drill, id, FAILOVER, moment, agents, async () => {
          drill.mark(`crash, ${moment.act} ${moment.when}`, name);
          signalIfThere(drill.running(name).postmaster, 'SIGKILL');
        });
        await expectOnePromotion(drill, id, epoch, name);
      },
      LIMIT_MS,
    );
  }

  itEndsAlike(drill);
});
