import type { Violation } from './checks.ts';
import { takeOverGlobals } from './globals.ts';
import type { Schedule } from './schedule.ts';
import { World } from './world.ts';

export interface Played {
  readonly violation: Violation | undefined;
  readonly story: readonly string[];
  readonly events: number;
  readonly simulatedMs: number;
  readonly acknowledged: number;
  readonly healedInMs: number | undefined;
  readonly epoch: number;
  /** Why it ended without being whole: what only a person can put right. */
  readonly waitsFor: string | undefined;
}

let current: World | undefined;

/** To be called once, before anything is played: the clocks and timers become the world's. */
export function prepare(): void {
  takeOverGlobals();
  // A rejection that nobody handles ends a real process.
  process.on('unhandledRejection', (error) => {
    current?.engine.onCrash(current.engine.current, error);
  });
}

/** Plays one schedule to its end or to the first thing that must not be. */
export function play(schedule: Schedule, tell = false): Played {
  // Nobody reads where the thousands of refused calls came from.
  Error.stackTraceLimit = tell ? 10 : 0;
  const world = new World(schedule, tell);
  current = world;
  world.play();
  const [violation] = world.checks.violations;
  return {
    violation,
    story: world.story ?? [],
    events: world.engine.events,
    simulatedMs: world.engine.nowMs,
    acknowledged: world.checks.acknowledgements.length,
    healedInMs: world.healedInMs,
    epoch: world.status?.epoch ?? 0,
    waitsFor: world.waitsFor,
  };
}
