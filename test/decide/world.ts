import type { Durability, GroupSpec, MemberSpec, Policy } from '../../src/model/group.ts';
import type { LiveState, MemberReport } from '../../src/model/member.ts';
import type { GroupStatus } from '../../src/model/status.ts';
import type { Answer, ElectionInput } from '../../src/decide/election.ts';

/** What the tables of this folder start from: a group of three, `orders`, whose primary pg-a of epoch 7 has ended at 0/5000000. */
export const policy: Policy = {
  mode: 'automatic',
  approval: 'none',
  approvalWithinMs: 60_000,
  minIntervalMs: 600_000,
  maxPerDay: 3,
  maxLagBytes: 1024,
  answerWithinMs: 500,
  restartWithinMs: 5_000,
  stopWithinMs: 5_000,
  switchoverMaxLagBytes: 4096,
  hungAfterMs: 3_000,
};

export const sync: Durability = { mode: 'sync', confirm: 1 };
export const async: Durability = { mode: 'async' };

export function member(name: string, more: Partial<MemberSpec> = {}): MemberSpec {
  return { name, host: '127.0.0.1', port: 5432, priority: 1, ...more };
}

export function group(more: Partial<GroupSpec> = {}): GroupSpec {
  return {
    name: 'orders',
    database: 'postgres',
    leaseMs: 1000,
    members: [member('pg-a'), member('pg-b'), member('pg-c')],
    durability: sync,
    policy,
    records: [],
    ...more,
  };
}

/** A standby that is detached, so that its place is frozen. */
export function frozen(name: string, flushedLsn = '0/5000000', more: Partial<MemberReport> = {}, live: Partial<LiveState> = {}): Answer {
  return {
    member: name,
    report: {
      member: name,
      epoch: 7,
      role: 'standby',
      footprint: { state: 'data', systemId: '42', version: '15', timeline: 1, checkpointLsn: '0/4000000', cleanShutdown: false, standby: true },
      live: {
        inRecovery: true,
        systemId: '42',
        timeline: 1,
        flushedLsn,
        replayedLsn: flushedLsn,
        replayPaused: false,
        receiver: { state: 'none' },
        followers: [],
        slots: [],
        ...live,
      },
      fedAgoMs: 1500,
      detached: true,
      fence: 'kernel',
      cluster: 'default@here',
      ...more,
    },
  };
}

/** A standby that still streams from pg-a. */
export function streaming(name: string, flushedLsn = '0/5000000', more: Partial<MemberReport> = {}, live: Partial<LiveState> = {}): Answer {
  return frozen(name, flushedLsn, { detached: false, fedAgoMs: 20, ...more }, { receiver: { state: 'streaming', from: 'pg-a', stamp: '9' }, ...live });
}

export function without(answer: Answer, ...keys: (keyof MemberReport)[]): Answer {
  if (!('report' in answer)) return answer;
  const report = Object.fromEntries(Object.entries(answer.report).filter(([key]) => !(keys as string[]).includes(key)));
  return { member: answer.member, report: report as unknown as MemberReport };
}

export function reportOf(answer: Answer): MemberReport {
  if (!('report' in answer)) throw new Error(`${answer.member} is silent`);
  return answer.report;
}

export function silent(name: string): Answer {
  return { member: name, silent: 'no answer within 500 ms' };
}

export function election(more: Partial<ElectionInput> = {}): ElectionInput {
  return {
    epoch: 8,
    spec: group(),
    rule: { names: ['pg-b', 'pg-c'], count: 1 },
    oldPrimary: { member: 'pg-a', last: { timeline: 1, lsn: '0/5000000', ageMs: 200 }, fencedBy: 'agent' },
    answers: [frozen('pg-b'), frozen('pg-c')],
    excluded: [],
    electable: ['pg-b', 'pg-c'],
    ...more,
  };
}

export function groupStatus(more: Partial<GroupStatus> = {}): GroupStatus {
  return {
    group: 'orders',
    epoch: 7,
    phase: 'steady',
    primary: 'pg-a',
    rule: { names: ['pg-b', 'pg-c'], count: 1 },
    electable: ['pg-b', 'pg-c'],
    members: [
      { name: 'pg-a', role: 'primary', epoch: 7, phase: 'open' },
      { name: 'pg-b', role: 'standby', epoch: 7, phase: 'following' },
      { name: 'pg-c', role: 'standby', epoch: 7, phase: 'following' },
    ],
    incidents: [],
    observeOnly: false,
    specHash: 'abc',
    ...more,
  };
}
