import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { pino } from 'pino';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Feed } from '../../src/agent/feed.ts';
import { LeaseKeeper } from '../../src/agent/lease.ts';
import { NewsDesk } from '../../src/agent/news.ts';
import { StateFile } from '../../src/agent/state-file.ts';
import type { Beat, TaskQueue } from '../../src/agent/task.ts';
import { WriteWatch } from '../../src/agent/write-watch.ts';
import type { GuardClient } from '../../src/guard/client.ts';
import type { MemberNews } from '../../src/model/act.ts';
import { UnderstudyError } from '../../src/model/error.ts';

/** CLOCK_BOOTTIME, as these tests set it. */
const clock = vi.hoisted(() => ({ nowMs: 1_000_000 }));
vi.mock('../../src/runtime/clock.ts', async (original) => ({ ...(await original<object>()), bootTimeMs: () => clock.nowMs }));
beforeEach(() => {
  clock.nowMs = 1_000_000;
});

const log = pino({ level: 'silent' });
const streaming = (stamp: string) => ({ state: 'streaming', from: 'pg-a', stamp }) as const;

describe('what a standby has received', () => {
  it("counts from the agent's start while nothing is known of the time before", () => {
    expect(new Feed(100).fedAgoMs(700)).toBe(600);
    expect(new Feed(100).everFed).toBe(false);
  });

  it('counts from the look at which something new was seen, never from what stands in it', () => {
    const feed = new Feed(0);
    feed.see(streaming('a'), 100);
    feed.see(streaming('a'), 200);
    expect(feed.fedAgoMs(250)).toBe(150);
    feed.see(streaming('b'), 300);
    expect(feed.fedAgoMs(350)).toBe(50);
    expect(feed.everFed).toBe(true);
  });

  it('I3: a connection that breaks without any more log is no sign of life; one that left some behind is', () => {
    const quiet = new Feed(0);
    quiet.see(streaming('a'), 100, '0/3000000');
    quiet.see({ state: 'none' }, 900, '0/3000000');
    expect(quiet.fedAgoMs(1000)).toBe(900);
    const fed = new Feed(0);
    fed.see(streaming('a'), 100, '0/3000000');
    fed.see({ state: 'none' }, 900, '0/3000060');
    expect(fed.fedAgoMs(1000)).toBe(100);
  });

  it('counts as received until the look at which the receiver was seen gone', () => {
    const feed = new Feed(0);
    feed.see(streaming('a'), 100);
    feed.see({ state: 'none' }, 400);
    feed.see({ state: 'none' }, 500);
    expect(feed.fedAgoMs(600)).toBe(200);
  });

  it('is nothing while a receiver only tries to connect', () => {
    const feed = new Feed(0);
    for (const [at, stamp] of [
      [100, 'x'],
      [200, 'y'],
      [300, 'z'],
    ] as const)
      feed.see({ state: 'starting', from: 'pg-a', stamp }, at);
    expect(feed.fedAgoMs(400)).toBe(400);
    expect(feed.everFed).toBe(false);
  });

  it('I3: a receiver that came back with the same stamp has received since', () => {
    const feed = new Feed(0);
    feed.see(streaming('a'), 100);
    feed.see({ state: 'none' }, 200);
    feed.see(streaming('a'), 900);
    expect(feed.fedAgoMs(1000)).toBe(100);
  });
});

describe("the judge of a primary's writes", () => {
  it('I3: a probe that could not be asked is neither good nor bad', () => {
    const watch = new WriteWatch(1000);
    clock.nowMs += 5000;
    expect(watch.judge({ outcome: 'unknown', words: 'connections are taken' })).toBeUndefined();
    clock.nowMs += 900;
    expect(watch.judge({ outcome: 'slow', words: 'no answer' })).toBeUndefined();
  });

  it('calls a database hung that has finished no write for longer than the policy allows', () => {
    const watch = new WriteWatch(1000);
    clock.nowMs += 999;
    expect(watch.judge({ outcome: 'slow', words: 'no answer' })).toBeUndefined();
    clock.nowMs += 1;
    expect(watch.judge({ outcome: 'broken', words: 'reset' })).toEqual({ cause: 'hung', words: 'no local write has finished for 1000 ms: reset' });
    expect(watch.judge({ outcome: 'written' })).toBeUndefined();
    expect(watch.overdue()).toBeUndefined();
  });

  it.each([
    ['disk-full', 'disk-full'],
    ['read-only', 'read-only'],
    ['in-recovery', 'not-ours'],
  ] as const)('takes %s for a fact when it repeats, and not before', (outcome, cause) => {
    const watch = new WriteWatch(1000);
    expect(watch.judge({ outcome, words: 'once' })).toBeUndefined();
    expect(watch.judge({ outcome: 'written' })).toBeUndefined();
    expect(watch.judge({ outcome, words: 'again' })).toBeUndefined();
    expect(watch.judge({ outcome, words: 'and again' })).toEqual({ cause, words: 'and again' });
  });
});

describe('the keeper of a lease', () => {
  const LEASE_MS = 2000;

  function keeper(
    answers: (Beat | (() => Beat))[],
    extend: (epoch: number, deadlineMs: number, fenceBeforeMs: number) => Promise<boolean> = () => Promise.resolve(true),
  ) {
    const extended: { deadlineMs: number; fenceBeforeMs: number }[] = [];
    const heard: Beat[] = [];
    let beats = 0;
    const queue = {
      beat: () => {
        const answer = answers[Math.min(beats++, answers.length - 1)] ?? 'ok';
        return Promise.resolve(typeof answer === 'function' ? answer() : answer);
      },
    } as unknown as TaskQueue;
    const guard = {
      extend: (epoch: number, deadlineMs: number, fenceBeforeMs: number) => {
        extended.push({ deadlineMs, fenceBeforeMs });
        return extend(epoch, deadlineMs, fenceBeforeMs);
      },
    } as unknown as GuardClient;
    const made = new LeaseKeeper(
      queue,
      guard,
      { token: new Uint8Array(1), epoch: 7, leaseMs: LEASE_MS, marginMs: 200 },
      () => ({ epoch: 7, role: 'primary', phase: 'open', fence: 'kernel' }),
      { heard: (beat) => heard.push(beat) },
    );
    onTestFinished(() => made.stop('the test is over'));
    return { made, extended, heard, beats: () => beats };
  }

  it('I1: counts the deadline from before the send, however long the answer took', async () => {
    const sentMs = clock.nowMs;
    const { made, extended } = keeper([
      () => {
        clock.nowMs += 700;
        return 'ok';
      },
    ]);
    await made.renewNow();
    expect(extended).toEqual([{ deadlineMs: sentMs + LEASE_MS - 200, fenceBeforeMs: LEASE_MS / 5 }]);
    await expect(made.first).resolves.toEqual({ armed: true });
  });

  it.each(['cancel-requested', 'paused', 'reset'] as const)(
    'takes %s for an acknowledgement, since the server has counted it, and passes the word on',
    async (beat) => {
      const { made, extended, heard } = keeper([beat]);
      await made.renewNow();
      expect(extended).toHaveLength(1);
      expect(heard).toEqual([beat]);
    },
  );

  it('I1: takes silence for nothing: the deadline stands where it was', async () => {
    const { made, extended, heard } = keeper(['unanswered']);
    await made.renewNow();
    expect(extended).toEqual([]);
    expect(heard).toEqual(['unanswered']);
  });

  it('stops renewing by a token that the server does not know, and pushes nothing for it', async () => {
    const { made, extended, heard, beats } = keeper(['gone']);
    await made.renewNow();
    await made.renewNow();
    expect(extended).toEqual([]);
    expect(heard).toEqual(['gone']);
    expect(beats()).toBe(1);
    await expect(made.first).resolves.toMatchObject({ armed: false });
  });

  it('I1: is not armed where the guard did not take the deadline, or could not be asked', async () => {
    const refusing = keeper(['ok'], () => Promise.resolve(false));
    await refusing.made.renewNow();
    await expect(refusing.made.first).resolves.toMatchObject({ armed: false });
    const absent = keeper(['ok'], () => Promise.reject(new UnderstudyError('GuardUnreachable', 'the guard cannot be asked')));
    await absent.made.renewNow();
    await expect(absent.made.first).resolves.toEqual({ armed: false, why: 'the guard cannot be asked' });
  });

  it('I1: an answer that comes after it was stopped buys nothing', async () => {
    let answer: (beat: Beat) => void = () => {};
    const { made, extended } = keeper([]);
    const slow = new LeaseKeeper(
      { beat: () => new Promise<Beat>((resolve) => (answer = resolve)) } as unknown as TaskQueue,
      { extend: () => Promise.reject(new Error('extended')) } as unknown as GuardClient,
      { token: new Uint8Array(1), epoch: 7, leaseMs: LEASE_MS, marginMs: 200 },
      () => ({ epoch: 7, role: 'primary', phase: 'open', fence: 'kernel' }),
      { heard: () => {} },
    );
    const renewing = slow.renewNow();
    slow.stop('a newer role has come');
    answer('ok');
    await renewing;
    await expect(slow.first).resolves.toEqual({ armed: false, why: 'a newer role has come' });
    expect(extended).toEqual([]);
    made.stop('');
  });
});

describe('what an agent remembers', () => {
  async function directory(): Promise<string> {
    const made = await mkdtemp(path.join(tmpdir(), 'understudy-state-'));
    onTestFinished(() => rm(made, { recursive: true, force: true }));
    return made;
  }

  it('I5: an epoch is on the disk before it is acted on, and a lower one is refused by every later process', async () => {
    const dir = await directory();
    const file = await StateFile.open(dir, 'default@here', false);
    await file.accept(7, 'pg-b');
    expect(JSON.parse(await readFile(path.join(dir, 'agent.json'), 'utf8'))).toMatchObject({ highestEpoch: 7 });
    const later = await StateFile.open(dir, 'default@here', false);
    await expect(later.accept(6, 'pg-b')).rejects.toMatchObject({ code: 'EpochStale', evidence: { epoch: 6, highest: 7 } });
    await expect(later.accept(7, 'pg-b')).resolves.toBeUndefined();
  });

  it('a member belongs to one Temporal cluster, until it is claimed anew by name', async () => {
    const dir = await directory();
    await (await StateFile.open(dir, 'default@here', false)).accept(7, 'pg-b');
    await expect(StateFile.open(dir, 'default@there', false)).rejects.toMatchObject({ code: 'WrongCluster' });
    expect((await StateFile.open(dir, 'default@there', true)).state).toMatchObject({ cluster: 'default@there', highestEpoch: 7 });
  });

  it('changes that cross keep each other, in the order in which they were asked for', async () => {
    const dir = await directory();
    const file = await StateFile.open(dir, 'default@here', false);
    await Promise.all([file.change({ opened: 3 }), file.change({ rule: { names: ['pg-c'], count: 1 } }), file.change({ opened: 4 }), file.accept(4, 'pg-b')]);
    expect(JSON.parse(await readFile(path.join(dir, 'agent.json'), 'utf8'))).toMatchObject({ opened: 4, highestEpoch: 4, rule: { names: ['pg-c'], count: 1 } });
  });
});

describe('the desk that sends news', () => {
  const word = (turn: number): MemberNews => ({ group: 'orders', member: 'pg-a', epoch: 1, turn, role: 'primary', phase: 'open', following: [], atMs: turn });

  function desk(signal: (news: MemberNews) => Promise<void>) {
    const heard: number[] = [];
    const handle = { signal: (_name: string, news: MemberNews) => signal(news).then(() => void heard.push(news.turn)) };
    const client = {
      connection: { withDeadline: (_at: number, act: () => Promise<void>) => act() },
      workflow: { getHandle: () => handle },
    } as unknown as Client;
    return { desk: new NewsDesk(client, log), heard };
  }

  it('tries until it is heard, and then with the newest: what was overtaken is not worth a retry', async () => {
    let tries = 0;
    const { desk: made, heard } = desk(() => (++tries === 1 ? Promise.reject(new Error('the server is away')) : Promise.resolve()));
    made.tell('group/orders', word(1));
    made.tell('group/orders', word(2));
    made.tell('group/orders', word(3));
    await vi.waitFor(() => expect(heard).toEqual([3]));
  });

  it('says in order what is new while the last word is still on its way', async () => {
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => (release = resolve));
    const { desk: made, heard } = desk((news) => (news.turn === 1 ? gate : Promise.resolve()));
    made.tell('group/orders', word(1));
    made.tell('group/orders', word(2));
    made.tell('group/orders', word(3));
    release();
    await vi.waitFor(() => expect(heard).toEqual([1, 3]));
  });

  it('gives up where nobody hears it, and speaks again when there is more to say', async () => {
    let there = false;
    const { desk: made, heard } = desk(() => (there ? Promise.resolve() : Promise.reject(new WorkflowNotFoundError('not found', 'group/orders', undefined))));
    made.tell('group/orders', word(1));
    await new Promise((resolve) => setImmediate(resolve));
    there = true;
    made.tell('group/orders', word(2));
    await vi.waitFor(() => expect(heard).toEqual([2]));
  });
});
