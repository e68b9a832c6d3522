import type { Drill } from './drill.ts';
import { DISKS } from './of-disks.ts';
import { NETWORK } from './of-network.ts';
import { PEOPLE } from './of-people.ts';
import { PROCESSES } from './of-processes.ts';
import { TWO_THINGS } from './of-two-things.ts';

/** Every drill, in the order of the page. */
export const DRILLS: readonly Drill[] = [...PROCESSES, ...NETWORK, ...DISKS, ...TWO_THINGS, ...PEOPLE];
