import { defineSearchAttributeKey } from '@temporalio/common';
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { Incident } from '../src/model/incident.ts';
import type { GroupStatus } from '../src/model/status.ts';
import { renderMarkdown } from '../src/decide/report-markdown.ts';
import { statusMarkdown } from '../src/decide/status-markdown.ts';
import { ATTRIBUTES } from '../src/model/attribute.ts';

const KEYS = {
  group: defineSearchAttributeKey(ATTRIBUTES.group.name, 'KEYWORD'),
  kind: defineSearchAttributeKey(ATTRIBUTES.kind.name, 'KEYWORD'),
  phase: defineSearchAttributeKey(ATTRIBUTES.phase.name, 'KEYWORD'),
  primary: defineSearchAttributeKey(ATTRIBUTES.primary.name, 'KEYWORD'),
  cause: defineSearchAttributeKey(ATTRIBUTES.cause.name, 'KEYWORD'),
  epoch: defineSearchAttributeKey(ATTRIBUTES.epoch.name, 'INT'),
};

/** Shows a group in the Temporal UI: its table as the current details, its phase as something to search for. */
export function showGroup(status: GroupStatus, attributes: boolean): void {
  setCurrentDetails(statusMarkdown(status));
  if (!attributes) return;
  upsertSearchAttributes([
    { key: KEYS.group, value: status.group },
    { key: KEYS.kind, value: 'group' },
    { key: KEYS.phase, value: status.phase },
    { key: KEYS.primary, value: status.primary },
    { key: KEYS.epoch, value: status.epoch },
  ]);
}

/** Shows an incident: its report so far, and its cause and outcome to search for. */
export function showIncident(incident: Incident, attributes: boolean): void {
  setCurrentDetails(renderMarkdown(incident));
  if (!attributes) return;
  upsertSearchAttributes([
    { key: KEYS.group, value: incident.group },
    { key: KEYS.kind, value: incident.kind },
    { key: KEYS.cause, value: incident.cause.kind },
    { key: KEYS.phase, value: incident.outcome.outcome },
    { key: KEYS.epoch, value: incident.epoch },
    ...(incident.outcome.outcome === 'done' ? [{ key: KEYS.primary, value: incident.outcome.primary }] : []),
  ]);
}
