import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { findOnPath } from '../runtime/tools/on-path.ts';

/** Namespaces of its own for network, mounts and processes: whatever a drill makes in them is nobody else's, and is gone with the last process. */
const UNSHARE = ['--net', '--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--'];
/** Process 1: it collects orphans, and its end is the end of all. */
const REAPER = ['/bin/sh', '-c', '"$@"; exit $?', 'sh'];
const TOOLS: Readonly<Record<string, string>> = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
  ip: 'iproute2',
  tc: 'iproute2',
  'mkfs.ext4': 'e2fsprogs',
  e2fsck: 'e2fsprogs',
};
const PROBE =
  'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add probe && ip rule add from 10.77.1.2 to 10.77.2.2 blackhole && test -e /dev/loop-control';

/** In words, why the drills cannot be played here; undefined where they can. */
export async function whyNotHere(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'the drills make network namespaces and disks, which only root may: run them as root, on a machine for tests';
  const missing = Object.entries(TOOLS).filter(([tool]) => findOnPath(tool, process.env) === undefined);
  if (missing.length > 0) return `the drills need ${missing.map(([tool, from]) => `${tool} (package ${from})`).join(', ')}`;
  const { exitCode, stderr } = await execa('unshare', [...UNSHARE, '/bin/sh', '-c', PROBE], { reject: false, stdin: 'ignore' });
  return exitCode === 0 ? undefined : `this machine does not let the drills have what they need: ${stderr.trim()}`;
}

/**
 * Runs the program once more, in namespaces of its own. It ends in order when its standard input does, which is when we are told to end, or die.
 *
 * @returns its exit code
 */
export async function runInside(script: string, args: readonly string[]): Promise<number> {
  const dir = mkdtempSync(path.join(tmpdir(), 'understudy-drills-'));
  chmodSync(dir, 0o755);
  // A group of its own: Ctrl-C reaches us alone, and we say so in order.
  const child = spawn('unshare', [...UNSHARE, ...REAPER, process.execPath, script, '--inside', dir, ...args], {
    stdio: ['pipe', 'inherit', 'inherit'],
    detached: true,
  });
  let interrupted: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    interrupted ??= signal;
    child.stdin.end();
  };
  child.stdin.on('error', () => undefined);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (status, signal) => resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
  // What is left are the logs of what failed.
  if (interrupted !== undefined || readdirSync(dir).length === 0) rmSync(dir, { recursive: true, force: true });
  return interrupted === undefined ? code : 128 + constants.signals[interrupted];
}
