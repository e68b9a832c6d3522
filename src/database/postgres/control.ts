import { UnderstudyError } from '../../model/error.ts';
import type { Lsn } from '../../model/lsn.ts';
import type { Place } from './place.ts';
import { runTool } from './tool.ts';

/** What the control file says, of which we need this much. */
export interface Control {
  readonly systemId: string;
  readonly state: string;
  /** The newest timeline that it knows: after a promotion the checkpoint's is still the old one, the recovery end's is the new. */
  readonly timeline: number;
  readonly checkpointTimeline: number;
  readonly checkpointLsn: Lsn;
  readonly redoLsn: Lsn;
  readonly minRecoveryLsn: Lsn;
  readonly minRecoveryTimeline: number;
  readonly segmentBytes: number;
  readonly walBlockBytes: number;
}

/** @throws UnderstudyError `DatabaseFailed` where the control file cannot be read */
export async function readControl(place: Place, signal: AbortSignal | undefined, dataDir = place.dataDir): Promise<Control> {
  const answer = await runTool(place, 'pg_controldata', ['-D', dataDir], { timeoutMs: 20_000, ...(signal === undefined ? {} : { signal }) });
  if (!answer.ok) throw new UnderstudyError('DatabaseFailed', `the control file of ${place.member.name} in ${dataDir} cannot be read: ${answer.words}`);
  return parseControl(answer.stdout, dataDir);
}

export function parseControl(text: string, dataDir: string): Control {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const field = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined)
      throw new UnderstudyError('DatabaseFailed', `pg_controldata says nothing of "${name}" for ${dataDir}`, { fields: [...fields.keys()] });
    return value;
  };
  const checkpointTimeline = Number(field("Latest checkpoint's TimeLineID"));
  const minRecoveryTimeline = Number(field("Min recovery ending loc's timeline"));
  return {
    systemId: field('Database system identifier'),
    state: field('Database cluster state'),
    timeline: Math.max(checkpointTimeline, minRecoveryTimeline),
    checkpointTimeline,
    checkpointLsn: field('Latest checkpoint location'),
    redoLsn: field("Latest checkpoint's REDO location"),
    minRecoveryLsn: field('Minimum recovery ending location'),
    minRecoveryTimeline,
    segmentBytes: Number(field('Bytes per WAL segment')),
    walBlockBytes: Number(field('WAL block size')),
  };
}
