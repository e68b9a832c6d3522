import type { Drill } from './drill.ts';
import { NETWORK } from './of-network.ts';
import { PROCESSES } from './of-processes.ts';

/** Every drill, in the order of the page. */
export const DRILLS: readonly Drill[] = [...PROCESSES, ...NETWORK];
