import { exitCodeOf, explainError } from '../cli/exit.ts';

/** A process that is started directly ends like the command line does: what, why and the next step, and never a raw stack. */
export async function runDirectly(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${explainError(error, process.env['UNDERSTUDY_DEBUG'] === '1')}\n`);
    process.exit(exitCodeOf(error));
  }
}
