import type { Random } from './random.ts';

/** One thing that goes wrong, or that a person does. Whom it hits is said by role, as the world is at that moment. */
export interface Fault {
  /** After the group was steady (or, where the schedule begins early, after its beginning). */
  readonly atMs: number;
  readonly kind: FaultKind;
  readonly who: Who;
  readonly forMs: number;
  /** Chance of its own, so that leaving one fault out leaves the others as they are. */
  readonly dice: number;
}

export type Who = 'primary' | 'first' | 'second';

/** Each kind, and how often it is drawn beside the others. */
export const KINDS = {
  'agent-killed': 4,
  'agent-frozen': 4,
  'guard-killed': 3,
  'guard-frozen': 3,
  'database-killed': 4,
  'database-frozen': 4,
  'node-killed': 4,
  'node-frozen': 5,
  'power-lost': 4,
  'machine-paused': 1,
  'temporal-killed': 4,
  'temporal-frozen': 4,
  'workers-away': 3,
  'cut-from-all': 5,
  'cut-from-temporal': 6,
  'cut-to-temporal': 3,
  'cut-from-member': 5,
  'cut-to-member': 4,
  'temporal-cut-off': 3,
  'slow-to-temporal': 3,
  'slow-to-members': 2,
  flapping: 2,
  'disk-full': 1,
  'disk-hangs': 2,
  'late-server': 1,
  'failover-asked': 3,
  'switchover-asked': 6,
  paused: 1,
  excluded: 2,
  overridden: 1,
  'continued-as-new': 4,
  'terminated-and-started': 2,
  'reset-to-the-start': 1,
  'role-paused': 1,
  'promoted-by-hand': 1,
  'stopped-by-hand': 1,
  'replay-paused': 1,
  'record-stolen': 1,
  'names-away': 1,
  'names-slow': 2,
  // Several faults that meet as chance brings them together once in some hundred thousand schedules: drawn only where a rule was taken out that stands against it.
  'late-answers-then-cut': 0,
  'late-words-then-cut': 0,
  'cut-at-promotion': 0,
  'order-lost': 0,
  islands: 0,
  'islands-at-return': 0,
} as const;

export type FaultKind = keyof typeof KINDS;

/** Until when a fault's doings are to be left alone, from its beginning on: those that meet take their time. */
export function lastsMs({ kind, forMs }: Fault, leaseMs: number): number {
  return KINDS[kind] === 0 ? 5000 + 14 * leaseMs : forMs;
}

const ALL = Object.entries(KINDS) as [FaultKind, number][];
const WEIGHT = ALL.reduce((sum, [, weight]) => sum + weight, 0);

function drawKind(random: Random): FaultKind {
  let left = random.next() * WEIGHT;
  for (const [kind, weight] of ALL) {
    left -= weight;
    if (left < 0) return kind;
  }
  return 'node-killed';
}

/** Mostly a handful that meet each other within a few leases: alone, each is what the drills play. */
export function drawFaults(random: Random, leaseMs: number, kinds: readonly FaultKind[] = []): Fault[] {
  // Those that meet already are not met by others of their kind.
  const alone = kinds.length > 0 && kinds.every((kind) => KINDS[kind] === 0);
  const count = alone || random.chance(0.15) ? 1 : 2 + random.below(4);
  const faults: Fault[] = [];
  let atMs = random.between(0, leaseMs);
  for (let i = 0; i < count; i += 1) {
    const near = random.chance(0.75);
    faults.push({
      atMs: Math.round(atMs),
      kind: kinds.length > 0 ? random.pick(kinds) : drawKind(random),
      who: random.chance(0.5) ? 'primary' : random.chance(0.5) ? 'first' : 'second',
      forMs: Math.round(random.chance(0.75) ? random.between(0.1, 2) * leaseMs : random.between(1, 5) * leaseMs),
      dice: random.next(),
    });
    atMs += near ? random.between(0, leaseMs) : random.between(0, 3 * leaseMs);
  }
  return faults;
}
