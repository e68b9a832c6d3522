/** Compiles, and rewrites the JSON Schema that editors check understudy.yaml with. */
import path from 'node:path';
import { ROOT, ensureBuilt, ensureDependencies, requireNode, run } from './steps.mjs';

requireNode();
await ensureDependencies('all');
await ensureBuilt({ force: process.argv.includes('--force') });
process.exitCode = await run(process.execPath, [path.join(ROOT, 'scripts', 'write-schema.mjs')]);
