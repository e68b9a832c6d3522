import { Connection } from '@temporalio/client';
import { ATTRIBUTES } from '../model/attribute.ts';
import { type StageLayout, KEY_NAME, RECORD, ZONE, logFileOf, memberName, GROUP } from './stage-file.ts';
import type { StageNetwork } from './network.ts';
import type { StagePorts } from './ports.ts';
import { type PartOptions, programFile } from './processes.ts';

/** How each part of the stage is started: the same programs, with the same options, as an operator would start them. */

export interface PartsContext {
  readonly layout: StageLayout;
  readonly ports: StagePorts;
  readonly network: StageNetwork;
  readonly env: NodeJS.ProcessEnv;
  readonly temporalPath: string;
}

const LIMIT_MS = 30_000;

/**
 * A lease of a second needs a server that times it well: with these settings the next activity is in another member's hands 16 ms after it was due.
 *
 * @see docs/decisions, and protocol 9
 */
const SERVER_SETTINGS = ['history.timerProcessorMaxTimeShift="5ms"', 'history.transferProcessorMaxPollRPS=2000', 'history.timerProcessorMaxPollRPS=2000'];

export function temporalPart(context: PartsContext): PartOptions {
  const { layout, ports, network, temporalPath } = context;
  const host = network.hostOf('temporal');
  return {
    ...common('temporal', context),
    command: temporalPath,
    args: [
      'server',
      'start-dev',
      '--ip',
      network.temporalListensOn,
      '--ui-ip',
      network.temporalListensOn,
      '--port',
      String(ports.temporal),
      '--ui-port',
      String(ports.ui),
      '--http-port',
      String(ports.temporalHttp),
      '--metrics-port',
      String(ports.temporalMetrics),
      '--log-level',
      'error',
      // A file, so that the server may be killed and started again with all that it knew.
      '--db-filename',
      layout.temporalDatabase,
      '--sqlite-pragma',
      'journal_mode=wal',
      '--sqlite-pragma',
      'synchronous=normal',
      ...SERVER_SETTINGS.flatMap((setting) => ['--dynamic-config-value', setting]),
      ...Object.values(ATTRIBUTES).flatMap(({ name, type }) => ['--search-attribute', `${name}=${type}`]),
    ],
    ready: async (signal) => untilTemporalAnswers(`${host}:${ports.temporal}`, signal),
  };
}

export function dnsPart(context: PartsContext): PartOptions {
  const { layout, ports, network } = context;
  return {
    ...common('dns', context),
    command: process.execPath,
    args: [
      programFile('dns'),
      '--listen',
      `${network.hostOf('dns')}:${ports.dns}`,
      '--zone',
      ZONE,
      '--key',
      `${KEY_NAME}:hmac-sha256`,
      '--secret-file',
      layout.secret,
      '--state-file',
      layout.dnsState,
      ...ports.members.map((_, index) => memberName(index)).flatMap((name) => ['--record', `${name}.${ZONE} 60 A ${network.hostOf(name)}`]),
    ],
    ready: 'line',
  };
}

export function workerPart(context: PartsContext): PartOptions {
  return { ...common('worker', context), command: process.execPath, args: [programFile('worker'), '--config', context.layout.config], ready: 'line' };
}

export function agentPart(context: PartsContext, member: string): PartOptions {
  return {
    ...common(member, context),
    command: process.execPath,
    args: [programFile('agent'), '--config', context.layout.config, '--group', GROUP, '--member', member],
    ready: 'line',
  };
}

/** @param at the part that it runs beside */
export function besidePart(context: PartsContext, name: string, program: string, args: readonly string[], at: string): PartOptions {
  return { ...common(name, context, at), command: process.execPath, args: [programFile(program), ...args], ready: 'line' };
}

const common = (name: string, { layout, env, network }: PartsContext, at: string = name) => ({
  name,
  enter: network.enter(at),
  logFile: logFileOf(layout, name),
  env,
  cwd: layout.dir,
  limitMs: LIMIT_MS,
});

async function untilTemporalAnswers(address: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const connection = Connection.lazy({
      address,
      connectTimeout: 500,
      channelArgs: { 'grpc.initial_reconnect_backoff_ms': 50, 'grpc.max_reconnect_backoff_ms': 100 },
    });
    try {
      await connection.ensureConnected();
      // The frontend answers before the namespace is there.
      await connection.workflowService.describeNamespace({ namespace: 'default' });
      return;
    } catch {
      // It is not up yet; the limit, or the end of its process, says when to give up.
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await connection.close();
    }
  }
}

/** The record's name, for those who start a client by hand. */
export const STAGE_RECORD = { name: RECORD, type: 'SRV' } as const;
