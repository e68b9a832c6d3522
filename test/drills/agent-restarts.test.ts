import { expect, it } from 'vitest';
import { GROUP } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { run } from '../stage/stage-command.ts';
import { describeDrill, itEndsAlike, killAgent, LIMIT_MS, type Drill } from './drill.ts';

/** An agent is back within about a second; on a machine that is very busy it was seen to take ten. */
const LEASE_MS = 20_000;

describeDrill('an agent is killed, and back within the lease', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    "the primary's agent is killed and back within the lease: the same database goes on, and there is no incident",
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      const { name } = await drill.primary();
      const before = { status: await drill.status(), pids: drill.running(name) };
      const role = await primaryRole(drill);
      const killedNs = monotonicNs();
      await killAgent(drill, name);
      await drill.stage.startPart(name);
      // By the token that the first one left behind: a role that is offered anew would have another id.
      const backMs = Date.now();
      await drill.until('the new agent to renew the same role', async () => {
        const now = await primaryRole(drill);
        return now.id === role.id && now.beatMs > backMs ? [] : [`${now.id}, last renewed ${backMs - now.beatMs} ms before it was back`];
      });
      await drill.untilSteady();
      await drill.untilFlowing();
      const after = { status: await drill.status(), pids: drill.running(name) };
      expect(after.status).toMatchObject({ primary: name, epoch: before.status.epoch, incidents: before.status.incidents });
      expect(after.pids).toMatchObject({ guard: before.pids.guard, postmaster: before.pids.postmaster });
      expect(after.pids.agent).not.toBe(before.pids.agent);
      // Nobody closed it: a lease that had run out would have taken the database with it.
      expect(drill.gapSince(killedNs)).toBeLessThan(LEASE_MS / 4);
    },
    LIMIT_MS,
  );

  it(
    "a standby's agent is killed and restarted: its database streams on, and nobody is concerned",
    async () => {
      await drill.untilSteady();
      const [standby] = await drill.standbys();
      if (standby === undefined) throw new Error('there is no standby');
      const before = { status: await drill.status(), pids: drill.running(standby.name) };
      const killedNs = monotonicNs();
      await killAgent(drill, standby.name);
      await drill.stage.startPart(standby.name);
      await drill.untilSteady();
      await drill.untilFlowing();
      const after = { status: await drill.status(), pids: drill.running(standby.name) };
      expect(after.status).toMatchObject({ primary: before.status.primary, epoch: before.status.epoch, incidents: before.status.incidents });
      expect(after.pids).toMatchObject({ guard: before.pids.guard, postmaster: before.pids.postmaster });
      expect(drill.gapSince(killedNs)).toBeLessThan(LEASE_MS / 4);
    },
    LIMIT_MS,
  );

  it(
    'I1: a second agent for the same member refuses to start, and the first goes on',
    async () => {
      const { name } = await drill.primary();
      const before = drill.running(name);
      const second = await run(['agent', '--config', drill.stage.layout.config, '--group', GROUP, '--member', name]);
      expect(second.code).not.toBe(0);
      expect(second.err).toContain(String(before.agent));
      await drill.untilFlowing();
      expect(drill.running(name)).toEqual(before);
    },
    LIMIT_MS,
  );

  itEndsAlike(drill);
});

/** The role that the primary's agent holds, as the server sees it. */
async function primaryRole(drill: Drill): Promise<{ id: string; beatMs: number }> {
  const { raw } = await drill.group.describe();
  const role = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'primary');
  return { id: role?.activityId ?? 'none', beatMs: Number(role?.lastHeartbeatTime?.seconds ?? 0) * 1000 + (role?.lastHeartbeatTime?.nanos ?? 0) / 1e6 };
}
