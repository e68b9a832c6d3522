import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, DefaultLogger, Runtime } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';
import { UnderstudyError } from '../../src/model/error.ts';
import { findTemporal } from '../../src/runtime/tools/temporal.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Whether golden files are to be written anew: `npm run golden`. */
    golden: boolean;
    /** One development server for the whole run, with the settings of protocol 9, and today's workflows in one file. */
    temporal: { readonly address: string; readonly bundle: string } | { readonly missing: string };
  }
}

/** With these a lease that is over is known within milliseconds; the development server's own default is a second. */
const SETTINGS = ['history.timerProcessorMaxTimeShift="5ms"', 'history.transferProcessorMaxPollRPS=2000', 'history.timerProcessorMaxPollRPS=2000'];

/** Runs once before the tests of project `whole`; what it returns runs once after them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const directory = await mkdtemp(path.join(tmpdir(), 'understudy-workflows-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  project.provide('golden', project.config.snapshotOptions.updateSnapshot === 'all');
  let program: string;
  try {
    program = (await findTemporal({ fetch: true })).path;
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    project.provide('temporal', { missing: error.message });
    return remove;
  }
  const bundle = path.join(directory, 'workflows.js');
  const [{ code }, environment] = await Promise.all([
    bundleWorkflowCode({
      workflowsPath: path.resolve(import.meta.dirname, '../../workflows/index.ts'),
      workflowInterceptorModules: [path.resolve(import.meta.dirname, '../../workflows/whole-tasks.ts')],
      logger: new DefaultLogger('ERROR'),
    }),
    TestWorkflowEnvironment.createLocal({
      server: {
        executable: { type: 'existing-path', path: program },
        ip: '127.0.0.1',
        log: { level: 'error', format: 'json' },
        extraArgs: SETTINGS.flatMap((setting) => ['--dynamic-config-value', setting]),
      },
    }),
  ]);
  await writeFile(bundle, code);
  project.provide('temporal', { address: environment.address, bundle });
  return async () => {
    await environment.teardown();
    await remove();
  };
}
