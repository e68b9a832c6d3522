import { realpathSync } from 'node:fs';
import net from 'node:net';
import { UnderstudyError } from '../model/error.ts';
import type { Stage } from './stage.ts';
import type { StageLine } from './stage-line.ts';
import { StageError } from './stage-error.ts';
import { layoutOf } from './stage-file.ts';

/** Asked of a running stage through the socket in its directory: one JSON line, answered by one. */
export type StageRequest = { readonly ask: 'status' } | { readonly ask: 'start'; readonly part: string };
export type StageAnswer =
  | { readonly ok: true; readonly stage: StageLine; readonly pid?: number }
  | { readonly ok: false; readonly refused: boolean; readonly why: string };

/** Lets other commands ask this stage: it stays the parent of what they start. */
export async function listenForCommands(stage: Stage): Promise<net.Server> {
  const server = net.createServer((socket) => {
    let text = '';
    socket.setEncoding('utf8');
    // Who asked may be gone before the answer: then nobody needs it.
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (!text.includes('\n')) return;
      const [line = ''] = text.split('\n');
      text = '';
      void answer(stage, line).then((said) => socket.end(`${JSON.stringify(said)}\n`));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(stage.layout.socket, resolve);
  });
  return server;
}

async function answer(stage: Stage, line: string): Promise<StageAnswer> {
  try {
    const request = JSON.parse(line) as StageRequest;
    if (request.ask === 'status') return { ok: true, stage: await stage.describe() };
    const pid = await stage.startPart(request.part);
    return { ok: true, stage: await stage.describe(), pid };
  } catch (error) {
    return { ok: false, refused: error instanceof UnderstudyError, why: error instanceof Error ? error.message : String(error) };
  }
}

const LIMIT_MS = 60_000;

/**
 * Asks the stage of a directory.
 *
 * @throws UnderstudyError `BadInput` where no stage runs there, or it refuses; StageError where it failed
 */
export async function askStage(dir: string, request: StageRequest): Promise<StageAnswer & { ok: true }> {
  const said = await new Promise<StageAnswer>((resolve, reject) => {
    const socket = net.connect(layoutOf(realDir(dir)).socket);
    const down = (why: string): void =>
      reject(new UnderstudyError('BadInput', `no stage runs in ${dir} (${why}). Next: understudy local up --dir ${dir}`, { dir }));
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(LIMIT_MS, () => {
      socket.destroy();
      reject(new StageError(`the stage in ${dir} does not answer within ${LIMIT_MS / 1000} s`));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => down(error.code ?? error.message));
    socket.on('data', (chunk: string) => (text += chunk));
    socket.on('end', () => (text === '' ? down('it ended before it answered') : resolve(JSON.parse(text) as StageAnswer)));
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
  });
  if (said.ok) return said;
  if (said.refused) throw new UnderstudyError('BadInput', said.why);
  throw new StageError(said.why);
}

/** The directory as processes know it. */
function realDir(dir: string): string {
  try {
    return realpathSync(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new UnderstudyError('BadInput', `there is no directory ${dir}. Next: understudy local up --dir ${dir}`, { dir });
    throw error;
  }
}
