import { readdir } from 'node:fs/promises';
import { UnderstudyError } from '../../model/error.ts';
import type { Footprint } from '../../model/member.ts';
import { exists, isErrno, readIfThere } from './file.ts';
import { readControl } from './control.ts';
import type { Place } from './place.ts';
import { readTorn } from './torn.ts';

/** Beside the data directory: a copy in the making, a whole copy not yet swapped in, and what was there before it. */
export const clonePath = (place: Place): string => `${place.dataDir}.clone-1`;
export const readyPath = (place: Place): string => `${place.dataDir}.clone-ready`;
export const oldPath = (place: Place): string => `${place.dataDir}.clone-old`;

/**
 * What tells a copy from a primary's own data. The control file says so where somebody took the marker away: started without it, the copy would open on
 * its primary's own timeline, and nobody could tell the two apart afterwards. A backup's label is there until the copy was started once.
 */
const STANDBY_FILES = ['standby.signal', 'recovery.signal', 'backup_label'] as const;
const STANDBY_STATES: ReadonlySet<string> = new Set(['in archive recovery', 'shut down in recovery']);

async function existsAny(place: Place, names: readonly string[]): Promise<boolean> {
  for (const name of names) if (await exists(place.data(name))) return true;
  return false;
}

/** Reads what lies in the data directory. It changes nothing, so that it may be asked at any moment, also while a clone is under way. */
export async function readFootprint(place: Place, signal: AbortSignal): Promise<Footprint> {
  const names = await list(place.dataDir);
  if (names.length === 0) {
    // A swap that died between its two renames: the data is there, under another name. It must never pass for an empty place.
    const between = (await exists(oldPath(place))) || (await exists(readyPath(place)));
    return between ? { state: 'torn', by: 'clone' } : { state: 'empty' };
  }
  const torn = await readTorn(place);
  if (torn === 'found') return { state: 'empty' };
  if (torn !== undefined) return { state: 'torn', by: torn };
  const version = (await readIfThere(place.data('PG_VERSION')))?.trim();
  if (version === undefined || !(await exists(place.data('global', 'pg_control')))) {
    return { state: 'foreign', found: describe(names) };
  }
  const control = await readControl(place, signal);
  return {
    state: 'data',
    systemId: control.systemId,
    version,
    timeline: control.timeline,
    checkpointLsn: control.checkpointLsn,
    cleanShutdown: control.state === 'shut down',
    standby: STANDBY_STATES.has(control.state) || (await existsAny(place, STANDBY_FILES)),
  };
}

async function list(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    if (isErrno(error, 'ENOTDIR')) return ['(not a directory)'];
    throw new UnderstudyError('DatabaseFailed', `the data directory ${directory} cannot be read: ${String(error)}`, { directory }, error);
  }
}

const DESCRIBED = 5;

function describe(names: readonly string[]): string {
  const shown = names.toSorted().slice(0, DESCRIBED).join(', ');
  return names.length > DESCRIBED ? `${shown} and ${names.length - DESCRIBED} more` : shown;
}

/** @throws UnderstudyError `DatabaseFailed` unless it holds whole data; the message says what it holds */
export async function demandData(place: Place, signal: AbortSignal, act: string): Promise<Extract<Footprint, { state: 'data' }>> {
  const footprint = await readFootprint(place, signal);
  if (footprint.state === 'data') return footprint;
  throw new UnderstudyError('DatabaseFailed', `${place.member.name} cannot ${act}: its data directory ${place.dataDir} is ${footprint.state}`, { footprint });
}
