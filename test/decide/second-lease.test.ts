import { fc, test } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { quarantineMs } from '../../src/decide/deadline.ts';
import { decideSecondLease } from '../../src/decide/second-lease.ts';

const marker = { lsn: '0/5000', notedBootMs: 10_000 };
const terms = { leaseMs: 1000, marginMs: 150 };

describe('the second lease', () => {
  it('moves the deadline to a quarantine after the marker was noted, less the margin, when everybody in E has it', () => {
    const followers = [
      { name: 'pg-b', flushedLsn: '0/5000' },
      { name: 'pg-c', flushedLsn: '0/6000' },
    ];
    expect(decideSecondLease({ marker, electable: ['pg-b', 'pg-c'], followers, ...terms })).toEqual({ outcome: 'renewed', deadlineMs: 10_850 });
  });

  it('I1: is not to be had from nobody', () => {
    expect(decideSecondLease({ marker, electable: [], followers: [{ name: 'pg-b', flushedLsn: '0/6000' }], ...terms })).toMatchObject({
      outcome: 'stands',
      waitsFor: [],
    });
  });

  it('I1: is not to be had while one member of E has not confirmed, and says which', () => {
    const followers = [
      { name: 'pg-b', flushedLsn: '0/4FFF' },
      { name: 'pg-c', flushedLsn: '0/6000' },
    ];
    expect(decideSecondLease({ marker, electable: ['pg-b', 'pg-c'], followers, ...terms })).toMatchObject({ outcome: 'stands', waitsFor: ['pg-b'] });
    expect(decideSecondLease({ marker, electable: ['pg-b', 'pg-d'], followers, ...terms })).toMatchObject({ outcome: 'stands', waitsFor: ['pg-b', 'pg-d'] });
  });

  it('does not ask those who could not be promoted anyway', () => {
    const followers = [{ name: 'pg-b', flushedLsn: '0/5000' }];
    expect(decideSecondLease({ marker, electable: ['pg-b'], followers, ...terms })).toMatchObject({ outcome: 'renewed' });
  });

  const name = fc.constantFrom('pg-b', 'pg-c', 'pg-d');
  test.prop([
    fc.uniqueArray(name),
    fc.array(fc.record({ name, fedAfterMs: fc.integer({ min: -5000, max: 5000 }) })),
    fc.integer({ min: 500, max: 60_000 }),
    fc.integer({ min: 0, max: 400 }),
  ])('I1: nobody in E can end its quarantine before the deadline that was bought with its word', (electable, replies, leaseMs, marginMs) => {
    // A reply covers the marker exactly where it was sent by a member that received it, and so was fed after it was written.
    const followers = replies.map((reply) => ({ name: reply.name, flushedLsn: reply.fedAfterMs >= 0 ? '0/5000' : '0/4000' }));
    const lease = decideSecondLease({ marker, electable, followers, leaseMs, marginMs });
    if (lease.outcome === 'stands') return;
    for (const member of electable) {
      const fedMs = Math.max(...replies.filter((reply) => reply.name === member).map((reply) => marker.notedBootMs + reply.fedAfterMs));
      expect(fedMs + quarantineMs(leaseMs)).toBeGreaterThanOrEqual(lease.deadlineMs + marginMs);
    }
  });
});
