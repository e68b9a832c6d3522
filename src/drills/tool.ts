import { execa } from 'execa';

const LIMIT_MS = 30_000;

/** Runs a tool of the system whose words matter only where it fails. @throws Error with them */
export async function runTool(command: string, args: readonly string[], input?: string): Promise<string> {
  const { stdout } = await execa(command, args, { timeout: LIMIT_MS, ...(input === undefined ? { stdin: 'ignore' as const } : { input }) });
  return stdout;
}
