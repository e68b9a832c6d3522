import { samePlain } from './same.ts';
import type { GroupSpec, MemberSpec } from '../model/group.ts';
import type { GroupStatus } from '../model/status.ts';

/** One difference between two specs, and what it does to a running group. */
export interface SpecChange {
  /** Its path: `members.pg-b.port`, `policy.minIntervalMs`. */
  readonly change: string;
  readonly from: string;
  readonly to: string;
  /** `none`: counts from now on. `reassign-roles`: roles are offered anew, no database restarts for it. `publish`: records are written. */
  readonly effect: 'none' | 'reassign-roles' | 'publish' | 'refused';
  readonly words: string;
}

/**
 * What would change, and what each change does. `running` tells who is primary; without it, changes that could hit the primary are refused only
 * where they are unsafe for whichever member it is.
 */
export function planSpecChange(before: GroupSpec, after: GroupSpec, running?: Pick<GroupStatus, 'primary'>): SpecChange[] {
  const changes: SpecChange[] = [];
  const note = (change: string, from: unknown, to: unknown, effect: SpecChange['effect'], words: string): void => {
    if (!samePlain(from, to)) changes.push({ change, from: text(from), to: text(to), effect, words });
  };
  note('name', before.name, after.name, 'refused', 'a group cannot be renamed: its workflow, queues, slots and records carry the name. Make a new group');
  note('database', before.database, after.database, 'refused', 'a group keeps its kind of database. Make a new group');
  note('leaseMs', before.leaseMs, after.leaseMs, 'reassign-roles', "the primary's role is offered anew under the new lease; its database goes on");
  note(
    'durability',
    before.durability,
    after.durability,
    'none',
    after.durability.mode === 'async'
      ? 'the commit rule is relaxed: recorded first, then applied; from then on a failover may lose writes'
      : 'the commit rule is tightened: applied, confirmed, then recorded',
  );
  changes.push(...memberChanges(before.members, after.members, running?.primary ?? undefined));
  for (const key of [...new Set([...Object.keys(before.policy), ...Object.keys(after.policy)])].sort()) {
    const of = (policy: object): unknown => new Map<string, unknown>(Object.entries(policy)).get(key);
    const inRole = key === 'hungAfterMs' || key === 'stopWithinMs';
    note(
      `policy.${key}`,
      of(before.policy),
      of(after.policy),
      inRole ? 'reassign-roles' : 'none',
      inRole ? 'the roles are offered anew with it; no database restarts' : 'counts from now on',
    );
  }
  const key = (record: { name: string; type: string }): string => `records.${record.name}/${record.type}`;
  for (const path of [...new Set([...before.records, ...after.records].map(key))].sort()) {
    const [old, now] = [before.records.find((record) => key(record) === path), after.records.find((record) => key(record) === path)];
    note(
      path,
      old,
      now,
      now === undefined ? 'none' : 'publish',
      now === undefined ? 'is no longer kept up; what stands there stays, and can be removed by hand' : 'is written and verified',
    );
  }
  return changes;
}

function memberChanges(before: readonly MemberSpec[], after: readonly MemberSpec[], primary: string | undefined): SpecChange[] {
  const changes: SpecChange[] = [];
  if (after.length === 0)
    changes.push({
      change: 'members',
      from: before.map((one) => one.name).join(', '),
      to: 'none',
      effect: 'refused',
      words: 'a group has at least one member',
    });
  if (before.length > 0 && after.length > 0 && !after.some((one) => before.some((old) => old.name === one.name))) {
    changes.push({
      change: 'members',
      from: before.map((one) => one.name).join(', '),
      to: after.map((one) => one.name).join(', '),
      effect: 'refused',
      words: 'no member would stay, so nobody would hold the data. Add the new ones first, switch over, then remove the old ones',
    });
  }
  for (const name of [...new Set([...before, ...after].map((one) => one.name))].sort()) {
    const [old, now] = [before.find((one) => one.name === name), after.find((one) => one.name === name)];
    const path = `members.${name}`;
    if (old === undefined && now !== undefined) {
      changes.push({
        change: path,
        from: 'absent',
        to: text(now),
        effect: 'reassign-roles',
        words: 'joins as a standby: it is cloned from the primary where its directory is empty',
      });
    } else if (now === undefined && old !== undefined) {
      const refused = name === primary;
      changes.push({
        change: path,
        from: text(old),
        to: 'absent',
        effect: refused ? 'refused' : 'reassign-roles',
        words: refused
          ? 'it is the primary: hand its role to another member first'
          : 'leaves: it is taken out of the commit rule first, then its role ends and its slot is dropped',
      });
    } else if (old !== undefined && now !== undefined) {
      changes.push(...fieldChanges(path, old, now, name === primary));
    }
  }
  return changes;
}

function fieldChanges(path: string, old: MemberSpec, now: MemberSpec, isPrimary: boolean): SpecChange[] {
  const changes: SpecChange[] = [];
  const note = (field: keyof MemberSpec, effect: SpecChange['effect'], words: string): void => {
    if (old[field] !== now[field]) changes.push({ change: `${path}.${field}`, from: text(old[field]), to: text(now[field]), effect, words });
  };
  const moved = isPrimary
    ? 'it is the primary, and a new address means a restart of its database: hand its role to another member first'
    : 'its role is offered anew at the new address';
  note('host', isPrimary ? 'refused' : 'reassign-roles', moved);
  note('port', isPrimary ? 'refused' : 'reassign-roles', moved);
  note('dnsName', isPrimary ? 'publish' : 'none', isPrimary ? 'records that point to it are written anew' : 'counts when it becomes primary');
  note('priority', 'none', 'counts at the next election');
  return changes;
}

function text(value: unknown): string {
  if (value === undefined) return 'absent';
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : JSON.stringify(value);
}
