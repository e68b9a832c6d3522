import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common';
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { Incident } from '../src/model/incident.ts';
import type { GroupStatus } from '../src/model/status.ts';
import { renderMarkdown } from '../src/decide/report-markdown.ts';
import { statusMarkdown } from '../src/decide/status-markdown.ts';
import { ATTRIBUTES } from '../src/model/attribute.ts';
import { attributesByChange } from './patches.ts';

const KEYS = {
  group: defineSearchAttributeKey(ATTRIBUTES.group.name, 'KEYWORD'),
  kind: defineSearchAttributeKey(ATTRIBUTES.kind.name, 'KEYWORD'),
  phase: defineSearchAttributeKey(ATTRIBUTES.phase.name, 'KEYWORD'),
  primary: defineSearchAttributeKey(ATTRIBUTES.primary.name, 'KEYWORD'),
  cause: defineSearchAttributeKey(ATTRIBUTES.cause.name, 'KEYWORD'),
  epoch: defineSearchAttributeKey(ATTRIBUTES.epoch.name, 'INT'),
};

/** A group's search attributes as they were last written: whoever shows it next passes them on. */
export type ShownGroup = readonly (string | number | null)[];

/**
 * Shows a group in the Temporal UI: its table as the current details, its phase as something to search for. An incident is there to be searched for by itself,
 * so that the group is not written once more in its moment, unless it lasts.
 */
export function showGroup(status: GroupStatus, attributes: boolean, before: ShownGroup | undefined): ShownGroup | undefined {
  setCurrentDetails(statusMarkdown(status));
  if (!attributes) return before;
  const brief = status.phase === 'incident' && status.words === undefined && before !== undefined;
  const shown = [status.group, 'group', brief ? (before[2] ?? null) : status.phase, status.primary, status.epoch];
  if (attributesByChange()) {
    if (before !== undefined && shown.every((value, i) => value === before[i])) return before;
  } else shown[2] = status.phase;
  const [group, kind, phase, primary, epoch] = shown as [string, string, string, string | null, number];
  upsertSearchAttributes([
    { key: KEYS.group, value: group },
    { key: KEYS.kind, value: kind },
    { key: KEYS.phase, value: phase },
    { key: KEYS.primary, value: primary },
    { key: KEYS.epoch, value: epoch },
  ]);
  return shown;
}

/** Whether search attributes are registered, so that they can be set; `given`: whoever started the incident has set those of its beginning. */
export type Attributes = boolean | 'given';

/** What a group gives an incident at its start: cheaper than to be written by its first task, in the moment when everybody waits. */
export function attributesAtStart(incident: Pick<Incident, 'group' | 'kind' | 'epoch'>, cause: string): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: KEYS.group, value: incident.group },
    { key: KEYS.kind, value: incident.kind },
    { key: KEYS.cause, value: cause },
    { key: KEYS.phase, value: 'running' },
    { key: KEYS.epoch, value: incident.epoch },
  ]);
}

/** Shows an incident: its report so far, and its cause and outcome to search for. */
export function showIncident(incident: Incident, attributes: Attributes): void {
  setCurrentDetails(renderMarkdown(incident));
  if (attributes === false || (attributes === 'given' && incident.outcome.outcome === 'running')) return;
  upsertSearchAttributes([
    { key: KEYS.group, value: incident.group },
    { key: KEYS.kind, value: incident.kind },
    { key: KEYS.cause, value: incident.cause.kind },
    { key: KEYS.phase, value: incident.outcome.outcome },
    { key: KEYS.epoch, value: incident.epoch },
    ...(incident.outcome.outcome === 'done' ? [{ key: KEYS.primary, value: incident.outcome.primary }] : []),
  ]);
}
