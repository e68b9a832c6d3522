import type { WorkflowExecutionDescription } from '@temporalio/client';
import { type LoadedDataConverter, defineSearchAttributeKey } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { ATTRIBUTES } from '../model/attribute.ts';
import type { StepName } from '../model/incident.ts';
import { lagBytes } from '../model/lsn.ts';
import { groupWorkflowId } from '../model/name.ts';
import type { Heartbeat } from '../model/role.ts';
import type { GroupStatus } from '../model/status.ts';
import type { Desk } from './desk.ts';
import { OperatorError, isUnseen } from './operator-error.ts';

/** A member's last heartbeat, as Temporal's server holds it: no worker is needed to read it. */
export interface MemberBeat {
  readonly member: string;
  readonly heartbeat?: Heartbeat;
  readonly heardAtMs?: number;
  /** The role lies in the member's queue, and its agent has not taken it up. */
  readonly waiting: boolean;
  /** Somebody paused the role's activity, which stops its lease's clock (protocol 1.2). */
  readonly paused: boolean;
  /** A standby's distance from its primary's place, as the primary's last heartbeat knew it. */
  readonly lagBytes?: number;
}

export interface GroupLook {
  readonly group: string;
  /** Left out where no worker answers; the beats are known all the same. */
  readonly status?: GroupStatus;
  readonly unseen?: string;
  readonly members: readonly MemberBeat[];
  /** What the group's workflow last made searchable: the newest that is known where no worker answers. */
  readonly noted: { readonly phase?: string; readonly primary?: string; readonly epoch?: number };
  /** The incident that is not over, and what it does now. */
  readonly open?: { readonly id: string; readonly step?: StepName; readonly member?: string };
  readonly ui?: string;
}

/**
 * Looks at a group in two ways at once: its workflow's answer, and the heartbeats that the server holds.
 *
 * @throws OperatorError where there is no such group, or not even Temporal answers
 */
export async function lookAtGroup(desk: Desk, group: string): Promise<GroupLook> {
  const id = groupWorkflowId(group);
  const [asked, described] = await Promise.allSettled([desk.status(group), desk.call(`group ${group}`, () => desk.workflows.getHandle(id).describe())]);
  if (asked.status === 'rejected' && (described.status === 'rejected' || !isUnseen(asked.reason))) throw asked.reason;
  if (described.status === 'rejected') throw described.reason;
  const ui = desk.connected.uiLink(id);
  const open = asked.status === 'fulfilled' ? await openIncidentOf(desk, asked.value) : undefined;
  return {
    group,
    ...(open === undefined ? {} : { open }),
    ...(asked.status === 'fulfilled' ? { status: asked.value } : { unseen: (asked.reason as Error).message }),
    members: await beatsOf(described.value, desk.connected.converter),
    noted: notedOf(described.value),
    ...(ui === undefined ? {} : { ui }),
  };
}

/** Without it a person would not see that a failover waits for an answer. */
async function openIncidentOf(desk: Desk, { incidents }: GroupStatus): Promise<GroupLook['open']> {
  const line = incidents.findLast(({ endedAtMs }) => endedAtMs === undefined);
  if (line === undefined) return undefined;
  try {
    const { steps } = await desk.incident(line.id);
    const step = steps.findLast(({ outcome }) => outcome === 'running');
    return { id: line.id, ...(step === undefined ? {} : { step: step.name, ...(step.member === undefined ? {} : { member: step.member }) }) };
  } catch (error) {
    // It begins a moment after its group has named it, and may be terminated by hand.
    if (error instanceof OperatorError) return { id: line.id };
    throw error;
  }
}

type Pending = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number];

/** `primary/pg-a/7/<turn>` and `standby/…`: of two for one member, the later turn holds. */
const ROLE_ID = /^(?:primary|standby)\/([^/]+)\/\d+\/(\d+)$/;

async function beatsOf({ raw }: WorkflowExecutionDescription, converter: LoadedDataConverter): Promise<MemberBeat[]> {
  const latest = new Map<string, { readonly turn: number; readonly beat: MemberBeat }>();
  for (const pending of raw.pendingActivities ?? []) {
    const match = ROLE_ID.exec(pending.activityId ?? '');
    if (match === null) continue;
    const [member, turn] = [match[1] as string, Number(match[2])];
    if (turn >= (latest.get(member)?.turn ?? 0)) latest.set(member, { turn, beat: await beatOf(member, pending, converter) });
  }
  const beats = [...latest.values()].map(({ beat }) => beat).sort((a, b) => (a.member < b.member ? -1 : 1));
  const primary = beats.find(({ heartbeat }) => heartbeat?.role === 'primary')?.heartbeat;
  return beats.map((beat) => {
    const lag = primary === undefined ? undefined : lagOf(beat, primary);
    return lag === undefined ? beat : { ...beat, lagBytes: lag };
  });
}

async function beatOf(member: string, pending: Pending, converter: LoadedDataConverter): Promise<MemberBeat> {
  const [heartbeat] = (await decodeArrayFromPayloads(converter, pending.heartbeatDetails?.payloads)) as [Heartbeat?];
  const heardAtMs = toMs(pending.lastHeartbeatTime);
  return {
    member,
    ...(heartbeat === undefined ? {} : { heartbeat }),
    ...(heardAtMs === undefined ? {} : { heardAtMs }),
    waiting: pending.lastStartedTime === undefined || pending.lastStartedTime === null,
    paused: pending.paused === true,
  };
}

/** The primary's own view is one instant's; two heartbeats are of two. */
function lagOf({ member, heartbeat }: MemberBeat, primary: Heartbeat): number | undefined {
  if (heartbeat?.role !== 'standby' || primary.lsn === undefined) return undefined;
  const place = primary.followers?.find(({ name }) => name === member)?.flushedLsn ?? heartbeat.lsn;
  return place === undefined ? undefined : lagBytes(primary.lsn, place);
}

function toMs(time: Pending['lastHeartbeatTime']): number | undefined {
  if (time === undefined || time === null) return undefined;
  return Number(time.seconds ?? 0) * 1000 + Math.floor((time.nanos ?? 0) / 1_000_000);
}

const KEYS = {
  phase: defineSearchAttributeKey(ATTRIBUTES.phase.name, 'KEYWORD'),
  primary: defineSearchAttributeKey(ATTRIBUTES.primary.name, 'KEYWORD'),
  epoch: defineSearchAttributeKey(ATTRIBUTES.epoch.name, 'INT'),
};

function notedOf({ typedSearchAttributes }: WorkflowExecutionDescription): GroupLook['noted'] {
  const [phase, primary, epoch] = [typedSearchAttributes.get(KEYS.phase), typedSearchAttributes.get(KEYS.primary), typedSearchAttributes.get(KEYS.epoch)];
  return { ...(phase === undefined ? {} : { phase }), ...(primary === undefined ? {} : { primary }), ...(epoch === undefined ? {} : { epoch }) };
}
