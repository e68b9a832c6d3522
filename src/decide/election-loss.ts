import type { CommitRule, GroupSpec } from '../model/group.ts';
import type { LastKnown, Loss } from '../model/incident.ts';
import { compareLsn, lagBytes } from '../model/lsn.ts';
import type { Lsn } from '../model/lsn.ts';
import { inBytes } from './election-words.ts';

/**
 * Whether every acknowledged commit lies at or before `lsn` (I2).
 *
 * A commit beyond it would need `count` of the rule's names beyond it. Names known to be frozen at or before it are not among those, so where
 * fewer than `count` are left, there is none. With the furthest of enough frozen names at `lsn` this is protocol 5.2.
 */
export function safeAt(lsn: Lsn, rule: CommitRule, frozen: ReadonlyMap<string, Lsn>): boolean {
  if (rule.count <= 0) return false;
  const maybeBeyond = [...new Set(rule.names)].filter((name) => {
    const place = frozen.get(name);
    return place === undefined || compareLsn(place, lsn) > 0;
  });
  return maybeBeyond.length < rule.count;
}

export interface LossInput {
  /** Where the new primary begins. */
  readonly lsn: Lsn;
  readonly spec: GroupSpec;
  readonly rule: CommitRule;
  readonly last: LastKnown | undefined;
  /** The commit rule proves that every acknowledged commit is there (`safeAt`). */
  readonly complete: boolean;
  /** The furthest place that anybody is known to have reached. */
  readonly furthest: Lsn | undefined;
  readonly acceptLoss?: { readonly by: string; readonly reason: string };
}

/** What the promotion loses, or may lose. For `sync` without an accepted loss the election has proved that it is nothing. */
export function lossOf({ lsn, spec, rule, last, complete, furthest, acceptLoss }: LossInput): Loss {
  if (last?.exact === true && last.lsn !== undefined && compareLsn(lsn, last.lsn) >= 0) {
    return { kind: 'none', words: `nothing is lost: the old primary was stopped in order at ${last.lsn}, and the new one has all of it` };
  }
  if (spec.durability.mode === 'sync' && complete) {
    return { kind: 'none', words: `no acknowledged write is lost: whatever ${rule.count} of ${rule.names.join(', ')} confirmed is on the new primary` };
  }
  const accepted = acceptLoss === undefined ? '' : `, accepted by ${acceptLoss.by}: ${acceptLoss.reason}`;
  if (last?.lsn === undefined) return { kind: 'unknown', words: `how much is lost is not known: the old primary's last place was never heard${accepted}` };
  const bytes = lagBytes(furthest ?? last.lsn, lsn);
  if (last.exact === true)
    return {
      kind: 'at-most',
      bytes,
      words: `at most ${inBytes(bytes)} of log are lost: the old primary ended at ${last.lsn}, the new one begins at ${lsn}${accepted}`,
    };
  const unseen =
    last.ageMs === undefined
      ? 'what it wrote after that heartbeat is not counted'
      : `what it wrote in the ${last.ageMs} ms after that heartbeat is not counted`;
  const words = `at most ${inBytes(bytes)} of log that the old primary's last heartbeat knew of (${last.lsn}) are lost; ${unseen}${accepted}`;
  return last.ageMs === undefined ? { kind: 'at-most', bytes, words } : { kind: 'at-most', bytes, unseenMs: last.ageMs, words };
}
