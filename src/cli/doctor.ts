import type { Program } from './program.ts';
import { example } from './program.ts';

export function register(program: Program): void {
  program.command('doctor').summary('show what was found here').addHelpText('after', example('understudy doctor')).action(async () => {});
}
