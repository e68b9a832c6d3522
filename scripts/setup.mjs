/** Makes a clone ready: dependencies, then dist/. Says one line for each thing that it does, and nothing where nothing is to do. */
import { ensureBuilt, ensureDependencies, requireNode } from './steps.mjs';

requireNode();
await ensureDependencies(process.argv.includes('--run-only') ? 'run' : 'all');
await ensureBuilt();
