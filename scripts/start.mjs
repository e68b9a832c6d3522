/** `npm start`: what a fresh clone needs, then the demo. Arguments after `--` go to it. */
import path from 'node:path';
import { ROOT, ensureBuilt, ensureDependencies, requireNode, run } from './steps.mjs';

requireNode();
await ensureDependencies('run');
await ensureBuilt();
process.exitCode = await run(process.execPath, [path.join(ROOT, 'dist', 'src', 'bin', 'understudy.js'), 'demo', ...process.argv.slice(2)]);
