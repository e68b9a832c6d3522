import { mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The compiled tree: this file lies in `dist/src/runtime`. */
const DIST = fileURLToPath(new URL('../../', import.meta.url));
const BUNDLES = { plain: path.join(DIST, 'workflow-bundle.js'), encrypted: path.join(DIST, 'workflow-bundle.encrypted.js') };

/**
 * The workflows in one file, as Temporal's sandbox wants them, made when it is missing or older than what it is made of: a worker then starts in
 * a third of a second instead of one and a half.
 *
 * @param encrypted make failures of which nothing can be read without the codec's key
 */
export async function workflowBundle(encrypted = false): Promise<{ codePath: string }> {
  const bundle = encrypted ? BUNDLES.encrypted : BUNDLES.plain;
  if (!(await isFresh(bundle))) {
    const { bundleWorkflowCode } = await import('@temporalio/worker');
    const { code } = await bundleWorkflowCode({
      workflowsPath: path.join(DIST, 'workflows', 'index.js'),
      ...(encrypted ? { failureConverterPath: path.join(DIST, 'src', 'runtime', 'failure-converter.js') } : {}),
    });
    await mkdir(DIST, { recursive: true });
    const beside = `${bundle}.${process.pid}`;
    await writeFile(beside, code);
    await rename(beside, bundle);
  }
  return { codePath: bundle };
}

async function isFresh(bundle: string): Promise<boolean> {
  const madeMs = await modifiedMs(bundle);
  if (madeMs === undefined) return false;
  for (const folder of ['workflows', 'src/decide', 'src/model']) {
    for (const file of await readdir(path.join(DIST, folder))) {
      if (file.endsWith('.js') && ((await modifiedMs(path.join(DIST, folder, file))) ?? 0) > madeMs) return false;
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
