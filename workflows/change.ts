import { log } from '@temporalio/workflow';
import { planSpecChange } from '../src/decide/spec-change.ts';
import type { ChangeWord } from '../src/model/operator.ts';
import { statusNow, type GroupRun } from './group-run.ts';
import { freshView, leaseToWaitOut } from './group-state.ts';
import { offerStandby, takeUpAgain } from './offers.ts';

/** Another configuration, checked by the validator: nothing is restarted or demoted for it. */
export function changeSpec(run: GroupRun, { spec, specHash, by }: ChangeWord): string {
  const { state } = run;
  if (specHash !== undefined) state.specHash = specHash;
  const plan = planSpecChange(state.spec, spec, statusNow(run));
  for (const { name } of state.spec.members) {
    if (spec.members.some((member) => member.name === name)) continue;
    run.roles.forget(name);
    run.standbyDue.delete(name);
    state.members = Object.fromEntries(Object.entries(state.members).filter(([member]) => member !== name));
  }
  const added = spec.members.filter(({ name }) => !(name in state.members));
  const leaseMs = leaseToWaitOut(state, Date.now());
  if (spec.leaseMs < leaseMs) state.formerLease = { leaseMs };
  state.spec = spec;
  for (const { name } of added) {
    state.members[name] = freshView();
    if (state.primary !== null && state.primary !== name) offerStandby(run, name, state.primary, state.epoch);
  }
  // What stopped the group may be what was put right.
  const anew = plan.some(({ effect }) => effect === 'reassign-roles') || (state.stopped !== undefined && plan.length > 0);
  if (anew) state.stopped = undefined;
  if (anew && state.epoch > 0) takeUpAgain(run);
  if (plan.some(({ effect }) => effect === 'publish')) state.publishing = true;
  log.info('configuration changed', { by, changes: plan.map(({ change }) => change) });
  return plan.length === 0 ? 'nothing to change' : plan.map(({ change, from, to }) => `${change}: ${from} -> ${to}`).join('; ');
}
