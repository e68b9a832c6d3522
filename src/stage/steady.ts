import type { GroupStatus } from '../model/status.ts';
import { groupWorkflowId } from '../model/name.ts';
import { lookAt } from './member-answers.ts';
import { resolveService } from './resolve.ts';
import type { Stage } from './stage.ts';
import { GROUP, RECORD } from './stage-file.ts';
import { type WaitOptions, waitUntil } from './wait.ts';

const DNS_TIMEOUT_MS = 500;

/** The group's own word on how it stands. */
export function statusOf(stage: Stage): Promise<GroupStatus> {
  return stage.connected.client.workflow.getHandle(groupWorkflowId(GROUP)).query<GroupStatus>('status');
}

/** Waits until every member does what its role asks for, by its own word, and the name points to the primary. */
export async function waitUntilSteady(stage: Stage, options: WaitOptions): Promise<void> {
  await waitUntil('a steady group', () => whatIsMissing(stage), options);
}

/** In words, what keeps the group from being steady: first by the members' own answers, then by DNS, then by the workflow. */
export async function whatIsMissing(stage: Stage): Promise<string[]> {
  const looks = await Promise.all(stage.members.map(async (member) => ({ member, look: await lookAt(member) })));
  const missing: string[] = [];
  const open: { name: string; port: number }[] = [];
  for (const { member, look } of looks) {
    if ('silent' in look) missing.push(`${member.name} does not answer (${look.silent})`);
    else if (!look.inRecovery) {
      open.push(member);
      if (look.followers < stage.members.length - 1) missing.push(`${look.followers} of ${stage.members.length - 1} standbys stream from ${member.name}`);
      if (stage.options.durability === 'sync' && look.confirming === 0)
        missing.push(`no standby confirms the commits of ${member.name} (synchronous_standby_names is ${JSON.stringify(look.syncRule)})`);
    } else if (!look.streaming) missing.push(`${member.name} does not stream`);
  }
  const [primary] = open;
  if (primary === undefined || open.length > 1)
    missing.push(primary === undefined ? 'no member is open for writes' : `${open.map(({ name }) => name).join(' and ')} are open`);
  if (missing.length > 0 || primary === undefined) return missing;
  const place = await resolveService(stage.dns, RECORD, DNS_TIMEOUT_MS).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  if (typeof place === 'string') return [`the record does not resolve (${place})`];
  if (place.port !== primary.port) return [`the record points to port ${place.port}, and ${primary.name} listens on ${primary.port}`];
  const status = await statusOf(stage).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
  if (typeof status === 'string') return [`the group does not say how it is (${status})`];
  if (status.phase !== 'steady') return [`the group says that it is ${status.phase}`];
  return status.primary === primary.name ? [] : [`the group says that its primary is ${status.primary ?? 'nobody'}, and ${primary.name} is open`];
}
