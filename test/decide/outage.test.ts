import { describe, expect, it } from 'vitest';
import type { Answer } from '../../src/decide/election.ts';
import { orchestratorWasAway } from '../../src/decide/outage.ts';
import type { Away, MemberReport } from '../../src/model/member.ts';

const answer = (member: string, away?: Away): Answer => ({ member, report: { member, ...(away === undefined ? {} : { away }) } as MemberReport });

describe('an outage of the orchestrator', () => {
  it('is told with who saw it, for how long, and when it ended', () => {
    const answers = [answer('pg-c', { lastedMs: 8123, endedAgoMs: 400 }), answer('pg-b', { lastedMs: 7000, endedAgoMs: 900 })];
    expect(orchestratorWasAway(answers, 1000)?.words).toBe('Temporal did not answer pg-b, pg-c for up to 8.1 s, until 0.4 s ago');
  });

  const none: [why: string, answers: Answer[]][] = [
    ['nobody saw one', [answer('pg-b'), { member: 'pg-c', silent: 'in time' }]],
    ['it was too short to cost anybody a lease', [answer('pg-b', { lastedMs: 499, endedAgoMs: 100 })]],
    ['it ended long ago', [answer('pg-b', { lastedMs: 60_000, endedAgoMs: 15_001 })]],
  ];
  for (const [why, answers] of none) it(`is none where ${why}`, () => expect(orchestratorWasAway(answers, 1000)).toBeUndefined());
});
