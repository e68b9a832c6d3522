import { parseArgs } from 'node:util';
import { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, TransportError, Worker, type WorkerOptions } from '@temporalio/worker';
import { controlActs } from '../../activities/index.ts';
import { UnderstudyError } from '../model/error.ts';
import { CONTROL_QUEUE } from '../model/name.ts';
import { openProvider } from '../providers/index.ts';
import { loadConfig } from '../runtime/config.ts';
import { type Target, resolveTarget } from '../runtime/connection.ts';
import { openLog } from '../runtime/log.ts';
import { resolveSecret } from '../runtime/secret.ts';
import { encrypts, workerConverter } from '../runtime/worker-converter.ts';
import { workflowBundle } from '../runtime/workflow-bundle.ts';
import { runDirectly } from './direct.ts';

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
  const target = resolveTarget(config.temporal);
  const { address, namespace } = target;
  const connection = await connectNatively(target);
  const renewing = renewApiKey(connection, target);
  const providers = new Map(Object.entries(config.providers).map(([name, provider]) => [name, openProvider(name, provider, resolveSecret)]));
  const worker = await createWorker(namespace, {
    connection,
    namespace,
    taskQueue: CONTROL_QUEUE,
    workflowBundle: await workflowBundle(encrypts(config.temporal.codec)),
    dataConverter: workerConverter(config.temporal.codec),
    activities: controlActs(providers, new Client({ connection, namespace })),
    stickyQueueScheduleToStartTimeout: STICKY_TIMEOUT,
    shutdownGraceTime: '2s',
  });
  const running = worker.run();
  process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid, address, namespace, queue: CONTROL_QUEUE })}\n`);
  await running;
  clearInterval(renewing);
  await connection.close();
}

const KEY_LOOK_MS = 10_000;

/** A key whose file was replaced is used from then on. Certificates are read at the start alone: the SDK's connection keeps those that it began with. */
function renewApiKey(connection: NativeConnection, { options }: Target): NodeJS.Timeout | undefined {
  const { apiKey } = options;
  if (typeof apiKey !== 'function') return undefined;
  return setInterval(() => void connection.setApiKey(apiKey()), KEY_LOOK_MS).unref();
}

/** The native connection says why it failed, down to the certificate. */
async function connectNatively({ address, options, how }: Target): Promise<NativeConnection> {
  const { tls, apiKey, metadata } = options;
  try {
    return await NativeConnection.connect({
      address,
      ...(tls === undefined ? {} : { tls }),
      ...(apiKey === undefined ? {} : { apiKey: typeof apiKey === 'function' ? apiKey() : apiKey }),
      ...(metadata === undefined ? {} : { metadata }),
    });
  } catch (error) {
    if (!(error instanceof TransportError)) throw error;
    throw new UnderstudyError(
      'TemporalUnreachable',
      `Temporal does not answer at ${address} (${how}): ${error.message}. Next: start it, or name another by temporal.address or TEMPORAL_ADDRESS; "understudy doctor" shows what was found.`,
      { address },
      error,
    );
  }
}

async function createWorker(namespace: string, options: WorkerOptions): Promise<Worker> {
  try {
    return await Worker.create(options);
  } catch (error) {
    // The SDK raises one class for whatever the server says about the namespace.
    if (!(error instanceof Error) || !NO_NAMESPACE.test(error.message)) throw error;
    throw new UnderstudyError(
      'ConfigInvalid',
      `Temporal has no namespace ${namespace}. Next: name another by temporal.namespace or TEMPORAL_NAMESPACE, or create it.`,
      { namespace },
      error,
    );
  }
}

const NO_NAMESPACE = /namespace .*(not found|NotFound)|NotFound/i;

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

if (import.meta.filename === process.argv[1]) {
  const { values } = parseArgs({ options: { config: { type: 'string', default: 'understudy.yaml' } } });
  await runDirectly(() => runWorker(values.config));
}
