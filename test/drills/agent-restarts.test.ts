import { expect, it } from 'vitest';
import { isAlive, signalIfThere } from '../../src/stage/pids.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { run } from '../stage/stage-command.ts';
import { LIMIT_MS, describeDrill, type Drill } from './drill.ts';

/** An agent of Node is back within about a second; on a busy machine it takes several. */
const LEASE_MS = 6000;

describeDrill('an agent or a guard is killed', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it("the primary's agent is killed and back within the lease: the same database goes on, and there is no incident", async () => {
    await drill.untilSteady();
    await drill.untilFlowing();
    const { name } = await drill.primary();
    const before = { status: await drill.status(), pids: drill.running(name) };
    const killedNs = monotonicNs();
    await killAgent(drill, name);
    await drill.stage.startPart(name);
    await drill.untilSteady();
    await untilPastTheLease(drill, killedNs);
    const after = { status: await drill.status(), pids: drill.running(name) };
    expect(after.status).toMatchObject({ primary: name, epoch: before.status.epoch, incidents: before.status.incidents });
    expect(after.pids).toMatchObject({ guard: before.pids.guard, postmaster: before.pids.postmaster });
    expect(after.pids.agent).not.toBe(before.pids.agent);
    // It was never closed: a restart of the database, let alone a failover, would have taken longer than the rest of the lease.
    expect(drill.gapSince(killedNs)).toBeLessThan(LEASE_MS / 2);
  }, LIMIT_MS);

  it("a standby's agent is killed and restarted: its database streams on, and nobody is concerned", async () => {
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
    expect(drill.gapSince(killedNs)).toBeLessThan(LEASE_MS / 2);
  }, LIMIT_MS);

  it('I1: a second agent for the same member refuses to start, and the first goes on', async () => {
    const { name } = await drill.primary();
    const before = drill.running(name);
    const second = await run(['agent', '--config', drill.stage.layout.config, '--group', GROUP, '--member', name]);
    expect(second.code).not.toBe(0);
    expect(second.err).toContain(String(before.agent));
    await drill.untilFlowing();
    expect(drill.running(name)).toEqual(before);
  }, LIMIT_MS);

  it("I1: the primary's guard is killed: its database dies with it, and another member takes over once the lease is over", async () => {
    await drill.untilSteady();
    await drill.untilFlowing();
    const { epoch } = await drill.status();
    const { name } = await drill.primary();
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
  }, LIMIT_MS);

  it("I1: the primary's agent is killed and stays away: the guard closes the database before anybody else opens", async () => {
    await drill.untilSteady();
    await drill.untilFlowing();
    const { epoch } = await drill.status();
    const { name } = await drill.primary();
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
  }, LIMIT_MS);

  it('I2: after all that all members are alike, exactly one of them writable', async () => {
    await drill.expectAllAlike();
  }, LIMIT_MS);
});

async function killAgent(drill: Drill, name: string): Promise<void> {
  signalIfThere(drill.running(name).agent, 'SIGKILL');
  await drill.until('the agent to be gone', () => (drill.stage.pidsOf(name).agent === null ? [] : ['it runs']), { everyMs: 5 });
}

/** What a lost lease would have done shows once it would have run out. */
async function untilPastTheLease(drill: Drill, sinceNs: number): Promise<void> {
  await drill.until('the lease of then to be over', () => (monotonicNs() - sinceNs > 1.25 * LEASE_MS * 1e6 ? [] : ['not yet']));
  await drill.untilFlowing();
}
