import type { Lsn } from '../../src/model/lsn.ts';

export interface Commit {
  readonly id: number;
  /** Its end: whoever has this much of the branch has it. */
  readonly at: number;
}

/**
 * What one database wrote between two promotions: a timeline, known by who wrote it and not only by its number, as two members that were promoted apart both write a
 * timeline 2. Copies are prefixes of it.
 */
export class Branch {
  readonly timeline: number;
  readonly parent: Branch | undefined;
  readonly forkAt: number;
  readonly writer: string;
  readonly systemId: string;
  readonly commits: Commit[] = [];
  /** Begun by a person, behind everybody's back: what is acknowledged there was never promised. */
  readonly byHand: boolean;

  constructor(o: { timeline: number; parent: Branch | undefined; forkAt: number; writer: string; systemId: string; byHand: boolean }) {
    this.timeline = o.timeline;
    this.parent = o.parent;
    this.forkAt = o.forkAt;
    this.writer = o.writer;
    this.systemId = o.systemId;
    this.byHand = o.byHand;
  }

  /** How much of each branch a copy that stands here has. */
  reach(end: number): Map<Branch, number> {
    const reach = this.parent === undefined ? new Map<Branch, number>() : this.parent.reach(Math.min(end, this.forkAt));
    return reach.set(this, end);
  }

  /** Where each earlier timeline ended, oldest first. */
  get forks(): { timeline: number; endLsn: Lsn }[] {
    return this.parent === undefined ? [] : [...this.parent.forks, { timeline: this.parent.timeline, endLsn: lsn(this.forkAt) }];
  }
}

export function lsn(place: number): Lsn {
  return `0/${place.toString(16).toUpperCase()}`;
}

export function place(text: Lsn): number {
  return Number.parseInt(text.slice(text.indexOf('/') + 1), 16);
}
