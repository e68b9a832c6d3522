/** What the other scripts are made of. Plain Node: it runs before anything is installed. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
/** Rooms that are compiled, as tsconfig.json includes them. */
const SOURCES = ['src', 'workflows', 'activities'];
const INSTALLED = path.join(ROOT, 'node_modules', '.understudy-installed');
const BUILT = path.join(ROOT, 'dist', '.built');

/** Progress goes to stderr, so that what a command prints on stdout stays clean. */
export function say(words) {
  process.stderr.write(`${words}\n`);
}

/** Ends this script where somebody runs it on a Node that cannot. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  say(`Understudy needs Node 20.19 or newer; this is ${process.version}. Install a newer one and try again.`);
  process.exit(64);
}

/**
 * Runs a command to its end, in the project's root. SIGINT and SIGTERM are passed on: the child cleans up and ends, then we do.
 *
 * @returns the exit code, 128 + signal where it was killed
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit', ...options });
    const onTerminate = () => child.kill('SIGTERM');
    // A terminal sends SIGINT to the whole foreground group; a `kill -INT` to us alone must reach the child too. Twice does no harm
    // to a child that ends in order on the first and ignores the second until it is done.
    const onInterrupt = () => {
      if (!process.stdin.isTTY) child.kill('SIGINT');
    };
    process.on('SIGTERM', onTerminate);
    process.on('SIGHUP', onTerminate);
    process.on('SIGINT', onInterrupt);
    const stopListening = () => {
      process.off('SIGTERM', onTerminate);
      process.off('SIGHUP', onTerminate);
      process.off('SIGINT', onInterrupt);
    };
    child.once('error', (error) => {
      stopListening();
      reject(error);
    });
    child.once('exit', (code, signal) => {
      stopListening();
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/** Runs a command whose words matter only when it fails. */
export function runQuietly(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined } });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code: code ?? 128 + (constants.signals[signal] ?? 0), output }));
  });
}

/** Path of a tool that a dependency brings. */
export const tool = (name) => path.join(ROOT, 'node_modules', '.bin', name);

const seconds = (sinceMs) => `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(path.join(ROOT, 'package-lock.json')))
    .digest('hex');
}

function installedNow() {
  if (!existsSync(INSTALLED)) return undefined;
  const [hash, kind] = readFileSync(INSTALLED, 'utf8').trim().split(' ');
  return { hash, kind };
}

/**
 * Installs what package-lock.json pins, unless that is there already.
 *
 * @param kind `run`: only what `npm start` needs, which saves a newcomer's first minute; `all`: with the tools of development too
 */
export async function ensureDependencies(kind) {
  const wanted = lockHash();
  const found = installedNow();
  if (found?.hash === wanted && (found.kind === 'all' || kind === 'run')) return;
  // npm notes the lock file that it installed: somebody's own `npm ci` counts too, and it never leaves the development tools out unless told.
  const byHand = path.join(ROOT, 'node_modules', '.package-lock.json');
  if (
    found === undefined &&
    existsSync(byHand) &&
    existsSync(tool('vitest')) &&
    statSync(byHand).mtimeMs >= statSync(path.join(ROOT, 'package-lock.json')).mtimeMs
  ) {
    writeFileSync(INSTALLED, `${wanted} all\n`);
    return;
  }
  say(`setup: installing dependencies (npm ci${kind === 'run' ? ', without the tools of development' : ''}) …`);
  const startedMs = Date.now();
  const flags = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', ...(kind === 'run' ? ['--omit=dev'] : ['--include=dev'])];
  const { code, output } = await runQuietly('npm', flags);
  if (code !== 0) {
    say(output);
    say(`setup: npm ci failed (exit code ${code}). See npm's words above; then run the same command again.`);
    process.exit(1);
  }
  writeFileSync(INSTALLED, `${wanted} ${kind}\n`);
  say(`setup: dependencies installed in ${seconds(startedMs)}`);
}

function* filesBelow(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const full = path.join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(full);
    else if (entry.isFile()) yield full;
  }
}

/** A word for the state of the sources: names, sizes and times, since reading them all would cost more than it tells. */
function sourceStamp() {
  const hash = createHash('sha256');
  const stamp = (file) => {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${path.relative(ROOT, file)} ${size} ${mtimeMs}\n`);
  };
  for (const room of SOURCES) {
    const directory = path.join(ROOT, room);
    if (!existsSync(directory)) continue;
    for (const file of [...filesBelow(directory)].sort()) stamp(file);
  }
  stamp(path.join(ROOT, 'tsconfig.json'));
  stamp(path.join(ROOT, 'package-lock.json'));
  return hash.digest('hex');
}

/** Removes compiled files whose source is gone: nothing may be found by its old name. */
function removeOrphans() {
  for (const room of SOURCES) {
    const directory = path.join(ROOT, 'dist', room);
    if (!existsSync(directory)) continue;
    for (const file of filesBelow(directory)) {
      const source = path.join(ROOT, path.relative(path.join(ROOT, 'dist'), file)).replace(/\.js(\.map)?$/, '.ts');
      if (source.endsWith('.ts') && !existsSync(source)) rmSync(file);
    }
  }
}

/** Compiles the sources to dist/ where they have changed since it was last done. */
export async function ensureBuilt({ force = false } = {}) {
  const stamp = sourceStamp();
  if (!force && existsSync(BUILT) && readFileSync(BUILT, 'utf8') === stamp) return false;
  const startedMs = Date.now();
  const { code, output } = await runQuietly(process.execPath, [tool('tsc'), '-p', '.']);
  if (code !== 0) {
    say(output.trim());
    say(`setup: the sources do not compile (tsc, exit code ${code}).`);
    process.exit(1);
  }
  removeOrphans();
  writeFileSync(BUILT, stamp);
  say(`setup: compiled in ${seconds(startedMs)}`);
  return true;
}
