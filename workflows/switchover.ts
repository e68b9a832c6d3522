import { allHandlersFinished, CancellationScope, condition, isCancellation, setHandler, workflowInfo } from '@temporalio/workflow';
import { mayConfirm, ruleAfterPromotion } from '../src/decide/durability.ts';
import { decideReadiness, type Readiness } from '../src/decide/readiness.ts';
import type { SteppedDown } from '../src/model/act.ts';
import type { CommitRule, GroupSpec } from '../src/model/group.ts';
import type { Actor, Cause, Incident, IncidentOutcome } from '../src/model/incident.ts';
import { member } from './acts.ts';
import { askAll, silenceOf } from './ask.ts';
import { showIncident, type Attributes } from './attributes.ts';
import { WaysBack } from './compensation.ts';
import { IncidentLog } from './incident-log.ts';
import * as messages from './messages.ts';
import { openOn } from './open.ts';
import { settleClients } from './settle-clients.ts';
import { tellGroup } from './tell.ts';

export interface SwitchoverInput {
  readonly spec: GroupSpec;
  readonly owner: string;
  readonly epoch: number;
  readonly cause: Cause;
  readonly actor: Actor;
  readonly before: Incident['before'];
  readonly electable: readonly string[];
  readonly excluded: readonly string[];
  readonly to?: string;
  readonly attributes: Attributes;
}

/**
 * One planned swap of roles: check everything first, register the way back, then open the write gap and close it as fast as may be. Its id is
 * `switchover/<group>/<epoch>`; its result is the incident.
 *
 * Until the promotion every failure gives the old primary its role back (I6); from the promotion on the target is the primary.
 */
export async function switchover(input: SwitchoverInput): Promise<Incident> {
  const { spec, cause, actor, before, epoch } = input;
  const log = new IncidentLog({ id: workflowInfo().workflowId, group: spec.name, kind: 'switchover', epoch, cause, actor, before });
  setHandler(messages.incident, () => log.incident, { description: 'The incident as it stands' });
  const show = (): void => showIncident(log.incident, input.attributes);
  log.saw(actor.kind === 'person' ? actor.name : 'policy', cause.words);
  show();

  const back = new WaysBack();
  let outcome: IncidentOutcome;
  try {
    outcome = await swap(input, log, back);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    const words = 'the switchover was cancelled';
    outcome = (await CancellationScope.nonCancellable(() => back.walk(words))) ?? { outcome: 'failed', words };
  }
  log.end(outcome);
  show();
  // A cancellation was heeded above: the report is given all the same.
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  return log.incident;
}

async function swap(input: SwitchoverInput, log: IncidentLog, back: WaysBack): Promise<IncidentOutcome> {
  const { spec, before, epoch } = input;
  // Look, decide: nothing is touched before this is through.
  const readiness = await check(input, log);
  if (!readiness.ready) return { outcome: 'refused', words: readiness.words };
  const { target } = readiness;
  const fit = readiness.verdicts.filter((verdict) => verdict.fit && verdict.member !== target).map((verdict) => verdict.member);
  const rule = ruleAfterPromotion({
    durability: spec.durability,
    elected: target,
    reachable: mayConfirm({ members: spec.members, following: fit, excluded: input.excluded }),
    members: spec.members.map(({ name }) => name),
  });
  await checkpointBoth(input, target, rule, log);

  // Act: the way back is registered before the write that it takes back (I6).
  back.register((words) => {
    log.step('give-back', before.primary)('done', words);
    // The group offers the role again as soon as this incident ends so.
    return { outcome: 'given-back', primary: before.primary, words };
  });
  const stopped = await stepDown(input, log);
  if ('silent' in stopped) return giveBack(back, `${before.primary} was not stopped in order: ${stopped.silent}`);
  if (!stopped.clean || stopped.lsn === undefined) {
    return giveBack(
      back,
      `${before.primary} had to be stopped at once after ${spec.policy.stopWithinMs} ms, so that the end of its log is not known to be on ${target}`,
    );
  }
  const telling = tellGroup(spec.name, messages.elected, { incident: workflowInfo().workflowId, member: target, epoch, inForce: rule, electable: fit }, log);
  const opened = await openOn({ spec, member: target, epoch, proof: 'agent', rule, electable: fit, fromLsn: stopped.lsn, log });
  await telling;
  if ('failed' in opened) {
    if (!opened.openedPerhaps) return giveBack(back, `${target} was not promoted: ${opened.words}`);
    back.forget();
    return {
      outcome: 'failed',
      words: `${target} fell silent in its promotion and may have taken writes: ${opened.words}`,
      perhaps: { member: target, epoch, rule, electable: fit },
    };
  }
  // From here on the target is the primary, whatever fails.
  back.forget();
  log.lost({ kind: 'none', words: `${before.primary} was stopped in order, and ${target} had all of its log` });
  const word = {
    incident: workflowInfo().workflowId,
    member: target,
    epoch,
    timeline: opened.timeline,
    ...(opened.fork === undefined ? {} : { fork: opened.fork }),
    inForce: rule,
    electable: fit,
  };
  await CancellationScope.nonCancellable(() =>
    Promise.all([tellGroup(spec.name, messages.promoted, word, log), settleClients({ spec, owner: input.owner, primary: target, epoch, log })]),
  );
  return { outcome: 'done', primary: target, epoch, timeline: opened.timeline };
}

async function giveBack(back: WaysBack, words: string): Promise<IncidentOutcome> {
  return (await CancellationScope.nonCancellable(() => back.walk(words))) ?? { outcome: 'failed', words };
}

async function check(input: SwitchoverInput, log: IncidentLog): Promise<Readiness> {
  const { spec, before } = input;
  const end = log.step('check');
  const answers = await askAll({ spec, epoch: before.epoch, round: 'check', freeze: 'no', names: spec.members.map(({ name }) => name) });
  const primary = answers.find((answer) => answer.member === before.primary);
  const readiness: Readiness =
    primary !== undefined && 'report' in primary
      ? decideReadiness({
          spec,
          primary: primary.report,
          answers: answers.filter((answer) => answer.member !== before.primary),
          rule: before.rule,
          electable: input.electable,
          excluded: input.excluded,
          hold: { held: false },
          ...(input.to === undefined ? {} : { target: input.to }),
        })
      : {
          ready: false,
          rule: 'primary-not-open',
          words: `the primary ${before.primary} does not answer; where it is dead, use: understudy failover ${spec.name}`,
          verdicts: [],
        };
  for (const { member: name, words } of readiness.verdicts) log.saw(name, words);
  end(readiness.ready ? 'done' : 'failed', readiness.ready ? `${readiness.target} takes over` : readiness.words);
  return readiness;
}

/** A checkpoint before the stop makes the stop short; one that fails only makes it longer. */
async function checkpointBoth({ spec, before }: SwitchoverInput, target: string, rule: CommitRule, log: IncidentLog): Promise<void> {
  const end = log.step('checkpoint');
  const results = await Promise.allSettled(
    [before.primary, target].map((name) =>
      member(spec.name, name, {
        id: `checkpoint/${name}/${before.epoch}`,
        summary: `checkpoint on ${name}, so that the stop is short`,
        startWithinMs: spec.policy.answerWithinMs + spec.leaseMs,
        limitMs: spec.policy.stopWithinMs,
      }).checkpoint({
        group: spec.name,
        member: name,
        epoch: before.epoch,
        ...(name === target ? { rule } : {}),
      }),
    ),
  );
  const failed = results.filter((result) => result.status === 'rejected');
  for (const { reason } of failed) if (isCancellation(reason)) throw reason;
  end(failed.length === 0 ? 'done' : 'failed', failed.length === 0 ? undefined : failed.map(({ reason }) => silenceOf(reason) ?? String(reason)).join('; '));
}

async function stepDown({ spec, before, epoch }: SwitchoverInput, log: IncidentLog): Promise<SteppedDown | { silent: string }> {
  const end = log.step('step-down', before.primary);
  const { stopWithinMs } = spec.policy;
  const act = member(spec.name, before.primary, {
    id: `step-down/${before.primary}/${epoch}`,
    summary: `${before.primary} stops in order`,
    startWithinMs: spec.leaseMs,
    limitMs: stopWithinMs + 10_000,
  });
  try {
    const stopped = await act.stepDown({
      group: spec.name,
      member: before.primary,
      epoch: before.epoch,
      next: epoch,
      limitMs: stopWithinMs,
      why: `a switchover, epoch ${epoch}`,
    });
    end(stopped.clean ? 'done' : 'failed', `stopped ${stopped.clean ? 'in order' : 'at once'} in ${Math.round(stopped.tookMs)} ms`);
    return stopped;
  } catch (error) {
    if (isCancellation(error)) throw error;
    const silent = silenceOf(error);
    if (silent === undefined) throw error;
    end('failed', silent);
    return { silent };
  }
}
