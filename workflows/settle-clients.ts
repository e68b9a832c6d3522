import { condition, isCancellation } from '@temporalio/workflow';
import type { GroupSpec } from '../src/model/group.ts';
import type { RecordOutcome } from '../src/model/incident.ts';
import { member } from './acts.ts';
import { silenceOf } from './ask.ts';
import type { IncidentLog } from './incident-log.ts';
import { publishAll } from './publish.ts';

/** A first write waits for the standbys that the commit rule names: they may still be on their way. */
const FIRST_WRITE_LIMIT_MS = 60_000;
/** Records that are not written by then are left to the group, whose history has no end: an incident's has. */
const HAND_OVER_MS = 10 * 60_000;

export interface Settling {
  readonly spec: GroupSpec;
  readonly owner: string;
  readonly primary: string;
  readonly epoch: number;
  readonly log: IncidentLog;
}

/** After a promotion: the records say where the primary is, and a write is seen to be acknowledged. Neither can undo the promotion. */
export async function settleClients({ spec, owner, primary, epoch, log }: Settling): Promise<void> {
  let tried = spec.records.length === 0;
  await Promise.all([publish(), firstWrite()]);

  async function publish(): Promise<void> {
    if (spec.records.length === 0) return;
    const published = log.step('publish');
    const verified = log.step('verify');
    const untilMs = Date.now() + HAND_OVER_MS;
    await publishAll({ spec, owner, primary, epoch, idPrefix: primary, seen: note, overtaken: () => Date.now() > untilMs });
    const { records } = log.incident;
    const bad = records.filter(({ verifiedAtMs }) => verifiedAtMs === undefined);
    const words = bad.map(({ name, outcome, words: why }) => `${name}: ${outcome}${why === undefined ? '' : `, ${why}`}`).join('; ');
    published(bad.length === 0 ? 'done' : 'failed', words || undefined);
    verified(bad.length === 0 ? 'done' : 'failed', words || undefined);
  }

  function note(outcome: RecordOutcome): void {
    log.record(outcome);
    tried ||= spec.records.every((record) => log.incident.records.some(({ name, type }) => name === record.name && type === record.type));
  }

  async function firstWrite(): Promise<void> {
    // Clients come first: the proof for the report must not compete with their way back.
    await condition(() => tried);
    const end = log.step('first-write', primary);
    const act = member(spec.name, primary, {
      id: `first-write/${primary}/${epoch}`,
      summary: `does ${primary} acknowledge a write?`,
      startWithinMs: spec.leaseMs,
      limitMs: FIRST_WRITE_LIMIT_MS + 5000,
    });
    try {
      const { lsn } = await act.firstWrite({ group: spec.name, member: primary, epoch, limitMs: FIRST_WRITE_LIMIT_MS });
      end('done', `acknowledged at ${lsn}`);
    } catch (error) {
      if (isCancellation(error)) throw error;
      const words = silenceOf(error);
      if (words === undefined) throw error;
      end('failed', words);
    }
  }
}
