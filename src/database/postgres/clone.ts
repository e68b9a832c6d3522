import { rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { UnderstudyError } from '../../model/error.ts';
import { NO_RULE } from '../../model/group.ts';
import type { Upstream } from '../../model/member.ts';
import type { ConfFiles } from './conf.ts';
import { exists, isErrno, ownDirectory, prepareState, readIfThere, removeFile, syncDirectory, writeWhole } from './file.ts';
import { clonePath, oldPath, readFootprint, readyPath } from './footprint.ts';
import { emptyDirectory } from './found.ts';
import { clearOutside, linkedLog, placeOutside } from './outside.ts';
import { slotName, type Place } from './place.ts';
import { conninfo, tlsPairs } from './settings.ts';
import { claimSlotAt } from './slots.ts';
import { runTool } from './tool.ts';
import { endLeftCopies } from './left-programs.ts';
import { markTorn, readTorn, unmarkTorn } from './torn.ts';

const CLONE_LIMIT_MS = 24 * 3_600_000;
/** No member can be called so: the underscore is not of a name. */
export const CLONE_APPLICATION = 'understudy_clone';

/**
 * Copies the upstream into a directory beside ours, and swaps when the copy is whole. With D the data directory, each state that a crash
 * can leave, and what the next call does:
 *
 * | on disk | what it is | next call |
 * | --- | --- | --- |
 * | D, clone-1 | a copy half made; D is untouched | clone-1 is removed, the copy begins anew |
 * | D, clone-ready | a whole copy, not swapped in | the same: its upstream may be another by now |
 * | clone-old, clone-ready | between the two renames; the footprint says `torn` | clone-old is D again, then as above |
 * | D, clone-old | swapped; the old data not yet removed | clone-old is removed |
 *
 * A mount point cannot be renamed: an empty one is filled in place, under a mark that makes its footprint `torn` until it is whole.
 */
export async function cloneFrom(place: Place, conf: ConfFiles, upstream: Upstream, signal: AbortSignal, progress: (words: string) => void): Promise<void> {
  await prepareState(place);
  for (const directory of [clonePath(place), place.dataDir]) await endLeftCopies(directory);
  await mendSwap(place);
  const oldLog = await linkedLog(place);
  await clearOutside(place, undefined);
  const footprint = await readFootprint(place, signal);
  if (footprint.state === 'foreign') {
    throw new UnderstudyError(
      'ForeignDatabase',
      `${place.member.name} is not cloned: ${place.dataDir} holds something else (${footprint.found}). Next: empty it by hand where nothing in it is needed.`,
      { footprint },
    );
  }
  if (await isMountPoint(place.dataDir)) {
    if (footprint.state === 'data' || (footprint.state === 'torn' && (await readTorn(place)) !== 'clone')) {
      throw notSwappable(place);
    }
    await markTorn(place, 'clone');
    await ownDirectory(place.dataDir, await place.account());
    const outside = await askOutside(place, upstream, signal);
    await emptyDirectory(place.dataDir);
    await copyInto(place, conf, { directory: place.dataDir, upstream, outside }, signal, progress);
    await unmarkTorn(place);
    await clearOutside(place, oldLog);
    return;
  }
  const fresh = clonePath(place);
  await ownDirectory(fresh, await place.account());
  try {
    const outside = await askOutside(place, upstream, signal);
    await copyInto(place, conf, { directory: fresh, upstream, outside }, signal, progress);
  } catch (error) {
    // A copy that failed must not keep the disk full. One that was called off makes way at once: the next call removes what is left.
    if (!signal.aborted) {
      await rm(fresh, { recursive: true, force: true });
      await clearOutside(place, undefined);
    }
    throw error;
  }
  await rename(fresh, readyPath(place));
  await swap(place);
  await clearOutside(place, oldLog);
}

/** The slot comes first: from then on the upstream keeps what the copy will need to follow. */
async function askOutside(place: Place, upstream: Upstream, signal: AbortSignal): Promise<string[]> {
  try {
    await claimSlotAt(place, upstream, signal);
    return await placeOutside(place, upstream, signal);
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    throw new UnderstudyError(
      'CloneFailed',
      `${place.member.name} could not copy ${upstream.member} (${upstream.host}:${upstream.port}): ${error.message}`,
      error.evidence,
      error,
    );
  }
}

interface Copy {
  readonly directory: string;
  readonly upstream: Upstream;
  readonly outside: readonly string[];
}

/** The two renames and what follows them, by the table above. */
async function swap(place: Place): Promise<void> {
  const parent = path.dirname(place.dataDir);
  await syncDirectory(parent);
  if (await exists(place.dataDir)) await putAside(place);
  await rename(readyPath(place), place.dataDir);
  await syncDirectory(parent);
  // The mark spoke of the data that has just gone.
  await removeFile(place.tornFile);
  await rm(oldPath(place), { recursive: true, force: true });
  await syncDirectory(parent);
}

/** A bind mount of the same file system is told only by the rename. */
async function putAside(place: Place): Promise<void> {
  try {
    await rename(place.dataDir, oldPath(place));
  } catch (error) {
    if (!isErrno(error, 'EBUSY', 'EXDEV')) throw error;
    throw notSwappable(place, error);
  }
}

function notSwappable(place: Place, cause?: unknown): UnderstudyError {
  return new UnderstudyError(
    'CloneFailed',
    `${place.dataDir} is a mount point, which cannot be swapped for a copy beside it. Next: put the data directory one level below the mount point, or empty it by hand.`,
    {},
    cause,
  );
}

async function mendSwap(place: Place): Promise<void> {
  if (!(await exists(place.dataDir)) && (await exists(oldPath(place)))) await rename(oldPath(place), place.dataDir);
  for (const left of [clonePath(place), readyPath(place), oldPath(place)]) await rm(left, { recursive: true, force: true });
}

async function copyInto(
  place: Place,
  conf: ConfFiles,
  { directory, upstream, outside }: Copy,
  signal: AbortSignal,
  progress: (words: string) => void,
): Promise<void> {
  const { replication } = place.options.postgres;
  const password = place.password(replication);
  const source = conninfo([
    ['host', upstream.host],
    ['port', upstream.port],
    ['user', replication.user],
    // Not the member's name: it streams through a slot, so that it reports what it has flushed, and by the member's name it would confirm commits into a
    // copy that may never be finished (I2).
    ['application_name', CLONE_APPLICATION],
    ['connect_timeout', 5],
    ...tlsPairs(place.options.postgres),
  ]);
  progress(`copying ${upstream.member} to ${directory}`);
  const how = ['-X', 'stream', '-c', 'fast', '--no-password', '--progress', '--verbose', '-S', slotName(place.member.name), ...outside];
  const answer = await runTool(place, 'pg_basebackup', ['-d', source, '-D', directory, ...how], {
    signal,
    timeoutMs: CLONE_LIMIT_MS,
    hear: (line) => progress(`copying ${upstream.member}: ${line}`),
    ...(password === undefined ? {} : { env: { PGPASSWORD: password } }),
  });
  if (!answer.ok)
    throw new UnderstudyError('CloneFailed', `${place.member.name} could not copy ${upstream.member} (${upstream.host}:${upstream.port}): ${answer.words}`, {
      upstream,
    });
  const account = await place.account();
  await keepOwnFiles(place, directory);
  await writeWhole(`${directory}/standby.signal`, '', account);
  conf.forget();
  await conf.put({ upstream, rule: NO_RULE, leaseMs: 3000 }, directory);
  conf.forget();
}

/** The files by which a member's operator configures it: a copy brings the other member's, but each member keeps its own. */
const USER_FILES = ['postgresql.conf', 'postgresql.auto.conf', 'pg_hba.conf', 'pg_ident.conf'] as const;

export async function readOwnFiles(dataDir: string): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const name of USER_FILES) {
    const text = await readIfThere(path.join(dataDir, name));
    if (text !== undefined && (text !== '' || name === 'postgresql.auto.conf')) files.set(name, text);
  }
  return files;
}

export async function writeOwnFiles(place: Place, dataDir: string, files: ReadonlyMap<string, string>): Promise<void> {
  const account = await place.account();
  for (const [name, text] of files) await writeWhole(path.join(dataDir, name), text, account);
}

async function keepOwnFiles(place: Place, copy: string): Promise<void> {
  if (copy === place.dataDir || (await readTorn(place)) !== undefined || !(await exists(place.data('PG_VERSION')))) return;
  await writeOwnFiles(place, copy, await readOwnFiles(place.dataDir));
}

async function isMountPoint(directory: string): Promise<boolean> {
  try {
    const [own, parent] = await Promise.all([stat(directory), stat(path.dirname(directory))]);
    return own.dev !== parent.dev;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
