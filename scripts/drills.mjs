/** `npm run drills`: real faults on real parts, in a network that can be cut; as root. Arguments after `--` go to it. */
import path from 'node:path';
import { ROOT, ensureBuilt, ensureDependencies, requireNode, run } from './steps.mjs';

requireNode();
await ensureDependencies('run');
await ensureBuilt();
const docs = process.argv.includes('--docs') ? [] : ['--docs', path.join(ROOT, 'docs', 'drills.md')];
process.exitCode = await run(process.execPath, [path.join(ROOT, 'dist', 'src', 'bin', 'drills.js'), ...process.argv.slice(2), ...docs]);
