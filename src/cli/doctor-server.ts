import { isGrpcServiceError } from '@temporalio/client';
import type { TemporalConfig } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';
import { type Connected, connect, resolveTarget } from '../runtime/connection.ts';
import type { Finding } from './doctor-checks.ts';
import { ROUNDS, type Round, TIMEOUT_MS, measureHeartbeatTimeouts } from './measure.ts';

/** Whether the server answers, what it is, and how late its timers are. */
export async function examineServer(temporal: TemporalConfig, measure: boolean): Promise<Finding[]> {
  const subject = 'Temporal';
  let connected: Connected;
  try {
    connected = await connect({ temporal, purpose: 'cli' });
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    if (error.code === 'ConfigInvalid') return [{ subject, verdict: 'bad', words: error.message }];
    const { address, how } = resolveTarget(temporal);
    if (how.startsWith('the default'))
      return [
        {
          subject,
          verdict: 'note',
          words: `no server is named, and none answers at ${address}`,
          next: '"understudy local up" starts one, or set TEMPORAL_ADDRESS',
        },
      ];
    return [
      {
        subject,
        verdict: 'bad',
        words: `no answer from ${address} (${how})`,
        next: 'start the server, or name another by temporal.address or TEMPORAL_ADDRESS',
      },
    ];
  }
  try {
    const { connection, address, namespace } = connected;
    const { serverVersion } = await connection.workflowService.getSystemInfo({});
    const findings: Finding[] = [{ subject, verdict: 'ok', words: `server ${serverVersion} at ${address}` }];
    try {
      await connection.workflowService.describeNamespace({ namespace });
      findings.push({ subject, verdict: 'ok', words: `namespace ${namespace}` });
    } catch (error) {
      if (!isGrpcServiceError(error)) throw error;
      return [
        ...findings,
        { subject, verdict: 'bad', words: `namespace ${namespace}: ${error.details}`, next: `temporal operator namespace create --namespace ${namespace}` },
      ];
    }
    if (measure) findings.push(...(await measureTimers(connected)));
    return findings;
  } finally {
    await connected.connection.close();
  }
}

/** With the settings of protocol 9 it is 16 ms on a development server, 38 ms on one with PostgreSQL; without them up to a second. */
const PROMPT_MS = 150;
const SKEW_MS = 1000;

async function measureTimers(connected: Connected): Promise<Finding[]> {
  const rounds = await measureHeartbeatTimeouts(connected);
  const lateMs = Math.round(median(rounds, (round) => round.lateMs));
  const worstMs = Math.round(Math.max(...rounds.map((round) => round.lateMs)));
  const skewMs = Math.round(median(rounds, (round) => round.skewMs));
  const words = `a lease of ${TIMEOUT_MS} ms is known to be over ${lateMs} ms after it is (median of ${ROUNDS}, at most ${worstMs} ms): so much longer does a failover take`;
  return [
    lateMs <= PROMPT_MS
      ? { subject: 'timers', verdict: 'ok', words }
      : {
          subject: 'timers',
          verdict: 'note',
          words,
          next: 'on the server set history.timerProcessorMaxTimeShift to 5ms, and history.transferProcessorMaxPollRPS and history.timerProcessorMaxPollRPS to 2000',
        },
    {
      subject: 'clock',
      verdict: Math.abs(skewMs) > SKEW_MS ? 'note' : 'ok',
      words: `the server's is ${Math.abs(skewMs)} ms ${skewMs < 0 ? 'behind' : 'ahead of'} this host's: it matters to the times in reports only`,
    },
  ];
}

function median(rounds: readonly Round[], of: (round: Round) => number): number {
  return rounds.map(of).sort((a, b) => a - b)[Math.floor(rounds.length / 2)] as number;
}
