import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './dns-servers.ts';
import { program } from './part.ts';
import type { Part } from './part.ts';

const START_MS = 60_000;

/** The emulator of AWS: of PyPI, on the search path or where MOTO_SERVER says. */
export const MOTO: Part = {
  name: 'moto_server',
  package: 'moto[server] of PyPI',
  find: () => process.env['MOTO_SERVER'] ?? program('moto_server', 'moto[server] of PyPI').find(),
};

export interface Moto {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startMoto(path: string): Promise<Moto> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(path, ['-H', '127.0.0.1', '-p', String(port)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-10_000)));
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  const untilMs = performance.now() + START_MS;
  while (!(await answers(url))) {
    if (child.exitCode !== null || performance.now() > untilMs) {
      await stop();
      throw new Error(`moto_server did not come up:\n${log}`);
    }
    await sleep(50);
  }
  return { url, stop };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/moto-api/`, { signal: AbortSignal.timeout(1000) })).ok;
  } catch (error) {
    if (error instanceof TypeError || (error as Error).name === 'TimeoutError') return false;
    throw error;
  }
}
