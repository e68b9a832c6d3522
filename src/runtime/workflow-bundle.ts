import { createHash } from 'node:crypto';
import { readdir, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheDirectory, isOurs, openCache } from './tools/cache.ts';

/** The compiled tree: this file lies in `dist/src/runtime`. */
const DIST = path.resolve(fileURLToPath(new URL('../../', import.meta.url)));

/**
 * The workflows in one file, as Temporal's sandbox wants them, made when it is missing or older than what it is made of: a worker then starts in
 * a third of a second instead of one and a half. It lies beside the compiled tree or, where this account may not write there, in its cache.
 *
 * @param encrypted make failures of which nothing can be read without the codec's key
 */
export async function workflowBundle(encrypted = false): Promise<{ codePath: string }> {
  const name = encrypted ? 'workflow-bundle.encrypted' : 'workflow-bundle';
  const besideTree = path.join(DIST, `${name}.js`);
  const cached = path.join(cacheDirectory(), `${name}-${createHash('sha256').update(DIST).digest('hex').slice(0, 12)}.js`);
  for (const codePath of [besideTree, cached]) if (await isFresh(codePath)) return { codePath };
  const { DefaultLogger, bundleWorkflowCode } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(DIST, 'workflows', 'index.js'),
    workflowInterceptorModules: [path.join(DIST, 'workflows', 'whole-tasks.js')],
    ...(encrypted ? { failureConverterPath: path.join(DIST, 'src', 'runtime', 'failure-converter.js') } : {}),
    // At each step it would say how it fares.
    logger: new DefaultLogger('WARN'),
  });
  try {
    await put(besideTree, code);
    return { codePath: besideTree };
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
  openCache(path.dirname(cached));
  await put(cached, code);
  return { codePath: cached };
}

/** Whole or not at all: another worker may begin at the same time. */
async function put(file: string, code: string): Promise<void> {
  const beside = `${file}.${process.pid}`;
  await writeFile(beside, code);
  await rename(beside, file);
}

async function isFresh(file: string): Promise<boolean> {
  const madeMs = await modifiedMs(file);
  if (madeMs === undefined || (path.dirname(file) !== DIST && !isOurs(path.dirname(file)))) return false;
  for (const folder of ['workflows', 'src/decide', 'src/model']) {
    for (const source of await readdir(path.join(DIST, folder))) {
      if (source.endsWith('.js') && ((await modifiedMs(path.join(DIST, folder, source))) ?? 0) > madeMs) return false;
    }
  }
  return true;
}

async function modifiedMs(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
