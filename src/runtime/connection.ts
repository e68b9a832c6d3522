import { Client, Connection, type ConnectionOptions } from '@temporalio/client';
import type { LoadedDataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { existsSync } from 'node:fs';
import { askAgain } from './ask-again.ts';
import type { TemporalConfig } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';
import { dataConverterOf } from './codec.ts';
import { freshCredentials, keyReader, readTls, whyNoTls } from './credentials.ts';

export interface ConnectOptions {
  /** From the configuration; what is left out comes from Temporal's environment variables and profiles. */
  readonly temporal?: TemporalConfig;
  /** An agent must come back to a restarted server before its lease ends; the others may wait. */
  readonly purpose: 'agent' | 'cli' | 'worker';
  readonly connectTimeoutMs?: number;
  /** Do not wait for the server: an agent that finds its member under a lease goes on without it. */
  readonly lazily?: boolean;
  /** Hears of certificates that were replaced by ones that do not do; left out: a warning of the process. */
  readonly warn?: (error: Error) => void;
}

export interface Connected {
  readonly connection: Connection;
  readonly client: Client;
  readonly namespace: string;
  readonly address: string;
  /** For what is read and written without the client. */
  readonly converter: LoadedDataConverter;
  /** The workflow's page in Temporal's web interface; undefined where none is known. */
  uiLink(workflowId: string, runId?: string): string | undefined;
}

/** Where a connection goes, and who said so. */
export interface Target {
  readonly address: string;
  readonly namespace: string;
  readonly options: ConnectionOptions;
  /** In words: which of configuration, environment, profile or default named the address. */
  readonly how: string;
}

const DEFAULT_ADDRESS = '127.0.0.1:7233';

/**
 * Resolves the server's address: configuration, then environment, then profile, then a server on this machine.
 *
 * @throws UnderstudyError `ConfigInvalid` where a profile or its file was asked for and is not there: Temporal's own reader
 * would silently go on with localhost
 */
export function resolveTarget(temporal: TemporalConfig = {}, env: Record<string, string | undefined> = process.env): Target {
  const file = env['TEMPORAL_CONFIG_FILE'];
  if (file !== undefined && file !== '' && !existsSync(file)) {
    throw new UnderstudyError('ConfigInvalid', `TEMPORAL_CONFIG_FILE names ${file}, and there is no such file. Next: write it, or unset the variable.`, {
      file,
    });
  }
  const profile = temporal.profile ?? (env['TEMPORAL_PROFILE'] || undefined);
  let loaded: ReturnType<typeof loadClientConnectConfig>;
  try {
    loaded = loadClientConnectConfig({ ...(profile === undefined ? {} : { profile }), overrideEnvVars: withoutUnset(env) });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UnderstudyError(
      'ConfigInvalid',
      `Temporal's profile ${profile ?? 'default'} cannot be used: ${why}. Next: see the profiles by "temporal config list".`,
      { profile: profile ?? 'default' },
      error,
    );
  }
  const { connectionOptions } = loaded;
  const how =
    temporal.address !== undefined
      ? 'named by temporal.address of the configuration'
      : env['TEMPORAL_ADDRESS']
        ? 'named by TEMPORAL_ADDRESS'
        : connectionOptions.address !== undefined
          ? `named by Temporal's profile ${profile ?? 'default'}`
          : 'the default, since neither configuration, environment nor profile names one';
  const address = temporal.address ?? connectionOptions.address ?? DEFAULT_ADDRESS;
  // `exactOptionalPropertyTypes`: what the profile leaves undefined is left out.
  const options = Object.fromEntries(
    Object.entries({ ...connectionOptions, address, ...ownCredentials(temporal, connectionOptions.tls, env) }).filter(([, value]) => value !== undefined),
  ) as ConnectionOptions;
  return { address, namespace: temporal.namespace ?? loaded.namespace ?? 'default', options, how };
}

/** What the configuration says of TLS and API key stands in the place of what the profile says. A key never goes without TLS. */
function ownCredentials({ tls, apiKey }: TemporalConfig, profile: ConnectionOptions['tls'], env: NodeJS.ProcessEnv): Pick<ConnectionOptions, 'tls' | 'apiKey'> {
  return {
    ...(tls === undefined ? {} : { tls: readTls(tls) }),
    ...(apiKey === undefined ? {} : { apiKey: keyReader(apiKey, env), ...(tls === undefined && !profile ? { tls: true } : {}) }),
  };
}

const withoutUnset = (env: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));

/**
 * Connects to Temporal and makes sure that it answers.
 *
 * @throws UnderstudyError `TemporalUnreachable` that says what was tried and what to do next
 */
export async function connect({
  temporal = {},
  purpose,
  connectTimeoutMs = purpose === 'cli' ? 3000 : 10_000,
  lazily = false,
  warn = (error) => process.emitWarning(error),
}: ConnectOptions): Promise<Connected> {
  const target = resolveTarget(temporal);
  const { address, namespace } = target;
  const converter = dataConverterOf(temporal.codec);
  const options = channelOptions(target.options, temporal, warn);
  const { channelArgs, ...agent } = AGENT_CHANNEL;
  const connection = Connection.lazy({
    ...options,
    connectTimeout: connectTimeoutMs,
    ...(purpose === 'agent' ? { ...agent, channelArgs: { ...channelArgs, ...options.channelArgs } } : {}),
  });
  try {
    if (!lazily) await connection.ensureConnected();
  } catch (error) {
    await connection.close();
    const words = wordsOf(error);
    const tlsWords = temporal.tls === undefined ? undefined : await whyNoTls(address, temporal.tls);
    const why = tlsWords === undefined ? words : `${words}; TLS: ${tlsWords}`;
    throw new UnderstudyError(
      'TemporalUnreachable',
      `Temporal does not answer at ${address} within ${connectTimeoutMs} ms (${target.how}): ${why}. ` +
        'Next: start it, or name another by temporal.address, TEMPORAL_ADDRESS or a profile; "understudy doctor" shows what was found; "understudy local up" starts a stage of its own.',
      { address, namespace },
      error,
    );
  }
  return {
    connection,
    client: new Client({ connection, namespace, interceptors: { workflow: [askAgain] }, dataConverter: { payloadCodecs: converter.payloadCodecs } }),
    namespace,
    address,
    converter,
    uiLink: (workflowId, runId) => uiLink(temporal.ui, namespace, workflowId, runId),
  };
}

/** The SDK's sentence, and the server's own below it. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

/** Certificates that the configuration names are read anew for each connection; those of a profile are read once. */
function channelOptions(options: ConnectionOptions, { tls }: TemporalConfig, warn: (error: Error) => void): ConnectionOptions {
  if (tls === undefined) return options;
  const { tls: _, apiKey: key, ...rest } = options;
  return { ...rest, ...freshCredentials(tls, typeof key === 'string' ? () => key : key, warn) };
}

/**
 * Reconnects within a lease (measured: 0.4 s after a restarted server is up, against 2.6 s and more), and no call is tried again
 * behind the agent's back: a heartbeat that was late must be known to be late.
 */
const AGENT_CHANNEL: ConnectionOptions = {
  channelArgs: {
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 15_000,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.min_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 250,
  },
  interceptors: [],
};

/** Ids hold slashes, which must not divide the address. */
export function uiLink(ui: string | undefined, namespace: string, workflowId: string, runId?: string): string | undefined {
  if (ui === undefined) return undefined;
  const page = `${ui.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`;
  return runId === undefined ? page : `${page}/${encodeURIComponent(runId)}/history`;
}
