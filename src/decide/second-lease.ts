import { compareLsn, type Lsn } from '../model/lsn.ts';
import { quarantineMs } from './deadline.ts';

/** A mark that a primary in doubt has written into its log (protocol 3.3). */
export interface Marker {
  /** Its end: whoever has flushed this far has received it. */
  readonly lsn: Lsn;
  /** T: noted before it was written, on the primary's own CLOCK_BOOTTIME. */
  readonly notedBootMs: number;
}

/** How far one standby is known to have flushed what it received from this primary by its own connection. */
export interface Confirmation {
  readonly name: string;
  readonly flushedLsn: Lsn;
}

export interface SecondLeaseInput {
  readonly marker: Marker;
  /** E: everybody who may be promoted at this epoch without this primary's being heard. */
  readonly electable: readonly string[];
  readonly followers: readonly Confirmation[];
  readonly leaseMs: number;
  readonly marginMs: number;
}

export type SecondLease =
  /** The deadline may move to `deadlineMs` of this primary's CLOCK_BOOTTIME, if it does not lie later already. */
  | { readonly outcome: 'renewed'; readonly deadlineMs: number }
  /** The deadline stands. */
  | { readonly outcome: 'stands'; readonly waitsFor: readonly string[]; readonly words: string };

/**
 * Whether a primary whose heartbeats are not acknowledged may go on, by the word of those who could take its place.
 *
 * A member is promoted without proof of a fence only when it has received nothing for Q. Whoever confirms the marker received it after T,
 * so its quarantine ends no earlier than T + Q; where everybody in E confirms, nobody can be promoted before that (I1).
 *
 * @see protocol 3.3
 */
export function decideSecondLease({ marker, electable, followers, leaseMs, marginMs }: SecondLeaseInput): SecondLease {
  if (electable.length === 0) return { outcome: 'stands', waitsFor: [], words: 'nobody may be promoted by itself, so that nobody can vouch for this primary' };
  const waitsFor = electable.filter((name) => !followers.some((follower) => follower.name === name && compareLsn(follower.flushedLsn, marker.lsn) >= 0));
  if (waitsFor.length > 0) return { outcome: 'stands', waitsFor, words: `${waitsFor.join(', ')} could be promoted and has not confirmed that it follows` };
  return { outcome: 'renewed', deadlineMs: marker.notedBootMs + quarantineMs(leaseMs) - marginMs };
}
