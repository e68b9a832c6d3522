import { setTimeout as sleep } from 'node:timers/promises';
import { groupWorkflowId } from '../model/name.ts';
import { type Machine, machineWords, startStage } from './bench.ts';
import { type Usage, usageOf } from './pids.ts';
import type { Stage } from './stage.ts';
import { StageError } from './stage-error.ts';
import { GROUP } from './stage-file.ts';

export interface FootprintOptions {
  readonly leaseMs: number;
  readonly idleMs: number;
  readonly signal: AbortSignal;
  readonly tell: (words: string) => void;
}

export interface PartFootprint {
  readonly member: string;
  readonly part: 'agent' | 'guard';
  readonly pssMb: number;
  readonly rssMb: number;
  /** Of one core, over the idle time. */
  readonly cpuPercent: number;
}

export interface Footprint {
  readonly machine: Machine;
  readonly leaseMs: number;
  readonly idleMs: number;
  readonly parts: readonly PartFootprint[];
  /** Agent and guard of one member together, the largest of the members. */
  readonly together: { readonly pssMb: number; readonly rssMb: number; readonly cpuPercent: number };
  /** Events of the group's history before and after. */
  readonly history: { readonly before: number; readonly after: number };
}

/** The history's first events come while the group starts: after so long without a new one it is idle. */
const QUIET_MS = 5_000;
const QUIET_LIMIT_MS = 60_000;

/** What agent and guard use, and what the history grows, while nothing happens. */
export async function measureFootprint(options: FootprintOptions): Promise<Footprint> {
  const stage = await startStage(options, 'sync', options.leaseMs);
  try {
    await untilQuiet(stage, options.signal);
    const before = await historyLength(stage);
    const first = sample(stage);
    const sinceMs = performance.now();
    options.tell(`idle for ${Math.round(options.idleMs / 1000)} s`);
    await sleep(options.idleMs, undefined, { signal: options.signal });
    const last = sample(stage);
    const seconds = (performance.now() - sinceMs) / 1000;
    const after = await historyLength(stage);
    const parts = [...last].map(([key, { member, part, pid, usage }]): PartFootprint => {
      const earlier = first.get(key);
      if (earlier?.pid !== pid) throw new StageError(`the ${part} of ${member} is another process than before: the group was not idle`);
      return {
        member,
        part,
        pssMb: tenth(usage.pssMb),
        rssMb: tenth(usage.rssMb),
        cpuPercent: Math.round(((usage.cpuSeconds - earlier.usage.cpuSeconds) / seconds) * 10_000) / 100,
      };
    });
    return {
      machine: machineWords(stage.postgresVersion),
      leaseMs: options.leaseMs,
      idleMs: options.idleMs,
      parts,
      together: largest(parts),
      history: { before, after },
    };
  } finally {
    await stage.stop();
  }
}

type Sample = Map<string, { member: string; part: 'agent' | 'guard'; pid: number; usage: Usage }>;

function sample(stage: Stage): Sample {
  const found: Sample = new Map();
  for (const { name } of stage.members) {
    const pids = stage.pidsOf(name);
    for (const part of ['agent', 'guard'] as const) {
      const pid = pids[part];
      if (pid === null) throw new StageError(`${name} has no ${part}`);
      found.set(`${name} ${part}`, { member: name, part, pid, usage: usageOf(pid) });
    }
  }
  return found;
}

function largest(parts: readonly PartFootprint[]): Footprint['together'] {
  const sums = [...new Set(parts.map(({ member }) => member))].map((member) => {
    const own = parts.filter((part) => part.member === member);
    const sum = (of: (part: PartFootprint) => number): number => tenth(own.reduce((total, part) => total + of(part), 0));
    return {
      pssMb: sum((part) => part.pssMb),
      rssMb: sum((part) => part.rssMb),
      cpuPercent: Math.round(own.reduce((total, part) => total + part.cpuPercent, 0) * 100) / 100,
    };
  });
  return {
    pssMb: Math.max(...sums.map((one) => one.pssMb)),
    rssMb: Math.max(...sums.map((one) => one.rssMb)),
    cpuPercent: Math.max(...sums.map((one) => one.cpuPercent)),
  };
}

async function untilQuiet(stage: Stage, signal: AbortSignal): Promise<void> {
  const endMs = performance.now() + QUIET_LIMIT_MS;
  for (let last = -1, sinceMs = performance.now(); performance.now() - sinceMs < QUIET_MS;) {
    if (performance.now() > endMs) throw new StageError(`the group's history still grows after ${QUIET_LIMIT_MS / 1000} s: it has ${last} events`);
    const now = await historyLength(stage);
    if (now !== last) [last, sinceMs] = [now, performance.now()];
    await sleep(250, undefined, { signal });
  }
}

async function historyLength(stage: Stage): Promise<number> {
  const { historyLength: length } = await stage.connected.client.workflow.getHandle(groupWorkflowId(GROUP)).describe();
  return length;
}

const tenth = (value: number): number => Math.round(value * 10) / 10;
