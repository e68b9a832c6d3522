import { Connection } from '@temporalio/client';
import { ATTRIBUTES } from '../model/attribute.ts';
import { type StageLayout, KEY_NAME, RECORD, ZONE, logFileOf, memberName, GROUP } from './stage-file.ts';
import { HOST, type StagePorts } from './ports.ts';
import { type PartOptions, programFile } from './processes.ts';

/** How each part of the stage is started: the same programs, with the same options, as an operator would start them. */

export interface PartsContext {
  readonly layout: StageLayout;
  readonly ports: StagePorts;
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

export function temporalPart({ layout, ports, env, temporalPath }: PartsContext): PartOptions {
  return {
    ...common('temporal', layout, env),
    command: temporalPath,
    args: [
      'server',
      'start-dev',
      '--ip',
      HOST,
      '--ui-ip',
      HOST,
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
    ready: async (signal) => untilTemporalAnswers(ports.temporal, signal),
  };
}

export function dnsPart({ layout, ports, env }: PartsContext): PartOptions {
  return {
    ...common('dns', layout, env),
    command: process.execPath,
    args: [
      programFile('dns'),
      '--listen',
      `${HOST}:${ports.dns}`,
      '--zone',
      ZONE,
      '--key',
      `${KEY_NAME}:hmac-sha256`,
      '--secret-file',
      layout.secret,
      '--state-file',
      layout.dnsState,
      ...ports.members.flatMap((_, index) => ['--record', `${memberName(index)}.${ZONE} 60 A ${HOST}`]),
    ],
    ready: 'line',
  };
}

export function workerPart({ layout, env }: PartsContext): PartOptions {
  return { ...common('worker', layout, env), command: process.execPath, args: [programFile('worker'), '--config', layout.config], ready: 'line' };
}

export function agentPart({ layout, env }: PartsContext, member: string): PartOptions {
  return {
    ...common(member, layout, env),
    command: process.execPath,
    args: [programFile('agent'), '--config', layout.config, '--group', GROUP, '--member', member],
    ready: 'line',
  };
}

export function besidePart({ layout, env }: PartsContext, name: string, program: string, args: readonly string[]): PartOptions {
  return { ...common(name, layout, env), command: process.execPath, args: [programFile(program), ...args], ready: 'line' };
}

const common = (name: string, layout: StageLayout, env: NodeJS.ProcessEnv) => ({
  name,
  logFile: logFileOf(layout, name),
  env,
  cwd: layout.dir,
  limitMs: LIMIT_MS,
});

async function untilTemporalAnswers(port: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const connection = Connection.lazy({
      address: `${HOST}:${port}`,
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
