import type { Step } from './step.ts';

export type DrillKind = 'processes' | 'network' | 'disks' | 'two things' | 'people';
export type Ending = 'failover' | 'no failover' | 'either';

/** How long writes may stand still: `none` (nobody notices), `short` (a crash that is seen at once), `lease` (one that must be waited for), `fault` (as long as it lasts). */
export type Gap = 'none' | 'short' | 'lease' | 'fault';

/** One line of the table: what is done, and what must come of it. */
export interface Drill {
  readonly name: string;
  readonly kind: DrillKind;
  /** Left out: sync. */
  readonly durability?: 'sync' | 'async';
  /** Done before the clock runs. */
  readonly before?: readonly Step[];
  readonly faults: readonly Step[];
  readonly heal: readonly Step[];
  readonly ending: Ending;
  readonly gap: Gap;
  /** In words for people; the ending and the gap are checked besides. */
  readonly must: string;
  readonly mustNot: string;
  /** At most so many incidents may begin. */
  readonly incidents?: number;
  /** A member that a person opened by hand, and so acknowledges what is lost: its own writes are not counted, those of the others are. */
  readonly strayed?: 'standby1';
  /** What else must be so at the end, in words where it is not. */
  readonly check?: (rig: import('./rig.ts').Rig, t0Ns: number) => Promise<readonly string[]>;
  /** No drill may follow on the same stage. */
  readonly last?: true;
  /** From the end of the healing until all is as it was; left out: a minute. */
  readonly convergeMs?: number;
}

/** The longest write gap that each word allows, in milliseconds. Generous: it tells a stall from a takeover, and is no benchmark. */
export function gapLimitMs(gap: Gap, leaseMs: number): number | undefined {
  switch (gap) {
    case 'none':
      return 1_000;
    case 'short':
      return 3_000;
    case 'lease':
      return 2 * leaseMs + 3_000;
    case 'fault':
      return undefined;
  }
}
