import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { afterAll, describe, expect, inject } from 'vitest';
import { BETWEEN_TASKS, CONTROL_QUEUE, groupWorkflowId } from '../../src/model/name.ts';
import { useStage } from '../support/workflow-stage.ts';
import { SIGNED } from '../support/workflow-world.ts';

const { stage, scene } = useStage();
const found = inject('temporal');
const workers: ChildProcess[] = [];
afterAll(() => workers.forEach((worker) => worker.kill('SIGKILL')));

/** A worker that can be killed, so that it takes no leave of the server: what it was about to do waits for it a while. */
const WORKER = `
  import { NativeConnection, Worker } from '@temporalio/worker';
  const [address, codePath, taskQueue] = process.argv.slice(1);
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({ connection, taskQueue, workflowBundle: { codePath }, stickyQueueScheduleToStartTimeout: '4s' });
  const running = worker.run();
  console.log('ready');
  await running;
`;

async function startKillable(): Promise<ChildProcess> {
  if ('missing' in found) throw new Error(found.missing);
  const worker = spawn(process.execPath, ['--input-type=module', '-e', WORKER, found.address, found.bundle, CONTROL_QUEUE], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  workers.push(worker);
  if (worker.stdout !== null) await once(worker.stdout, 'data');
  return worker;
}

describe('a query that reaches a new worker between events and the task that handles them', () => {
  scene('decides nothing: it is asked again, and the history stays one that can be replayed', {}, async (w) => {
    await w.steady();
    await stage.stopWorker();
    const worker = await startKillable();
    const plain = new Client({ connection: stage.connection }).workflow.getHandle(groupWorkflowId(w.group));
    await w.ask('exclude', { member: 'pg-c' });
    await w.untilStatus('pg-b alone counts', ({ rule }) => rule.names.join() === 'pg-b');
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    await stage.startWorker();
    // The server keeps query and signal for the dead worker a while, each from its own time on: so the query is handed to the new one first.
    const asked = [plain.query('status'), w.status()];
    const answers = Promise.allSettled(asked);
    await pause(300);
    // What is decided from it carries the time in its id.
    await w.handle.signal('include', { ...SIGNED, member: 'pg-c' });
    const [first, again] = await answers;
    expect(first).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining(BETWEEN_TASKS) } });
    expect(again).toMatchObject({ status: 'fulfilled', value: { primary: 'pg-a' } });
    await w.untilStatus('both count', ({ rule }) => rule.names.length === 2);
    const history = await w.history();
    expect(history.events?.filter(({ workflowTaskFailedEventAttributes: failed }) => failed != null)).toEqual([]);
    if (!('missing' in found)) await Worker.runReplayHistory({ workflowBundle: { codePath: found.bundle } }, history, groupWorkflowId(w.group));
  });
});
