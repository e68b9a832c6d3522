import type { Durability, GroupSpec } from '../../src/model/group.ts';
import { drawFaults, type Fault, type FaultKind } from './faults.ts';
import { Random } from './random.ts';

/** All that one play is made of: the same schedule plays the same way everywhere. */
export interface Schedule {
  readonly seed: number;
  readonly spec: GroupSpec;
  /** The faults come while the group still begins. */
  readonly early: boolean;
  /** Two hundred millionths at most. */
  readonly drifts: readonly number[];
  readonly faults: readonly Fault[];
}

/** Where a rule was taken out, schedules are drawn of what it stands against: any would do, and take longer. */
export interface Narrowed {
  readonly kinds?: readonly FaultKind[];
  readonly mode?: Durability['mode'];
}

export function drawSchedule(seed: number, narrowed: Narrowed = {}): Schedule {
  const random = new Random(seed);
  const leaseMs = random.pick([1000, 1000, 600, 600]);
  const count = random.pick([3, 3, 3, 3, 3, 3, 3, 3, 2, 4]);
  const names = ['pg-a', 'pg-b', 'pg-c', 'pg-d', 'pg-e'].slice(0, count);
  const spec: GroupSpec = {
    name: 'orders',
    database: 'simulated',
    leaseMs,
    members: names.map((name, i) => ({ name, host: name, port: 5432, priority: i === 3 ? 0 : 10 - i })),
    durability: drawDurability(random, count, narrowed.mode),
    policy: {
      mode: 'automatic',
      approval: 'none',
      approvalWithinMs: 60_000,
      minIntervalMs: random.pick([0, 0, 0, 4000, 12_000]),
      maxPerDay: 100,
      maxLagBytes: random.pick([0, 400, 4000, 1_000_000]),
      answerWithinMs: 500,
      restartWithinMs: 2000,
      stopWithinMs: 1000,
      switchoverMaxLagBytes: 100_000,
      hungAfterMs: 1500,
    },
    records: [{ name: 'orders.example.', type: 'CNAME', ttlSeconds: 1, provider: 'names' }],
  };
  return {
    seed,
    spec,
    early: random.chance(0.1),
    drifts: names.map(() => random.between(-0.0002, 0.0002)),
    faults: drawFaults(random, leaseMs, narrowed.kinds),
  };
}

function drawDurability(random: Random, count: number, mode: Durability['mode'] | undefined): Durability {
  const dice = random.next();
  if (mode === undefined ? dice < 0.28 : mode === 'async') return { mode: 'async' };
  if (dice < 0.4 && count > 3) return { mode: 'sync', confirm: 2 };
  return dice < 0.5 ? { mode: 'sync', confirm: 1, relaxAfterMs: 3000 } : { mode: 'sync', confirm: 1 };
}
