import { describe, expect, it } from 'vitest';
import { elect, recordElection } from '../../src/decide/election.ts';
import { redecide } from '../../src/decide/redecide.ts';
import { failedOver } from '../golden/incidents.ts';
import { async, election, frozen, group, member, silent } from './world.ts';

describe('redecide', () => {
  it('the same code and the same policy decide the same', () => {
    expect(redecide(failedOver)).toEqual(
      failedOver.elections.map((kept) => ({ atMs: kept.atMs, same: true, words: expect.stringContaining('pg-b, as then') })),
    );
  });

  it('another policy that would decide otherwise is told with its reasons', () => {
    const input = election({ spec: group({ durability: async }), answers: [frozen('pg-b', '0/4FFFF00'), silent('pg-c')] });
    const incident = { ...failedOver, elections: [recordElection(input, elect(input), 5)] };
    const [stricter] = redecide(incident, group({ durability: async, policy: { ...input.spec.policy, maxLagBytes: 0 } }));
    expect(stricter).toMatchObject({ atMs: 5, same: false });
    expect(stricter?.words).toContain('then pg-b (pg-b is the only fit member), today nobody (no member is fit to be promoted)');
    expect(stricter?.words).toContain('pg-b: then "elected: received up to 0/4FFFF00, priority 1", today "is 256 bytes behind, above the limit of 0 bytes"');
  });

  it('another reason for the same winner is told, and is no difference', () => {
    const [preferred] = redecide(failedOver, group({ members: [member('pg-a'), member('pg-b', { priority: 5 }), member('pg-c')] }));
    expect(preferred).toMatchObject({ same: true, words: expect.stringContaining('has the highest priority') });
  });

  it('an incident without an election has nothing to decide again', () => {
    expect(redecide({ ...failedOver, elections: [] })).toEqual([]);
  });
});
