import { readFileSync } from 'node:fs';
import type { Pulse, WriteProbe } from '../database/driver.ts';
import type { GuardStatus } from '../guard/messages.ts';
import { bootTimeMs } from '../runtime/clock.ts';
import { type MetricLine, Metrics } from '../runtime/metrics.ts';
import type { AgentState } from './state-file.ts';
import type { Beat } from './task.ts';

/** What is read of a member when somebody asks for its metrics. */
export interface Watched {
  readonly guard: { readonly status: GuardStatus };
  readonly state: { readonly state: AgentState };
  readonly feed: { readonly everFed: boolean };
  fedAgoMs(): number;
}

const BEATS: readonly Beat[] = ['ok', 'cancel-requested', 'paused', 'reset', 'gone', 'unanswered'];
const PROBES: readonly WriteProbe['outcome'][] = ['written', 'unknown', 'slow', 'disk-full', 'read-only', 'in-recovery', 'broken'];
const ACTS = ['done', 'failed'] as const;
const SECOND = ['confirmed', 'unconfirmed'] as const;
/** @see PostgreSQL manual, pg_stat_replication.state */
const STATES = ['startup', 'catchup', 'streaming', 'backup', 'stopping'];
const PROBE_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2];

/** One member's agent and guard in numbers. The guard opens nothing of its own: the agent tells what the guard last told it. */
export class AgentMetrics {
  /** A heartbeat that renews a lease was answered so, or not at all. */
  readonly renewed: (beat: Beat) => void;
  /** A round of the second lease: every electable member confirmed the marker in time, or one did not. */
  readonly secondLease: (outcome: (typeof SECOND)[number]) => void;
  readonly guardLost: () => void;
  readonly acted: (outcome: (typeof ACTS)[number]) => void;
  readonly #metrics: Metrics;
  readonly #probed: (outcome: WriteProbe['outcome']) => void;
  readonly #probeSeconds: (seconds: number) => void;
  #pulse: Pulse | undefined;

  constructor(group: string, member: string, of: Watched) {
    const metrics = new Metrics({ group, member });
    this.#metrics = metrics;
    const status = (): GuardStatus => of.guard.status;
    metrics.gauge('understudy_epoch', [], 'The highest epoch that this member has acted on.', () => of.state.state.highestEpoch);
    metrics.gauge('understudy_role', ['role'], '1 for the role that the agent holds: primary, standby or none.', () => {
      const held = of.state.state.held?.kind ?? 'none';
      return ['primary', 'standby', 'none'].map((role) => ({ labels: { role }, value: Number(role === held) }));
    });
    metrics.gauge('understudy_database_up', [], '1 while the guard has the database running.', () => Number(status().database.state === 'running'));
    metrics.gauge('understudy_fence', ['kind', 'realtime'], 'How a lease that runs out ends the database here: by the kernel, or only by a process.', () => [
      { labels: { kind: status().fence, realtime: String(status().realtime) }, value: 1 },
    ]);
    metrics.gauge(
      'understudy_lease_left_seconds',
      [],
      'Until the guard fences the database, unless the lease is renewed. No line where no lease is held.',
      () => {
        const { lease } = status();
        return lease === null ? undefined : (lease.deadlineMs - bootTimeMs()) / 1000;
      },
    );
    this.renewed = metrics.counter(
      'understudy_lease_renewals_total',
      'answer',
      BEATS,
      "Heartbeats that renew the lease, by Temporal's answer; unanswered ones renew nothing.",
    );
    this.secondLease = metrics.counter(
      'understudy_second_lease_renewals_total',
      'outcome',
      SECOND,
      'Rounds in which the standbys were asked in place of Temporal.',
    );
    this.#probed = metrics.counter('understudy_write_probes_total', 'outcome', PROBES, "A primary's tries to write locally.");
    this.#probeSeconds = metrics.histogram('understudy_write_probe_seconds', PROBE_BOUNDS, 'How long a local write took.');
    metrics.gauge('understudy_followers', ['state'], 'Who receives from this member, by the state of the connection, at the last look.', () =>
      STATES.map((state) => ({ labels: { state }, value: (this.#pulse?.followers ?? []).filter((follower) => follower.state === state).length })),
    );
    metrics.gauge('understudy_fed_ago_seconds', [], 'Since a standby last received anything. No line where it never did.', () =>
      of.feed.everFed ? of.fedAgoMs() / 1000 : undefined,
    );
    metrics.gauge('understudy_resident_bytes', ['process'], 'Memory in use by the agent and by the guard.', () =>
      [
        { labels: { process: 'agent' }, value: process.memoryUsage.rss() },
        { labels: { process: 'guard' }, value: residentBytes(status().guardPid) },
      ].filter(({ value }) => value > 0),
    );
    this.guardLost = metrics.total('understudy_guard_losses_total', 'Guards that were lost, and their databases with them; each was started anew.');
    this.acted = metrics.counter('understudy_acts_total', 'outcome', ACTS, 'What workflows asked of this member besides roles: inspect, promote and so on.');
  }

  /** The last look at the database. */
  saw(pulse: Pulse): void {
    this.#pulse = pulse;
  }

  async timeProbe(ask: () => Promise<WriteProbe>): Promise<WriteProbe> {
    const startedMs = performance.now();
    const probe = await ask();
    this.#probed(probe.outcome);
    if (probe.outcome === 'written') this.#probeSeconds((performance.now() - startedMs) / 1000);
    return probe;
  }

  list(): readonly MetricLine[] {
    return this.#metrics.list();
  }

  text(): string {
    return this.#metrics.text();
  }
}

/** 0 where the process is gone. @see proc(5), /proc/pid/status */
function residentBytes(pid: number): number {
  try {
    return 1024 * Number(/^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0;
    throw error;
  }
}
