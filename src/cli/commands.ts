import type { Register } from './program.ts';
import { register as completion } from './completion.ts';
import { register as doctor } from './doctor.ts';
import { register as validate } from './validate.ts';

/** Every command, in the order of the help. `completion` comes last: it reads those before it. */
export const COMMANDS: readonly Register[] = [validate, doctor, completion];
