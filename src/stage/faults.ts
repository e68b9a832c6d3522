import { setTimeout as sleep } from 'node:timers/promises';
import { groupWorkflowId } from '../model/name.ts';
import type { SwitchoverAsk } from '../decide/operator.ts';
import type { Started } from '../model/operator.ts';
import { descendantsOf, isAlive, signalIfThere } from './pids.ts';
import type { Stage } from './stage.ts';
import { StageError } from './stage-error.ts';
import { GROUP } from './stage-file.ts';
import { monotonicNs } from './writer-log.ts';

export const FAULTS = {
  S1: { title: 'database process killed', words: 'kill -9 of the postmaster' },
  S2: { title: 'whole node killed', words: 'kill -9 of agent, guard and database' },
  S3: { title: 'whole node frozen', words: 'SIGSTOP of agent, guard and database, SIGCONT later' },
  S4: { title: 'planned switchover', words: 'asked for by an operator' },
} as const;

export type FaultKind = keyof typeof FAULTS;
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];

export interface Injected {
  readonly kind: FaultKind;
  /** Both clocks just before it: the writers note the first, an incident's steps the second. */
  readonly t0Ns: number;
  readonly t0WallMs: number;
  readonly victim: { readonly name: string; readonly port: number };
  /** The postmaster that it fell on. */
  readonly postmaster: number | null;
  /** What has to be done so that the victim can return; it waits until it may be done. */
  heal(signal: AbortSignal): Promise<void>;
}

export interface FaultOptions {
  readonly freezeMs: number;
}

/** Does it to a member that is the primary now. */
export async function inject(
  stage: Stage,
  kind: FaultKind,
  victim: { readonly name: string; readonly port: number },
  { freezeMs }: FaultOptions,
): Promise<Injected> {
  const pids = stage.pidsOf(victim.name);
  const { agent, guard, postmaster } = pids;
  if (agent === null || guard === null || postmaster === null)
    throw new StageError(`${victim.name} is the primary, and not all of it runs: ${JSON.stringify(pids)}`);
  const clocks = () => ({ t0Ns: monotonicNs(), t0WallMs: Date.now() });
  const mark = { kind, victim, postmaster };
  switch (kind) {
    case 'S1': {
      const t0 = clocks();
      signalIfThere(postmaster, 'SIGKILL');
      return { ...mark, ...t0, heal: async () => undefined };
    }
    case 'S2': {
      const all = [agent, guard, ...descendantsOf(guard).map(({ pid }) => pid)];
      const t0 = clocks();
      for (const pid of all) signalIfThere(pid, 'SIGKILL');
      return {
        ...mark,
        ...t0,
        heal: async () => {
          await stage.startPart(victim.name);
        },
      };
    }
    case 'S3': {
      const t0 = clocks();
      const frozen = freeze(agent, guard);
      return {
        ...mark,
        ...t0,
        heal: async (signal) => {
          await sleep(Math.max(0, freezeMs - (Date.now() - t0.t0WallMs)), undefined, { signal });
          for (const pid of frozen) signalIfThere(pid, 'SIGCONT');
        },
      };
    }
    case 'S4': {
      const t0 = clocks();
      const word: SwitchoverAsk = { by: 'the stage', reason: 'to show a planned switchover' };
      await stage.connected.client.workflow.getHandle(groupWorkflowId(GROUP)).executeUpdate<Started, [SwitchoverAsk]>('switchover', { args: [word] });
      return { ...mark, ...t0, heal: async () => undefined };
    }
  }
}

/** Stops every process of a node. What the database forks meanwhile is found by another look, until one finds nothing new. */
export function freeze(agent: number, guard: number): number[] {
  const frozen = new Set<number>();
  for (let found = true; found;) {
    found = false;
    for (const pid of [...descendantsOf(guard).map((entry) => entry.pid), guard, agent]) {
      if (frozen.has(pid) || !isAlive(pid)) continue;
      found = signalIfThere(pid, 'SIGSTOP') || found;
      frozen.add(pid);
    }
  }
  return [...frozen];
}
