import { describe, expect, it } from 'vitest';
import { extendLease, refuseStart, type Extension, type Held, type HeldLease } from '../../src/guard/held-lease.ts';

const seven: HeldLease = { epoch: 7, deadlineMs: 10_000, fenceAtMs: 9800 };
const held: Held = { lease: seven, highestEpoch: 7, fencing: false, nowMs: 9000 };

describe('extendLease', () => {
  const table: [name: string, held: Held, extension: Extension, outcome: string][] = [
    ['a renewal pushes the deadline', held, { epoch: 7, deadlineMs: 10_250, fenceBeforeMs: 200 }, '7 until 10250, fenced at 10050'],
    ['I1: within an epoch the deadline never moves back', held, { epoch: 7, deadlineMs: 9500, fenceBeforeMs: 200 }, '7 until 10000, fenced at 9800'],
    ['I1: after the deadline nothing is extended', { ...held, nowMs: 10_000 }, { epoch: 7, deadlineMs: 10_250, fenceBeforeMs: 200 }, 'LeaseLost'],
    ['I1: a deadline that has passed itself is none', held, { epoch: 7, deadlineMs: 9000, fenceBeforeMs: 200 }, 'LeaseLost'],
    ['I1: during a fence nothing is extended', { ...held, fencing: true }, { epoch: 7, deadlineMs: 10_250, fenceBeforeMs: 200 }, 'LeaseLost'],
    ['a lower epoch is refused', held, { epoch: 6, deadlineMs: 10_250, fenceBeforeMs: 200 }, 'EpochStale'],
    ['a lower epoch is refused after its lease has ended too', { ...held, lease: null }, { epoch: 6, deadlineMs: 10_250, fenceBeforeMs: 200 }, 'EpochStale'],
    ['a higher epoch takes over', held, { epoch: 8, deadlineMs: 10_100, fenceBeforeMs: 100 }, '8 until 10100, fenced at 10000'],
    ["a higher epoch's own deadline counts, even the earlier one", held, { epoch: 8, deadlineMs: 9900, fenceBeforeMs: 100 }, '8 until 9900, fenced at 9800'],
    [
      'the same epoch may be taken anew after its lease ended with the database stopped',
      { ...held, lease: null },
      { epoch: 7, deadlineMs: 10_250, fenceBeforeMs: 200 },
      '7 until 10250, fenced at 10050',
    ],
    ["the wall clock's time is no deadline", held, { epoch: 7, deadlineMs: 1_700_000_000_000, fenceBeforeMs: 200 }, 'BadInput'],
  ];
  for (const [name, before, extension, outcome] of table) {
    it(name, () => {
      const extended = extendLease(before, extension);
      const words = extended.ok ? `${extended.lease.epoch} until ${extended.lease.deadlineMs}, fenced at ${extended.lease.fenceAtMs}` : extended.code;
      expect(words).toBe(outcome);
    });
  }
});

describe('refuseStart', () => {
  const table: [name: string, held: Held, epoch: number | undefined, code: string | undefined][] = [
    ['a primary starts under the lease of its epoch', held, 7, undefined],
    ['I1: a primary without a lease does not start', { ...held, lease: null }, 7, 'LeaseLost'],
    ["I1: a primary does not start under another epoch's lease", held, 8, 'LeaseLost'],
    ['I1: nothing starts when the fence is due', { ...held, nowMs: 9800 }, 7, 'LeaseLost'],
    ['nothing starts during a fence', { ...held, fencing: true }, undefined, 'LeaseLost'],
    ['a standby needs no lease', { ...held, lease: null }, undefined, undefined],
  ];
  for (const [name, before, epoch, code] of table) {
    it(name, () => {
      expect(refuseStart(before, epoch)?.code).toBe(code);
    });
  }
});
