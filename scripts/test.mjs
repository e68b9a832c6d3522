/**
 * `npm test`: what it needs first, then every test. Arguments after `--` go to vitest. Its last line is
 * `N passed, N failed, N skipped`; a file that could not be run counts as one failed.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ROOT, ensureBuilt, ensureDependencies, requireNode, run, say } from './steps.mjs';

requireNode();
await ensureDependencies('all');
await ensureBuilt();

const directory = mkdtempSync(path.join(tmpdir(), 'understudy-test-'));
const file = path.join(directory, 'results.json');
const vitest = path.join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
const code = await run(process.execPath, [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`, ...process.argv.slice(2)]);

const counts = count(existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined);
rmSync(directory, { recursive: true, force: true });
// Unhandled errors make vitest fail though no test did.
if (code !== 0 && counts.failed === 0) counts.failed = 1;

// Where every part is installed, nothing has a reason to be skipped.
const skipsFail = process.env.CI === 'true' && counts.skipped.length > 0;
if (counts.skipped.length > 0)
  say(`\nskipped${skipsFail ? ', which CI=true counts as a failure' : ''}:\n${counts.skipped.map((name) => `  - ${name}`).join('\n')}`);
process.stdout.write(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped.length} skipped\n`);
process.exitCode = code !== 0 ? code : counts.failed > 0 || skipsFail ? 1 : 0;

function count(results) {
  const counted = { passed: 0, failed: 0, skipped: [] };
  if (results === undefined) return { ...counted, failed: 1 };
  for (const { name, status, message, assertionResults } of results.testResults) {
    let failedHere = 0;
    for (const test of assertionResults) {
      if (test.status === 'passed') counted.passed += 1;
      else if (test.status === 'failed') failedHere += 1;
      else counted.skipped.push(`${path.relative(ROOT, name)}: ${test.fullName.trim()}`);
    }
    // The file itself failed: at its import, or in a hook.
    if (status === 'failed' && (failedHere === 0 || (message ?? '') !== '')) failedHere = Math.max(1, failedHere);
    counted.failed += failedHere;
  }
  return counted;
}
