import { lstat, readdir, readlink, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Upstream } from '../../model/member.ts';
import { exists, isErrno, ownDirectory } from './file.ts';
import { openAt } from './history.ts';
import type { Place } from './place.ts';

/**
 * The parts of a database that lie outside of its data directory: tablespaces, and a log that pg_wal is a link to. A copy brings its own, beside the old
 * ones, so that the old data is whole until the swap; whatever no data directory links to is removed after it.
 */

/** Every tablespace of a copy lies here, wherever its upstream has it. An operator who wants it on another disk makes this a link, or mounts there. */
export const tablespacesPath = (place: Place): string => `${place.dataDir}.tablespaces`;

/** Names that we give, within the directory that pg_wal was first linked to. */
const OWN_LOG = /^understudy-wal-\d+$/;
/** What PostgreSQL keeps in pg_wal. Nothing else there is touched. */
const LOG_FILES = /^([0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history|archive_status|summaries|xlogtemp\.\d+)$/;

/** What pg_basebackup must be told so that the copy's outside parts have a place of their own. @throws UnderstudyError where the upstream does not answer */
export async function placeOutside(place: Place, upstream: Upstream, signal: AbortSignal): Promise<string[]> {
  const account = await place.account();
  const args: string[] = [];
  for (const { oid, location } of await askTablespaces(place, upstream, signal)) {
    await ownDirectory(tablespacesPath(place), account);
    const fresh = await firstFree((n) => path.join(tablespacesPath(place), `${oid}-${n}`));
    args.push(`--tablespace-mapping=${escape(location)}=${escape(fresh)}`);
  }
  const log = await linkedLog(place);
  if (log !== undefined) args.push(`--waldir=${await firstFree((n) => path.join(baseOf(log), `understudy-wal-${n}`))}`);
  return args;
}

/** Removes what no data directory links to any more: of the copy before, or of one that was not finished. */
export async function clearOutside(place: Place, oldLog: string | undefined): Promise<void> {
  const links = await linksIn(place.data('pg_tblspc'));
  for (const name of await listIfThere(tablespacesPath(place))) {
    const directory = path.join(tablespacesPath(place), name);
    if (/^\d+-\d+$/.test(name) && !links.has(directory)) await rm(directory, { recursive: true, force: true });
  }
  const log = await linkedLog(place);
  for (const base of new Set([log, oldLog].filter((one) => one !== undefined).map(baseOf))) {
    for (const name of await listIfThere(base)) {
      const file = path.join(base, name);
      if (file === log || (!OWN_LOG.test(name) && (!LOG_FILES.test(name) || base === log))) continue;
      await rm(file, { recursive: true, force: true });
    }
  }
}

/** The directory that pg_wal is a link to; undefined where it is a directory itself, or not there. */
export async function linkedLog(place: Place): Promise<string | undefined> {
  try {
    const file = place.data('pg_wal');
    return (await lstat(file)).isSymbolicLink() ? path.resolve(place.dataDir, await readlink(file)) : undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

const baseOf = (log: string): string => (OWN_LOG.test(path.basename(log)) ? path.dirname(log) : log);

/** pg_basebackup's own: an equals sign parts the two directories. */
const escape = (directory: string): string => directory.replaceAll('=', '\\=');

async function askTablespaces(place: Place, upstream: Upstream, signal: AbortSignal): Promise<{ oid: string; location: string }[]> {
  const session = await openAt(place, upstream, signal);
  try {
    return await session.ask<{ oid: string; location: string }>(
      "select oid::text as oid, pg_tablespace_location(oid) as location from pg_tablespace where pg_tablespace_location(oid) like '/%' order by 1",
    );
  } finally {
    await session.close();
  }
}

async function firstFree(name: (n: number) => string): Promise<string> {
  for (let n = 1; ; n += 1) if (!(await exists(name(n)))) return name(n);
}

async function linksIn(directory: string): Promise<Set<string>> {
  const links = new Set<string>();
  for (const name of await listIfThere(directory)) {
    const file = path.join(directory, name);
    if ((await lstat(file)).isSymbolicLink()) links.add(path.resolve(directory, await readlink(file)));
  }
  return links;
}

async function listIfThere(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
