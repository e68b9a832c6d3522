import { ActivityFailure, isCancellation, sleep, TimeoutFailure } from '@temporalio/workflow';
import type { Published } from '../src/model/act.ts';
import type { GroupSpec, MemberSpec } from '../src/model/group.ts';
import type { Incident, RecordOutcome } from '../src/model/incident.ts';
import type { OwnedRecord, RecordSpec } from '../src/model/record.ts';
import { control } from './acts.ts';

/** The pause between two tries doubles up to this. */
const LONGEST_PAUSE_MS = 30_000;
const TRY_LIMIT_MS = 15_000;
/** By other workers, when one dies in the middle: what then still failed is shown, and tried again after the pause. */
const WORKERS_A_TRY = 2;

/** What is final: trying again changes nothing before a person has acted. `already` and `applied` are the good ends. */
const FINAL = new Set(['lost-race', 'foreign-owner']);

export interface Publication {
  readonly spec: GroupSpec;
  readonly owner: string;
  readonly primary: string;
  readonly epoch: number;
  /** Where it is called from: activity ids are unique within a run. */
  readonly idPrefix: string;
  readonly seen: (outcome: RecordOutcome) => void;
  /** True once a newer promotion makes this one pointless. */
  readonly overtaken: () => boolean;
}

/** The record set that says where `primary` is. */
export function wantedRecord(record: RecordSpec, primary: MemberSpec, owner: string, epoch: number): OwnedRecord {
  const host = primary.dnsName ?? `${primary.host}.`;
  const values = record.type === 'SRV' ? [`0 0 ${primary.port} ${host}`] : record.type === 'CNAME' ? [host] : [primary.host];
  return { name: record.name, type: record.type, ttlSeconds: record.ttlSeconds, values, owner, epoch };
}

/** Publishes every record of the group, each on its own. A failure holds up nothing else: it is retried until it holds, and shown until then. */
export async function publishAll(publication: Publication): Promise<void> {
  await Promise.all(publication.spec.records.map((record) => publishOne(publication, record)));
}

async function publishOne(publication: Publication, record: RecordSpec): Promise<void> {
  const { spec, owner, primary, epoch, idPrefix, seen, overtaken } = publication;
  const member = spec.members.find(({ name }) => name === primary);
  if (member === undefined) return;
  const wanted = wantedRecord(record, member, owner, epoch);
  let pauseMs = 250;
  for (let attempts = 1; ; attempts += 1) {
    const act = control({
      id: `${idPrefix}/publish/${record.type}/${record.name}/${epoch}/${attempts}`,
      summary: `${record.name} ${record.type} -> ${wanted.values.join(', ')}`,
      limitMs: TRY_LIMIT_MS,
      attempts: WORKERS_A_TRY,
    });
    const { outcome, words, publishedAtMs, verifiedAtMs } = await answerOf(act.publishRecord({ provider: record.provider, record: wanted }));
    seen({
      name: record.name,
      type: record.type,
      provider: record.provider,
      outcome,
      words,
      attempts,
      ...(publishedAtMs === undefined ? {} : { publishedAtMs }),
      ...(verifiedAtMs === undefined ? {} : { verifiedAtMs }),
    });
    if (verifiedAtMs !== undefined || FINAL.has(outcome) || overtaken()) return;
    await sleep(pauseMs, { summary: `${record.name}: ${outcome}, try again` });
    if (overtaken()) return;
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** Whether nothing is left to try: each record is verified, or belongs to somebody else. */
export function isPublished({ records }: Pick<Incident, 'records'>): boolean {
  return records.every(({ outcome, verifiedAtMs }) => verifiedAtMs !== undefined || FINAL.has(outcome));
}

/** A worker that cannot ask at all (it lacks the provider, say, until it is restarted) is one more way in which it is not published yet. */
async function answerOf(publishing: Promise<Published>): Promise<Published> {
  try {
    return await publishing;
  } catch (error) {
    if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
    return { outcome: error.cause instanceof TimeoutFailure ? 'slow' : 'refused', words: error.cause?.message ?? error.message };
  }
}
