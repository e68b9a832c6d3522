import { log } from '@temporalio/workflow';
import { askAll } from './ask.ts';
import { wake, type GroupRun } from './group-run.ts';

/**
 * Whether somebody was opened at a later epoch than this group knows of: then what it knows is older than the world, since its run was reset, or its Temporal
 * restored from an older copy, and an order by it could open another beside that one (I1).
 */
export async function isOvertaken({ state }: GroupRun, round: string): Promise<boolean> {
  const { spec, epoch } = state;
  const answers = await askAll({ spec, epoch: 0, round, freeze: 'no', names: spec.members.map(({ name }) => name) });
  return answers.some((answer) => 'report' in answer && (answer.report.opened ?? 0) > epoch);
}

/** A member has refused an order for an epoch that this group has never given: asks all of them, and lets go of what it thought where it was overtaken. */
export async function lookWhetherOvertaken(run: GroupRun, seenEpoch: number): Promise<void> {
  const { state } = run;
  if (!(await isOvertaken(run, `overtaken-${seenEpoch}-${state.turn}`))) return;
  log.warn('members were opened at a later epoch than this group knows: it asks them how it stands', { group: state.spec.name, epoch: state.epoch, seenEpoch });
  run.overtaken = true;
  if (state.primary !== null) run.roles.takeBack(state.primary);
  wake(run);
}
