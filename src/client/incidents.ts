import { defineSearchAttributeKey } from '@temporalio/common';
import type { Connection } from '@temporalio/client';
import { ATTRIBUTES } from '../model/attribute.ts';
import type { IncidentLine } from '../model/status.ts';
import type { Desk } from './desk.ts';
import { OperatorError } from './operator-error.ts';
import { attributesRegistered } from './setup.ts';

const KEYS = {
  kind: defineSearchAttributeKey(ATTRIBUTES.kind.name, 'KEYWORD'),
  cause: defineSearchAttributeKey(ATTRIBUTES.cause.name, 'KEYWORD'),
  phase: defineSearchAttributeKey(ATTRIBUTES.phase.name, 'KEYWORD'),
  epoch: defineSearchAttributeKey(ATTRIBUTES.epoch.name, 'INT'),
};

export interface IncidentList {
  /** `visibility`: all that Temporal keeps. `group`: the last ones, as the group's workflow keeps them. */
  readonly from: 'visibility' | 'group';
  /** The newest first. */
  readonly incidents: readonly IncidentLine[];
}

/** A group's incidents: by search attributes where they are registered, else from its workflow's own memory. */
export async function listIncidents(desk: Desk, group: string, limit: number): Promise<IncidentList> {
  // The group answers for its name, too: a search for one that does not exist finds nothing, and says so to nobody.
  const { incidents } = await desk.status(group);
  const own = incidents.toReversed();
  const { connection, namespace } = desk.connected;
  if (!(await desk.call('search attributes', () => attributesRegistered(connection as Connection, namespace))))
    return { from: 'group', incidents: own.slice(0, limit) };
  const found = await desk.call(`incidents of ${group}`, () => search(desk, group, limit));
  // Visibility lags behind: what the group knows and the search does not yet is added.
  const late = own.filter(({ id }) => found.every((line) => line.id !== id));
  const words = new Map(own.map((line) => [line.id, line]));
  const all = [...found.map((line) => words.get(line.id) ?? line), ...late];
  return { from: 'visibility', incidents: all.sort((a, b) => b.startedAtMs - a.startedAtMs).slice(0, limit) };
}

async function search(desk: Desk, group: string, limit: number): Promise<IncidentLine[]> {
  const query = `${ATTRIBUTES.group.name} = '${group}' AND ${ATTRIBUTES.kind.name} IN ('failover', 'switchover')`;
  const lines: IncidentLine[] = [];
  for await (const one of desk.workflows.list({ query, pageSize: Math.min(limit, 200) })) {
    const attributes = one.typedSearchAttributes;
    lines.push({
      id: one.workflowId,
      kind: attributes.get(KEYS.kind) === 'switchover' ? 'switchover' : 'failover',
      epoch: attributes.get(KEYS.epoch) ?? 0,
      cause: attributes.get(KEYS.cause) ?? '',
      outcome: one.status.name === 'COMPLETED' || one.status.name === 'RUNNING' ? (attributes.get(KEYS.phase) ?? '') : one.status.name.toLowerCase(),
      startedAtMs: one.startTime.getTime(),
      ...(one.closeTime === undefined ? {} : { endedAtMs: one.closeTime.getTime() }),
    });
    if (lines.length >= limit) break;
  }
  return lines;
}

/** `failover/orders/8` as it is; a group's name stands for its last incident, or for the one that is open. */
export async function resolveIncident(desk: Desk, named: string, which: 'last' | 'open'): Promise<string> {
  if (named.includes('/')) return named;
  const { incidents } = await desk.status(named);
  const found = which === 'last' ? incidents.at(-1) : incidents.findLast(({ endedAtMs }) => endedAtMs === undefined);
  if (found !== undefined) return found.id;
  throw new OperatorError({ kind: 'failed' }, which === 'last' ? `${named} has had no incident` : `no incident of ${named} is open`, {
    next: `understudy incidents ${named}`,
  });
}
