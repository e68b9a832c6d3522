import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { UnderstudyError } from '../../model/error.ts';
import { NO_RULE } from '../../model/group.ts';
import type { ConfFiles } from './conf.ts';
import { ownDirectory, prepareState, writeWhole } from './file.ts';
import { readFootprint } from './footprint.ts';
import type { Account, Place } from './place.ts';
import { runTool } from './tool.ts';
import { markTorn, readTorn, unmarkTorn } from './torn.ts';

const INITDB_LIMIT_MS = 120_000;

/**
 * A promotion copies the segment that it ends in and waits for the disk: with the usual 16 MB that was most of its time (70 to 100 ms of
 * about 110 measured).
 */
const WAL_SEGMENT_MB = 4;

/**
 * Makes a new database. The mark says that we began in an empty directory, so what a crash left half made is thrown away and
 * begun again; a database that is there already is left as it is.
 *
 * @throws UnderstudyError `ForeignDatabase` where something else is there
 */
export async function foundDatabase(place: Place, conf: ConfFiles, signal: AbortSignal): Promise<void> {
  const footprint = await readFootprint(place, signal);
  if (footprint.state === 'data') return;
  if (footprint.state !== 'empty') {
    throw new UnderstudyError(
      'ForeignDatabase',
      `no database is made in ${place.dataDir}: it is ${footprint.state}${footprint.state === 'foreign' ? ` (${footprint.found})` : ''}. Next: empty it by hand where nothing in it is needed.`,
      { footprint },
    );
  }
  const account = await place.account();
  await prepareState(place);
  if ((await readTorn(place)) === 'found') await emptyDirectory(place.dataDir);
  await markTorn(place, 'found');
  await ownDirectory(place.dataDir, account);
  const { superuser, auth } = place.options.postgres;
  const args = [
    '-D',
    place.dataDir,
    '-U',
    superuser.user,
    '-k',
    `--wal-segsize=${WAL_SEGMENT_MB}`,
    '-E',
    'UTF8',
    '--locale=C',
    `--auth-host=${auth}`,
    '--auth-local=peer',
  ];
  const answer = await runTool(place, 'initdb', args, { signal, timeoutMs: INITDB_LIMIT_MS });
  if (!answer.ok) throw new UnderstudyError('DatabaseFailed', `initdb made no database in ${place.dataDir}: ${answer.words}`);
  await writeWhole(place.data('pg_hba.conf'), printHba(place), account);
  await writeWhole(place.data('pg_ident.conf'), printIdent(place, account), account);
  conf.forget();
  await conf.put({ upstream: undefined, rule: NO_RULE, leaseMs: 3000 });
  await unmarkTorn(place);
}

/** Who may come in: our own account through the socket, everybody else as `auth` says. */
function printHba(place: Place): string {
  const { superuser, replication, auth } = place.options.postgres;
  const rows: string[][] = [
    ['local', 'all', quoteName(superuser.user), '', 'peer map=understudy'],
    ['local', 'all', 'all', '', auth],
  ];
  for (const address of ['127.0.0.1/32', '::1/128', 'all']) {
    rows.push(['host', 'all', 'all', address, auth], ['host', 'replication', quoteName(replication.user), address, auth]);
  }
  return `# Made by Understudy with the database; yours from here on.\n${rows.map((row) => row.filter((word) => word !== '').join('\t')).join('\n')}\n`;
}

function printIdent(place: Place, account: Account): string {
  const { user } = place.options.postgres.superuser;
  const names = [...new Set([account.name, 'root'])];
  return `# Made by Understudy with the database; yours from here on.\n${names.map((name) => `understudy\t${quoteName(name)}\t${quoteName(user)}`).join('\n')}\n`;
}

const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Removes what is in a directory, not the directory: it may be a mount point. */
export async function emptyDirectory(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await rm(path.join(directory, name), { recursive: true, force: true });
}
