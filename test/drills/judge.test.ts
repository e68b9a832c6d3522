import { describe, expect, it } from 'vitest';
import type { Drill } from '../../src/drills/drill.ts';
import { type Evidence, judgeDrill } from '../../src/drills/judge.ts';
import type { Acknowledgement } from '../../src/stage/writer-log.ts';

const MS = 1e6;
const ack = (id: number, atMs: number, port: number, timeline: number, by = 'writer'): Acknowledgement => ({ by, id, ns: atMs * MS, port, timeline });
const drill: Drill = { name: 'd', kind: 'network', faults: [], heal: [], ending: 'failover', gap: 'lease', must: 'a', mustNot: 'b' };
const writes = [ack(1, 0, 1, 1), ack(2, 10, 1, 1), ack(3, 2_000, 2, 2), ack(4, 2_010, 2, 2)];
const evidence: Evidence = {
  seen: { writes, beside: [], looks: [] },
  rows: writes.map(({ by, id }) => ({ by, id })),
  t0Ns: 5 * MS,
  endNs: 2_020 * MS,
  oldPort: 1,
  newPort: 2,
  leaseMs: 2_000,
  durability: 'sync',
};

describe('the judge of a drill', () => {
  it('has nothing to say where everything went as it must', () => {
    expect(judgeDrill(drill, evidence)).toEqual({ ending: 'failover', gapMs: 1_990, lost: 0, late: 0, wrong: [] });
  });

  it('I1: hears the writer on the cut-off side', () => {
    const beside = [ack(1, 2_005, 1, 1, 'beside')];
    const judged = judgeDrill(drill, { ...evidence, seen: { ...evidence.seen, beside }, rows: [...(evidence.rows ?? []), { by: 'beside', id: 1 }] });
    expect(judged.wrong).toEqual(['I1: 1 writes were acknowledged by a member that another had overtaken']);
  });

  it('I1: hears the reader who found the old primary open', () => {
    const look = (atMs: number, port: number, timeline: number) => ({ askedNs: (atMs - 1) * MS, ns: atMs * MS, port, open: true, timeline });
    const judged = judgeDrill(drill, { ...evidence, seen: { ...evidence.seen, looks: [look(2_001, 2, 2), look(2_010, 1, 1)] } });
    expect(judged).toMatchObject({ late: 1, wrong: [expect.stringContaining('I1: a member said 1 times that it is open')] });
  });

  it('I2: misses what was acknowledged and is not there, and what only a reader saw', () => {
    const looks = [{ askedNs: 8 * MS, ns: 9 * MS, port: 1, open: true, timeline: 1, top: 77 }];
    const judged = judgeDrill(drill, { ...evidence, seen: { ...evidence.seen, looks }, rows: [1, 3, 4].map((id) => ({ by: 'writer', id })) });
    expect(judged.lost).toBe(1);
    expect(judged.wrong).toEqual([expect.stringContaining('I2: 1 acknowledged writes are lost'), expect.stringContaining('I2: a reader saw')]);
  });

  it('with async only counts what is lost', () => {
    const judged = judgeDrill(drill, { ...evidence, durability: 'async', rows: [] });
    expect(judged).toMatchObject({ lost: 4, wrong: [] });
  });

  it('refuses a failover where none was to be, and the other way round', () => {
    expect(judgeDrill({ ...drill, ending: 'no failover' }, evidence).wrong).toEqual(['no failover was to be, and it was: failover']);
    const stayed = writes.map((write) => ({ ...write, port: 1, timeline: 1 }));
    expect(judgeDrill(drill, { ...evidence, newPort: 1, seen: { ...evidence.seen, writes: stayed } }).wrong).toEqual([
      'failover was to be, and it was: no failover',
    ]);
  });

  it('calls it a failover where the role went there and back', () => {
    const back = [...writes, ack(5, 2_015, 1, 3)];
    expect(judgeDrill({ ...drill, ending: 'no failover' }, { ...evidence, newPort: 1, seen: { ...evidence.seen, writes: back } }).ending).toBe('failover');
  });

  it('measures a silence that lasts at the end', () => {
    const judged = judgeDrill({ ...drill, gap: 'short' }, { ...evidence, endNs: 9_000 * MS });
    expect(judged.gapMs).toBe(6_990);
    expect(judged.wrong).toEqual([expect.stringContaining('writes stood still for 6990 ms')]);
  });

  it('leaves out what a member acknowledged that a person opened by hand, and nothing else', () => {
    const strayed = [ack(1, 20, 3, 2, 'beside')];
    const judged = judgeDrill({ ...drill, ending: 'either' }, { ...evidence, strayedPort: 3, seen: { ...evidence.seen, beside: strayed } });
    expect(judged).toMatchObject({ lost: 0, late: 0, wrong: [] });
  });
});
