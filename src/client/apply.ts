import { createHash } from 'node:crypto';
import { type Client, type Connection, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { planSpecChange, type SpecChange } from '../decide/spec-change.ts';
import type { Config } from '../model/config.ts';
import type { GroupSpec } from '../model/group.ts';
import { CONTROL_QUEUE, groupWorkflowId } from '../model/name.ts';
import type { Signed } from '../model/operator.ts';
import type { GroupStatus } from '../model/status.ts';
import { runningIncidents } from '../runtime/running-incidents.ts';
import { allSettled } from './settled.ts';
import { attributesRegistered } from './setup.ts';

export interface GroupPlan {
  readonly group: string;
  readonly action: 'start' | 'change' | 'none' | 'refused';
  readonly changes: readonly SpecChange[];
  readonly words: string;
  /** Where they are why the group is not started: its incidents that still run. */
  readonly incidents?: readonly string[];
}

export interface Applied extends GroupPlan {
  readonly done: boolean;
}

/** Compares a configuration with the workflows that run, and changes nothing. */
export async function planConfig(client: Client, config: Config): Promise<GroupPlan[]> {
  return allSettled(Object.values(config.groups).map(({ spec }) => planGroup(client, spec)));
}

/** Starts or changes the groups' workflows to match the configuration. What is so already is left alone. */
export async function applyConfig(
  client: Client,
  config: Config,
  signed: Signed = { by: 'understudy apply', reason: 'configuration applied' },
): Promise<Applied[]> {
  const attributes = await attributesRegistered(client.connection as Connection, client.options.namespace);
  return applyPlans({ client, config, plans: await planConfig(client, config), attributes, signed });
}

/** Carries out what was planned. What has changed since is found by the workflow, which refuses again what is not safe. */
export async function applyPlans({ client, config, plans, attributes, signed }: ApplyInput): Promise<Applied[]> {
  const applied: Applied[] = [];
  for (const plan of plans) {
    const spec = config.groups[plan.group]?.spec;
    if (spec === undefined || plan.action === 'none' || plan.action === 'refused') applied.push({ ...plan, done: plan.action === 'none' });
    else if (plan.action === 'start') applied.push(await start(client, spec, plan, attributes));
    else applied.push(await change(client, spec, plan, signed));
  }
  return applied;
}

export interface ApplyInput {
  readonly client: Client;
  readonly config: Config;
  readonly plans: readonly GroupPlan[];
  /** Whether the search attributes are registered: a workflow that sets others cannot go on. */
  readonly attributes: boolean;
  readonly signed: Signed;
}

async function planGroup(client: Client, spec: GroupSpec): Promise<GroupPlan> {
  const handle = client.workflow.getHandle(groupWorkflowId(spec.name));
  let before: GroupSpec;
  let status: GroupStatus;
  try {
    const { status: state } = await handle.describe();
    if (state.name !== 'RUNNING')
      return await planStart(client, spec.name, `its workflow ended (${state.name.toLowerCase()}); it is started again beside the running members`);
    [before, status] = await allSettled([handle.query<GroupSpec>('spec'), handle.query<GroupStatus>('status')]);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return planStart(client, spec.name, `a new group of ${spec.members.length} members`);
  }
  const changes = planSpecChange(before, spec, status);
  const refused = changes.filter(({ effect }) => effect === 'refused');
  if (refused.length > 0)
    return { group: spec.name, action: 'refused', changes, words: refused.map(({ change: path, words }) => `${path}: ${words}`).join('; ') };
  return changes.length === 0
    ? { group: spec.name, action: 'none', changes, words: 'as it should be' }
    : { group: spec.name, action: 'change', changes, words: `${changes.length} change${changes.length === 1 ? '' : 's'}` };
}

/**
 * An incident outlives its group. A group that is started while one runs would ask the members before it has promoted anybody, and take up the
 * old primary.
 */
async function planStart(client: Client, group: string, words: string): Promise<GroupPlan> {
  const incidents = await runningIncidents(client, group);
  if (incidents.length === 0) return { group, action: 'start', changes: [], words };
  const [first = ''] = incidents;
  return {
    group,
    action: 'refused',
    changes: [],
    incidents,
    words: `${incidents.join(' and ')} still run${incidents.length === 1 ? 's' : ''}, and may promote a member while the group takes up the old primary. Next: wait until it has ended (temporal workflow result --workflow-id ${first}), then understudy apply. Where it cannot end: temporal workflow terminate --workflow-id ${first}; a member that it was opening may be open, and the group asks every member before it decides. One that only waits for DNS is no loss: the group publishes the records, too`,
  };
}

async function start(client: Client, spec: GroupSpec, plan: GroupPlan, attributes: boolean): Promise<Applied> {
  // A plan may be as old as a person's answer to a question.
  const now = await planStart(client, spec.name, plan.words);
  if (now.action === 'refused') return { ...now, done: false };
  await client.workflow.start('failoverGroup', {
    workflowId: groupWorkflowId(spec.name),
    taskQueue: CONTROL_QUEUE,
    // A hung worker must not cost a decision more than this (protocol 9).
    workflowTaskTimeout: '2s',
    staticSummary: `${spec.name}: ${spec.members.map(({ name }) => name).join(', ')}`,
    args: [{ spec, specHash: hashSpec(spec), attributes }],
  });
  return { ...plan, done: true };
}

async function change(client: Client, spec: GroupSpec, plan: GroupPlan, signed: Signed): Promise<Applied> {
  try {
    const words = await client.workflow
      .getHandle(groupWorkflowId(spec.name))
      .executeUpdate<string, [object]>('change', { args: [{ ...signed, spec, specHash: hashSpec(spec) }] });
    return { ...plan, done: true, words };
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure && error.cause.type === 'Refused') {
      return { ...plan, action: 'refused', done: false, words: error.cause.message };
    }
    throw error;
  }
}

/** The same for equal configurations, whatever the order of their keys. */
export function hashSpec(spec: GroupSpec): string {
  const sorted = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(sorted)
      : value !== null && typeof value === 'object'
        ? Object.fromEntries(
            Object.entries(value)
              .toSorted(([a], [b]) => (a < b ? -1 : 1))
              .map(([key, inner]) => [key, sorted(inner)]),
          )
        : value;
  return createHash('sha256')
    .update(JSON.stringify(sorted(spec)))
    .digest('hex')
    .slice(0, 12);
}
