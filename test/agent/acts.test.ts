import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished } from 'vitest';
import { govern, inspect, promote, stepDown } from '../../src/agent/acts.ts';
import type { Hands } from '../../src/agent/hands.ts';
import type { LeaseKeeper } from '../../src/agent/lease.ts';
import type { Member } from '../../src/agent/member.ts';
import { StateFile } from '../../src/agent/state-file.ts';
import type { LiveDatabase, Pulse, Settings } from '../../src/database/driver.ts';
import type { GovernAsk, InspectAsk, PromoteAsk } from '../../src/model/act.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import type { MemberReport } from '../../src/model/member.ts';

const LEASE_MS = 400;
const signal = AbortSignal.timeout(30_000);
const ask = { group: 'orders', member: 'pg-b', epoch: 8 } as const;

/** One member with everything faked but its memory. What was done stands in `deeds`, in order. */
async function hands(
  more: {
    pulse?: Partial<Pulse>;
    running?: boolean;
    fedAgoMs?: () => number;
    armed?: boolean;
    promote?: () => Promise<never>;
    detached?: boolean;
    ready?: boolean;
    receivers?: string[];
  } = {},
) {
  const dir = await mkdtemp(path.join(tmpdir(), 'understudy-acts-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const state = await StateFile.open(dir, 'default@here', false);
  await state.accept(7, 'pg-b');
  const deeds: string[] = [];
  const pulse: Pulse = {
    inRecovery: true,
    timeline: 1,
    flushedLsn: '0/5000000',
    replayedLsn: '0/5000000',
    receiver: { state: 'none' },
    followers: [],
    ...more.pulse,
  };
  const live = {
    pulse: () => Promise.resolve(pulse),
    look: () => Promise.resolve({ ...pulse, systemId: '42', replayPaused: false, slots: [] }),
    promote: () => {
      deeds.push('promote');
      if (more.promote !== undefined) return more.promote();
      return Promise.resolve({ outcome: 'promoted', timeline: 2, lsn: '0/5000000' });
    },
    checkpoint: () => Promise.resolve(),
    mark: () => {
      deeds.push('record written');
      return Promise.resolve('0/5000000');
    },
  } as unknown as LiveDatabase;
  const note = (what: string, settings: Partial<Settings>): Promise<void> => {
    deeds.push(`${what} ${settings.rule?.names.join('+') || 'no rule'}`);
    return Promise.resolve();
  };
  const member = {
    group: 'orders',
    spec: { name: 'pg-b' },
    state,
    log: pino({ level: 'silent' }),
    running: more.running ?? true,
    detached: more.detached ?? false,
    live,
    feed: { see: () => undefined },
    connect: () => Promise.resolve(live),
    exclusively: <T>(act: () => Promise<T>) => act(),
    fedAgoMs: more.fedAgoMs ?? (() => 60_000),
    detach: (_live: LiveDatabase, settings: Partial<Settings>) => note('detach', settings),
    settle: (_live: LiveDatabase, settings: Partial<Settings>) => note('settle', settings),
    isReadyWith: () => more.ready ?? false,
    stop: (mode: string) => note(`stop ${mode}`, {}),
    report: () =>
      Promise.resolve({
        member: 'pg-b',
        ...(more.receivers === undefined ? {} : { live: { inRecovery: true, receiver: { state: more.receivers.shift() } } }),
      } as MemberReport),
    driver: {
      footprint: () =>
        Promise.resolve({ state: 'data', systemId: '42', version: '15', timeline: 1, checkpointLsn: '0/5000028', cleanShutdown: true, standby: false }),
    },
  } as unknown as Member;
  const keeper = {
    first: Promise.resolve(more.armed === false ? { armed: false, why: 'the server was silent' } : { armed: true }),
    renewNow: () => Promise.resolve(),
    stop: () => deeds.push('lease kept no longer'),
  } as unknown as LeaseKeeper;
  const made: Hands = {
    member,
    primary: undefined,
    standby: undefined,
    idle: false,
    mayFreeze: () => true,
    leaseMs: LEASE_MS,
    letGo: () => {
      deeds.push('role let go');
      return Promise.resolve();
    },
    keepLease: (epoch) => {
      deeds.push(`lease of epoch ${epoch}`);
      return keeper;
    },
  };
  return { hands: made, deeds, state };
}

const promotion = (more: Partial<PromoteAsk> = {}): PromoteAsk => ({
  ...ask,
  leaseMs: LEASE_MS,
  proof: 'agent',
  rule: { names: ['pg-c'], count: 1 },
  electable: ['pg-c'],
  others: ['pg-a', 'pg-c'],
  fromLsn: '0/5000000',
  limitMs: 1000,
  ...more,
});

describe('inspect', () => {
  const inspection = (freeze: InspectAsk['freeze']): InspectAsk => ({ ...ask, freeze, quarantineMs: LEASE_MS });

  it('only looks, where nothing else was asked', async () => {
    const { hands: all, deeds } = await hands();
    await inspect(all, inspection('no'), signal);
    expect(deeds).toEqual([]);
  });

  it('freezes at once beside a primary that is known to be fenced', async () => {
    const { hands: all, deeds } = await hands({ fedAgoMs: () => 0 });
    await inspect(all, inspection('now'), signal);
    expect(deeds).toEqual(['detach no rule']);
  });

  it('I3: freezes nobody who is still being fed, where the primary may live', async () => {
    let looks = 0;
    // Fed again and again, at every other look.
    const { hands: all, deeds } = await hands({ fedAgoMs: () => (looks++ % 2 === 0 ? 50 : 10) });
    await inspect(all, inspection('when-quiet'), signal);
    expect(deeds).toEqual([]);
  });

  it('freezes after half a quarantine in which nothing came', async () => {
    const begunMs = performance.now();
    const { hands: all, deeds } = await hands({ fedAgoMs: () => performance.now() - begunMs });
    await inspect(all, inspection('when-quiet'), signal);
    expect(performance.now() - begunMs).toBeGreaterThanOrEqual(LEASE_MS / 2);
    expect(deeds).toEqual(['detach no rule']);
  });

  it('leaves a member as it is that receives nothing more from a primary that has stopped, and is ready to be opened', async () => {
    const { hands: all, deeds } = await hands({ ready: true, receivers: ['streaming', 'starting'] });
    expect(await inspect(all, inspection('when-unfed'), signal)).toMatchObject({ detached: true, live: { receiver: { state: 'none' } } });
    expect(deeds).toEqual([]);
  });

  it('detaches a receiver that outlives its primary, and one whose member would have to be reloaded anyway', async () => {
    for (const more of [{ ready: true, receivers: Array.from({ length: 100 }, () => 'streaming') }, { ready: false }]) {
      const { hands: all, deeds } = await hands(more);
      await inspect(all, inspection('when-unfed'), signal);
      expect(deeds).toEqual(['detach no rule']);
    }
  });

  it('freezes no primary', async () => {
    const { hands: all, deeds } = await hands({ pulse: { inRecovery: false } });
    await inspect(all, inspection('now'), signal);
    expect(deeds).toEqual([]);
  });
});

describe('promote', () => {
  it('I1: has the epoch on the disk and the lease armed before it opens', async () => {
    const { hands: all, deeds, state } = await hands();
    const promoted = await promote(all, promotion(), signal);
    expect(promoted).toMatchObject({ outcome: 'promoted', timeline: 2, fork: { timeline: 1, lsn: '0/5000000' } });
    expect(deeds).toEqual(['lease of epoch 8', 'role let go', 'detach pg-c', 'promote', 'lease kept no longer']);
    expect(state.state).toMatchObject({ highestEpoch: 8, opened: 8, rule: { names: ['pg-c'], count: 1 } });
  });

  it('I1: refuses an epoch below the highest it has seen, and touches nothing', async () => {
    const { hands: all, deeds } = await hands();
    await expect(promote(all, promotion({ epoch: 6 }), signal)).rejects.toMatchObject({ code: 'EpochStale' });
    expect(deeds).toEqual([]);
  });

  it('I1: does not open without its first acknowledged renewal', async () => {
    const { hands: all, deeds, state } = await hands({ armed: false });
    await expect(promote(all, promotion(), signal)).rejects.toMatchObject({ code: 'LeaseLost' });
    expect(deeds).not.toContain('promote');
    expect(state.state).toMatchObject({ highestEpoch: 8, opened: 0 });
  });

  it('I2: does not open before the place that the election counted on', async () => {
    const { hands: all, deeds } = await hands({ detached: true, pulse: { flushedLsn: '0/4FFFFFF' } });
    await expect(promote(all, promotion(), signal)).rejects.toMatchObject({ code: 'DatabaseFailed', evidence: { stands: '0/4FFFFFF', fromLsn: '0/5000000' } });
    expect(deeds).not.toContain('promote');
  });

  it('I1: without a proof of the fence, waits until nothing has been received for a whole quarantine', async () => {
    const fedMs = performance.now();
    let openedMs = 0;
    const { hands: all } = await hands({
      fedAgoMs: () => performance.now() - fedMs,
      promote: () => {
        openedMs = performance.now();
        return Promise.resolve({ outcome: 'promoted', timeline: 2, lsn: '0/5000000' } as never);
      },
    });
    const { quarantineMs } = await promote(all, promotion({ proof: 'lease' }), signal);
    expect(openedMs - fedMs).toBeGreaterThanOrEqual(LEASE_MS);
    expect(quarantineMs).toBeGreaterThan(0);
  });

  it.each(['agent', 'person'] as const)('with the proof of %s, waits for nothing', async (proof) => {
    const { hands: all } = await hands({ fedAgoMs: () => 0 });
    expect(await promote(all, promotion({ proof }), signal)).toMatchObject({ quarantineMs: 0 });
  });

  it("is refused on a member that is out of recovery by somebody else's doing", async () => {
    const { hands: all, deeds } = await hands({ pulse: { inRecovery: false } });
    await expect(promote(all, promotion(), signal)).rejects.toMatchObject({ code: 'NotInRecovery' });
    expect(deeds).not.toContain('promote');
  });

  it('I5: asked twice, finds itself open and freezes nothing again', async () => {
    const { hands: all, deeds, state } = await hands({ pulse: { inRecovery: false } });
    await state.accept(8, 'pg-b', { opened: 8 });
    await promote(all, promotion(), signal);
    expect(deeds).toEqual(['lease of epoch 8', 'role let go', 'promote', 'lease kept no longer']);
  });

  it('I1: leaves nothing running behind a promotion that failed', async () => {
    const { hands: all, deeds, state } = await hands({ promote: () => Promise.reject(new UnderstudyError('DatabaseFailed', 'it did not leave recovery')) });
    await expect(promote(all, promotion(), signal)).rejects.toMatchObject({ code: 'DatabaseFailed' });
    expect(deeds.slice(-2)).toEqual(['stop immediate no rule', 'lease kept no longer']);
    // It may have opened: nobody may forget that.
    expect(state.state.opened).toBe(8);
  });

  it('I1: a promotion that failed before it opened leaves the last one noted that may have opened, and a repeated one its own', async () => {
    const early = await hands({ detached: true, pulse: { flushedLsn: '0/4FFFFFF' } });
    await early.state.change({ opened: 5 });
    await expect(promote(early.hands, promotion(), signal)).rejects.toMatchObject({ code: 'DatabaseFailed' });
    expect(early.state.state).toMatchObject({ highestEpoch: 8, opened: 5 });
    const repeated = await hands({ armed: false });
    await repeated.state.accept(8, 'pg-b', { opened: 8 });
    await expect(promote(repeated.hands, promotion(), signal)).rejects.toMatchObject({ code: 'LeaseLost' });
    expect(repeated.state.state.opened).toBe(8);
  });
});

describe('step down', () => {
  it('stops in order, and says where its log ended: whoever takes over has more than where the last record begins', async () => {
    const { hands: all, deeds } = await hands({ pulse: { inRecovery: false } });
    const stopped = await stepDown(all, { ...ask, epoch: 7, limitMs: 1000, why: 'a switchover' }, signal);
    expect(stopped).toMatchObject({ outcome: 'stopped', clean: true, lsn: '0/5000029', timeline: 1 });
    expect(deeds).toEqual(['stop fast no rule']);
  });

  it('I5: asked twice, is stopped already', async () => {
    const { hands: all, deeds } = await hands({ running: false });
    expect(await stepDown(all, { ...ask, epoch: 7, limitMs: 1000, why: 'a switchover' }, signal)).toMatchObject({ outcome: 'already', clean: true });
    expect(deeds).toEqual([]);
  });
});

describe('govern', () => {
  const order = (more: Partial<GovernAsk> = {}): GovernAsk => ({
    ...ask,
    epoch: 7,
    turn: 5,
    rule: { names: ['pg-a', 'pg-c'], count: 1 },
    electable: ['pg-a', 'pg-c'],
    confirm: false,
    limitMs: 150,
    ...more,
  });
  const follower = (name: string, flushedLsn: string) => ({ name, state: 'streaming', flushedLsn, replayedLsn: flushedLsn, confirms: true, holdsSlot: true });

  it('I2: confirms only what is flushed on as many of the names as the rule says', async () => {
    const behind = await hands({ pulse: { inRecovery: false, followers: [follower('pg-a', '0/4FFFFFF'), follower('pg-z', '0/5000000')] } });
    expect(await govern(behind.hands, order({ confirm: true }), signal)).toMatchObject({ confirmed: false });
    const there = await hands({ pulse: { inRecovery: false, followers: [follower('pg-a', '0/4FFFFFF'), follower('pg-c', '0/5000000')] } });
    expect(await govern(there.hands, order({ confirm: true }), signal)).toEqual({ rule: order().rule, confirmed: true, following: ['pg-a', 'pg-c'] });
  });

  it('is in force before it returns, and kept for a restart', async () => {
    const { hands: all, deeds, state } = await hands({ pulse: { inRecovery: false } });
    await govern(all, order(), signal);
    // The record comes after the rule: with it whoever counts by the rule is heard at once.
    expect(deeds).toEqual(['settle pg-a+pg-c', 'record written']);
    expect(state.state).toMatchObject({ rule: { names: ['pg-a', 'pg-c'], count: 1 }, electable: ['pg-a', 'pg-c'], governed: 5 });
  });

  it('refuses an order that a later one has overtaken', async () => {
    const { hands: all, deeds } = await hands({ pulse: { inRecovery: false } });
    await govern(all, order({ turn: 6 }), signal);
    await expect(govern(all, order({ turn: 5, rule: { names: [], count: 0 } }), signal)).rejects.toMatchObject({ code: 'OrderStale' });
    expect(deeds).toEqual(['settle pg-a+pg-c', 'record written']);
  });

  it('writes no record where nobody has to confirm one', async () => {
    const { hands: all, deeds } = await hands({ pulse: { inRecovery: false } });
    await govern(all, order({ rule: { names: [], count: 0 } }), signal);
    expect(deeds).toEqual(['settle no rule']);
  });

  it('is no order for a standby', async () => {
    const { hands: all } = await hands();
    await expect(govern(all, order(), signal)).rejects.toMatchObject({ code: 'NotInRecovery' });
  });
});
