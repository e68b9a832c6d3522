import { globalsOf } from './output.ts';
import { type Program, example } from './program.ts';

export function register(program: Program): void {
  program
    .command('worker')
    .summary('run a worker: it decides, and publishes records')
    .description(
      'Runs workflows and the acts that need no member, until SIGTERM. Run two or more, on different machines: databases go on without them, decisions do not.',
    )
    .addHelpText('after', example('understudy worker --config /etc/understudy.yaml'))
    .action(async (_, command) => {
      const { runWorker } = await import('../bin/worker.ts');
      await runWorker(globalsOf(command).config);
    });
}
