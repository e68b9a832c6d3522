import { parseArgs } from 'node:util';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { controlActs } from '../../activities/index.ts';
import { CONTROL_QUEUE } from '../model/name.ts';
import { openProvider } from '../providers/index.ts';
import { loadConfig } from '../runtime/config.ts';
import { resolveTarget } from '../runtime/connection.ts';
import { openLog } from '../runtime/log.ts';
import { resolveSecret } from '../runtime/secret.ts';
import { workflowBundle } from '../runtime/workflow-bundle.ts';

/** A worker that is killed costs a decision this long, instead of ten seconds (protocol 9). */
const STICKY_TIMEOUT = '500ms';

/** `node worker.js --config understudy.yaml`: runs workflows and the acts that need no member. Start two or more. */
export async function runWorker(configFile: string): Promise<void> {
  const config = await loadConfig(configFile);
  const log = await openLog({ name: 'worker' });
  Runtime.install({
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => log[LEVELS[level]](meta ?? {}, message)),
    shutdownSignals: ['SIGTERM', 'SIGINT'],
  });
  const { address, namespace, options } = resolveTarget(config.temporal);
  const connection = await NativeConnection.connect({ address, ...(options.tls === undefined ? {} : { tls: options.tls }), ...(typeof options.apiKey === 'string' ? { apiKey: options.apiKey } : {}), ...(options.metadata === undefined ? {} : { metadata: options.metadata }) });
  const providers = new Map(Object.entries(config.providers).map(([name, provider]) => [name, openProvider(name, provider, resolveSecret)]));
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: CONTROL_QUEUE,
    workflowBundle: await workflowBundle(),
    activities: controlActs(providers),
    stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
    shutdownGraceTime: '2s',
  });
  const running = worker.run();
  process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid, address, namespace, queue: CONTROL_QUEUE })}\n`);
  await running;
  await connection.close();
}

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

if (import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({ options: { config: { type: 'string', default: 'understudy.yaml' } } });
  await runWorker(values.config);
}
