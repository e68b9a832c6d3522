import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cannotFollow, rejoin, type RejoinParts } from '../../src/agent/rejoin.ts';
import type { DatabaseDriver } from '../../src/database/driver.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import type { Footprint } from '../../src/model/member.ts';

const UPSTREAM = { member: 'pg-a', host: '127.0.0.1', port: 5432 };
const diverged: Footprint = { state: 'data', systemId: '42', version: '15', timeline: 1, checkpointLsn: '0/3000028', cleanShutdown: false, standby: false };
const HISTORY = { systemId: '42', writable: true, timeline: 2, checkpointed: true, forks: [{ timeline: 1, endLsn: '0/3000000' }] };

/** Each act's outcomes in order, the last one for ever; an error is thrown. */
function driverThat(acts: Record<string, unknown[]>): { driver: DatabaseDriver; deeds: string[] } {
  const deeds: string[] = [];
  const defaults: Record<string, unknown[]> = {
    footprint: [diverged],
    history: [HISTORY],
    endOfLog: [{ timeline: 1, lsn: '0/4000000' }],
    claimSlot: ['kept'],
    clone: [undefined],
  };
  const driver = new Proxy({} as DatabaseDriver, {
    get: (_, act: string) => () => {
      deeds.push(act);
      const outcomes = acts[act] ?? defaults[act] ?? [];
      const outcome = outcomes.length > 1 ? outcomes.shift() : outcomes[0];
      return outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome);
    },
  });
  return { driver, deeds };
}

const failed = (code: 'RewindFailed' | 'CloneFailed' | 'DatabaseUnreachable', words: string): UnderstudyError => new UnderstudyError(code, words);

describe('a rejoin always ends', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Lets time pass until it is over. */
  async function play(
    acts: Record<string, unknown[]>,
    more: Partial<RejoinParts> = {},
  ): Promise<{ deeds: string[]; phases: string[]; error?: unknown; tookMs: number }> {
    const { driver, deeds } = driverThat(acts);
    const phases: string[] = [];
    const startedMs = Date.now();
    let over = false;
    const enter = (phase: string, words: string): void => void phases.push(`${phase}: ${words}`);
    const ended = rejoin({ driver, member: 'pg-b', upstream: UPSTREAM, signal: new AbortController().signal, enter, ...more })
      .then(() => ({}))
      .catch((error: unknown) => ({ error }))
      .finally(() => {
        over = true;
      });
    while (!over) await vi.advanceTimersByTimeAsync(100);
    return { deeds: deeds.filter((deed) => deed === 'rewind' || deed === 'clone'), phases, ...(await ended), tookMs: Date.now() - startedMs };
  }

  it('a rewind that helps is all that is done', async () => {
    expect((await play({ rewind: [{ outcome: 'rewound' }] })).deeds).toEqual(['rewind']);
  });

  it('a rewind that fails is tried once more, then a clone is made', async () => {
    expect((await play({ rewind: [failed('RewindFailed', 'it broke')] })).deeds).toEqual(['rewind', 'rewind', 'clone']);
  });

  it('a rewind that is impossible gives way to a clone at once', async () => {
    expect((await play({ rewind: [{ outcome: 'impossible', why: 'no hints' }] })).deeds).toEqual(['rewind', 'clone']);
  });

  it('a clone that fails is shown as stuck with its reason, and tried again ever more seldom until it holds', async () => {
    const full = failed('CloneFailed', 'No space left on device');
    const { deeds, phases, tookMs } = await play({ footprint: [{ state: 'empty' }], clone: [full, full, full, full, full, undefined] });
    expect(deeds).toHaveLength(6);
    expect(phases.filter((phase) => phase.startsWith('stuck'))).toEqual([
      'stuck: pg-b cannot be made a standby: clone 3 failed, the next is tried in 10 s: No space left on device',
      'stuck: pg-b cannot be made a standby: clone 4 failed, the next is tried in 20 s: No space left on device',
      'stuck: pg-b cannot be made a standby: clone 5 failed, the next is tried in 40 s: No space left on device',
    ]);
    expect(tookMs).toBeGreaterThan(70_000);
    expect(tookMs).toBeLessThan(73_000);
  });

  it('whoever is told something else lets go of a clone that fails', async () => {
    const told = new AbortController();
    setTimeout(() => told.abort(), 60_000);
    const { error, tookMs } = await play({ footprint: [{ state: 'empty' }], clone: [failed('CloneFailed', 'refused')] }, { signal: told.signal });
    expect(error).toMatchObject({ code: 'CloneFailed' });
    expect(tookMs).toBeLessThan(61_000);
  });

  it('following that was tried and cannot help is not tried again, but another system is still never overwritten', async () => {
    const standby = { ...diverged, standby: true, timeline: 2 } as const;
    expect((await play({ footprint: [standby] })).deeds).toEqual([]);
    expect((await play({ footprint: [standby] }, { stuck: 'its log was let go' })).deeds).toEqual(['clone']);
    expect((await play({ footprint: [{ ...standby, systemId: '43' }] }, { stuck: 'its log was let go' })).error).toMatchObject({ code: 'ForeignDatabase' });
  });

  it('I3: an upstream that does not answer for its slot says nothing against following it', async () => {
    const { driver, deeds } = driverThat({ footprint: [{ ...diverged, standby: true, timeline: 2 }], claimSlot: [failed('DatabaseUnreachable', 'gone')] });
    await rejoin({ driver, member: 'pg-b', upstream: UPSTREAM, signal: new AbortController().signal, enter: () => {} });
    expect(deeds).not.toContain('clone');
    const ask = {
      driver: driverThat({ history: [failed('DatabaseUnreachable', 'gone')] }).driver,
      upstream: UPSTREAM,
      timeline: 1,
      lsn: '0/9000000',
      before: undefined,
      signal: new AbortController().signal,
    };
    expect(await cannotFollow(ask)).toBeUndefined();
  });
});
