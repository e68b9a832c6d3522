import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { decideFounding } from '../../src/decide/founding.ts';
import type { Answer } from '../../src/decide/election.ts';
import type { Footprint } from '../../src/model/member.ts';
import { frozen, group, silent, without } from '../decide/world.ts';

const NAMES = ['pg-a', 'pg-b', 'pg-c'];

const anyFootprint: fc.Arbitrary<Footprint> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Footprint>({ state: 'empty' }) },
  { weight: 1, arbitrary: fc.constantFrom<Footprint>({ state: 'foreign', found: 'photos' }, { state: 'torn', by: 'clone' }) },
  {
    weight: 4,
    arbitrary: fc
      .record({ systemId: fc.constantFrom('42', '42', '42', '43'), timeline: fc.constantFrom(1, 1, 2), standby: fc.boolean() })
      .map((one): Footprint => ({ state: 'data', version: '15', checkpointLsn: '0/4000000', cleanShutdown: true, ...one })),
  },
);

const anyAnswer = (name: string): fc.Arbitrary<Answer> =>
  fc
    .record({
      silent: fc.constantFrom(true, false, false, false, false),
      footprint: anyFootprint,
      running: fc.boolean(),
      epoch: fc.constantFrom(0, 0, 6, 7),
      role: fc.constantFrom('primary' as const, 'standby' as const, 'none' as const),
      leaseLeftMs: fc.constantFrom(0, 0, 400),
      opened: fc.constantFrom(0, 0, 6, 7),
    })
    .map(({ silent: quiet, footprint, running, ...more }) => {
      if (quiet) return silent(name);
      if (!running || footprint.state !== 'data') return without(frozen(name, '0/5000000', { ...more, footprint }), 'live');
      return frozen(name, '0/5000000', { ...more, footprint }, { inRecovery: footprint.standby, systemId: footprint.systemId, timeline: footprint.timeline });
    });

/** A leased primary beside standbys of its database, some of which have seen a later epoch: seldom met by chance. */
const behindRefusals: fc.Arbitrary<Answer[]> = fc
  .tuple(fc.constantFrom(0, 1, 2), fc.array(fc.record({ epoch: fc.constantFrom(6, 7), opened: fc.constantFrom(0, 6, 7) }), { minLength: 3, maxLength: 3 }))
  .map(([primary, ofEach]) =>
    NAMES.map((name, i): Answer => {
      const standby = i !== primary;
      const { epoch, opened } = standby ? (ofEach[i] ?? { epoch: 6, opened: 0 }) : { epoch: 6, opened: 6 };
      const footprint: Footprint = { state: 'data', version: '15', checkpointLsn: '0/4000000', cleanShutdown: true, systemId: '42', timeline: 1, standby };
      const role = standby ? ('standby' as const) : ('primary' as const);
      return frozen(
        name,
        '0/5000000',
        { epoch, opened, role, leaseLeftMs: standby ? 0 : 400, footprint },
        { inRecovery: standby, systemId: '42', timeline: 1 },
      );
    }),
  );

describe('decideFounding, for any answers', () => {
  const seen = new Set<string>();
  test.prop([fc.oneof({ weight: 9, arbitrary: fc.tuple(...NAMES.map(anyAnswer)) }, { weight: 1, arbitrary: behindRefusals })], { numRuns: 3000 })(
    'I1, I2: makes no database beside one that may exist, and takes up no primary that is over or beside another',
    (answers) => {
      const founding = decideFounding({ spec: group(), answers });
      seen.add(founding.begin);
      const reports = answers.flatMap((answer) => ('report' in answer ? [answer.report] : []));
      const highest = Math.max(0, ...reports.map((report) => report.epoch));
      const writable = reports.filter((report) => report.live?.inRecovery === false).map((report) => report.member);
      if (founding.begin === 'found') {
        expect(reports.map((report) => report.footprint.state)).toEqual(['empty', 'empty', 'empty']);
        expect(highest).toBe(0);
      }
      if (founding.begin === 'adopt') {
        const chosen = reports.find((report) => report.member === founding.primary);
        expect(chosen?.footprint.state).toBe('data');
        expect(chosen?.footprint.state === 'data' && chosen.footprint.standby).toBe(false);
        if (founding.epoch > Math.max(highest, 1)) {
          seen.add('adopt above');
          const later = reports.filter((report) => report.epoch > (chosen?.epoch ?? 0));
          expect(chosen?.leaseLeftMs).toBe(400);
          expect(reports.length).toBe(NAMES.length);
          expect(later.length).toBeGreaterThan(0);
          for (const report of later) {
            expect(report.opened).toBeLessThanOrEqual(chosen?.epoch ?? 0);
            expect(report.role).not.toBe('primary');
            expect(report.footprint).toMatchObject({ standby: true, timeline: chosen?.live?.timeline, systemId: chosen?.live?.systemId });
          }
        } else expect(chosen?.epoch).toBe(highest);
        expect(writable.filter((name) => name !== founding.primary)).toEqual([]);
        const underLease = writable.includes(founding.primary) && chosen?.leaseLeftMs === 400;
        expect(underLease || reports.length === NAMES.length).toBe(true);
      }
    },
  );
  test('and comes to every kind of beginning', () => {
    expect([...seen].sort()).toEqual(['adopt', 'adopt above', 'found', 'refuse', 'wait']);
  });
});
