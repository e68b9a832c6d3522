import type { WorkflowRun as Shape } from './workflow-types.ts';

/** The run whose code runs now: what the stand-in for Temporal's workflow package asks. */
let active: Shape | undefined;

export function activeRun(): Shape {
  if (active === undefined) throw new Error('no workflow runs');
  return active;
}

export function activate(run: Shape, act: () => void): void {
  const before = active;
  active = run;
  try {
    act();
  } finally {
    active = before;
  }
}
