import { UnderstudyError } from '../../model/error.ts';
import { NO_RULE } from '../../model/group.ts';
import type { Upstream } from '../../model/member.ts';
import { readOwnFiles, writeOwnFiles } from './clone.ts';
import type { ConfFiles } from './conf.ts';
import { prepareState, removeFile, writeWhole } from './file.ts';
import { demandData, readFootprint } from './footprint.ts';
import { readHistory } from './history.ts';
import { removeStalePid } from './launch.ts';
import type { Place } from './place.ts';
import { conninfo, tlsPairs } from './settings.ts';
import { runTool } from './tool.ts';
import { markTorn, unmarkTorn } from './torn.ts';

const REWIND_LIMIT_MS = 6 * 3_600_000;

/** What pg_rewind says where trying again cannot help. */
const IMPOSSIBLE = [
  /could not find previous WAL record/,
  /could not open file ".*pg_wal/,
  /requested WAL segment .* has already been removed/,
  /target server needs to use either data checksums or "?wal_log_hints/,
  /source and target clusters are from different systems/,
  /source and target clusters are not compatible|clusters are not compatible with this version/,
  /could not find common ancestor/,
  /standby mode is not supported by single-user servers/,
  /invalid record length|incorrect resource manager|could not read WAL record/,
];

/** From here on pg_rewind may have changed the target. */
const CHANGING = /need to copy|\/\d+ kB \(\d+%\)|creating backup label|syncing target/;

export type RewindOutcome = { outcome: 'rewound' } | { outcome: 'impossible'; why: string };

/**
 * Winds this stopped member back to the fork, by pg_rewind, which first recovers a crashed one by itself.
 *
 * @throws UnderstudyError `RewindFailed` where trying again may help
 */
export async function rewindTo(
  place: Place,
  conf: ConfFiles,
  upstream: Upstream,
  signal: AbortSignal,
  progress: (words: string) => void,
): Promise<RewindOutcome> {
  await prepareState(place);
  if ((await readFootprint(place, signal)).state === 'torn') return { outcome: 'impossible', why: 'an earlier rewind or clone died half way' };
  const { systemId } = await demandData(place, signal, 'be rewound');
  const history = await askReady(place, upstream, signal);
  if (history.systemId !== systemId) return { outcome: 'impossible', why: `${upstream.member} is another system (${history.systemId}, ours is ${systemId})` };

  await removeStalePid(place);
  const { replication, maintenanceDatabase } = place.options.postgres;
  const password = place.password(replication);
  const source = conninfo([
    ['host', upstream.host],
    ['port', upstream.port],
    ['user', replication.user],
    ['dbname', maintenanceDatabase],
    ['application_name', place.member.name],
    ['connect_timeout', 5],
    ...tlsPairs(place.options.postgres),
  ]);
  const files = await readOwnFiles(place.dataDir);
  let changing = false;
  progress(`winding back to where ${upstream.member} took over`);
  await markTorn(place, 'rewind');
  const answer = await runTool(place, 'pg_rewind', ['-D', place.dataDir, '--source-server', source, '--progress'], {
    signal,
    timeoutMs: REWIND_LIMIT_MS,
    hear: (line) => {
      changing ||= CHANGING.test(line);
      progress(`rewinding: ${line}`);
    },
    ...(password === undefined ? {} : { env: { PGPASSWORD: password } }),
  });
  if (!answer.ok) {
    if (!changing) await unmarkTorn(place);
    const said = `${answer.stderr}\n${answer.stdout}`;
    if (changing || IMPOSSIBLE.some((pattern) => pattern.test(said))) return { outcome: 'impossible', why: answer.words };
    throw new UnderstudyError('RewindFailed', `${place.member.name} could not be wound back to ${upstream.member}: ${answer.words}`, { upstream });
  }
  await writeOwnFiles(place, place.dataDir, files);
  await writeWhole(place.data('standby.signal'), '', await place.account());
  await removeFile(place.data('recovery.signal'));
  conf.forget();
  await conf.put({ upstream, rule: NO_RULE, leaseMs: 3000 });
  await unmarkTorn(place);
  return { outcome: 'rewound' };
}

async function askReady(place: Place, upstream: Upstream, signal: AbortSignal): ReturnType<typeof readHistory> {
  try {
    const history = await readHistory(place, upstream, signal);
    if (history.writable && history.checkpointed) return history;
    throw new UnderstudyError(
      'RewindFailed',
      `${upstream.member} cannot be a rewind's source yet: ${history.writable ? 'its checkpoint after promotion is not done' : 'it is in recovery'}`,
      { history },
    );
  } catch (error) {
    if (!(error instanceof UnderstudyError) || error.code === 'RewindFailed') throw error;
    throw new UnderstudyError('RewindFailed', `${place.member.name} could not be wound back: ${error.message}`, error.evidence, error);
  }
}
