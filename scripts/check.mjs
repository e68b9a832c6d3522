/** `npm run check`: types, lint, format, import rules, dead code, licences and known holes, in seconds. Exit code 1 where one of them complains. */
import path from 'node:path';
import { ROOT, ensureDependencies, requireNode, runQuietly, say, tool } from './steps.mjs';

requireNode();
await ensureDependencies('all');

const node = (file, ...args) => [process.execPath, [path.join(ROOT, file), ...args]];
const CHECKS = [
  ['types', process.execPath, [tool('tsc'), '--noEmit', '-p', '.']],
  ['types of tests', process.execPath, [tool('tsc'), '--noEmit', '-p', 'test']],
  ['lint', process.execPath, [tool('oxlint'), '--type-aware', '--deny-warnings', '--format=unix']],
  ['format', process.execPath, [tool('oxfmt'), '--check', '.']],
  ['dead code', process.execPath, [tool('knip')]],
  ['import rules', ...node('node_modules/vitest/vitest.mjs', 'run', '--project', 'quick', 'test/tidy.test.ts', '--reporter=dot')],
  ['licences', ...node('scripts/licences.mjs')],
  ['known holes', ...node('scripts/audit.mjs')],
];
/** Their words are news even when all is well. */
const TALKERS = ['licences', 'known holes'];

const startedMs = Date.now();
let failed = 0;
for (const [name, command, args] of CHECKS) {
  const sinceMs = Date.now();
  const { code, output } = await runQuietly(command, args);
  const took = `${((Date.now() - sinceMs) / 1000).toFixed(1)} s`;
  if (code === 0) say(`ok    ${name}${TALKERS.includes(name) ? `: ${output.trim()}` : ''} (${took})`);
  else {
    failed += 1;
    say(
      `FAIL  ${name} (${took})\n${output
        .trim()
        .split('\n')
        .map((line) => `      ${line}`)
        .join('\n')}`,
    );
    if (name === 'format') say('      Next: npm run format');
  }
}
say(`check: ${failed === 0 ? 'nothing to complain about' : `${failed} of ${CHECKS.length} failed`} (${((Date.now() - startedMs) / 1000).toFixed(1)} s)`);
process.exitCode = failed === 0 ? 0 : 1;
