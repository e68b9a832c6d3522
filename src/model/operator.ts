import type { GroupSpec } from './group.ts';

/** Every word of an operator names who says it and why: it is kept. */
export interface Signed {
  readonly by: string;
  readonly reason: string;
}

export interface ChangeWord extends Signed {
  readonly spec: GroupSpec;
  /** Tells this configuration from others, as the status shows it. */
  readonly specHash?: string;
}

/** The incident that an operator's word has begun. */
export interface Started {
  /** Its workflow's id; left out while it waits for the old primary to be fenced. */
  readonly incident?: string;
  readonly words: string;
}
