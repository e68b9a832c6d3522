/**
 * Outlives the stage to end what it leaves behind: guards are detached from their agents, and so from us, on purpose. Its standard input is a
 * pipe from the stage: it closes when the stage has ended, whatever ended it, `kill -9` too.
 *
 *     node watchdog.js <stage id> <directory> [remove]
 */
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { killRemains } from './pids.ts';

const LIMIT_MS = 10_000;
const PAUSE_MS = 50;

const [stageId, dir, remove] = process.argv.slice(2);
if (stageId === undefined || dir === undefined) {
  process.stderr.write('watchdog: a stage id and its directory are needed\n');
  process.exit(64);
}

let said = '';
process.stdin.setEncoding('utf8').on('data', (text) => (said += text));
await new Promise((resolve) => process.stdin.once('close', resolve));
// Twice in a row nobody: a process that was just being started had time to show its mark.
for (let quiet = 0, endMs = Date.now() + LIMIT_MS; quiet < 2 && Date.now() < endMs;) {
  quiet = killRemains(stageId, dir).length === 0 ? quiet + 1 : 0;
  await sleep(PAUSE_MS);
}
// What went wrong can be read there afterwards, where the stage asks for it.
if (remove === 'remove' && !said.includes('keep')) rmSync(dir, { recursive: true, force: true });
