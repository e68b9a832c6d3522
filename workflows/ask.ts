import { ActivityFailure, ApplicationFailure, isCancellation, TimeoutFailure } from '@temporalio/workflow';
import type { Answer } from '../src/decide/election.ts';
import type { InspectAsk } from '../src/model/act.ts';
import type { CommitRule, GroupSpec } from '../src/model/group.ts';
import { member } from './acts.ts';

export interface Question {
  readonly spec: GroupSpec;
  readonly epoch: number;
  /** Distinguishes this round from others of the same run. */
  readonly round: string;
  readonly freeze: InspectAsk['freeze'];
  /** What each of them would open with, if it were chosen. */
  readonly ruleOf?: (member: string) => CommitRule;
  readonly names: readonly string[];
}

/**
 * Asks the named members at once, each within its own limit. Who does not answer is silent, which is a fact about the path to it, not
 * about it (I3).
 */
export function askAll(question: Question): Promise<Answer[]> {
  return Promise.all(question.names.map((name) => askOne(question, name)));
}

async function askOne({ spec, epoch, round, freeze, ruleOf }: Question, name: string): Promise<Answer> {
  const { answerWithinMs } = spec.policy;
  const act = member(spec.name, name, {
    id: `inspect/${name}/${epoch}/${round}`,
    summary: freeze === 'no' ? `how is ${name}?` : `freeze ${name} and say where it stands`,
    startWithinMs: answerWithinMs,
    // A look at a quiet receiver takes up to half the quarantine.
    limitMs: answerWithinMs + spec.leaseMs,
  });
  try {
    return {
      member: name,
      report: await act.inspect({
        group: spec.name,
        member: name,
        epoch,
        freeze,
        quarantineMs: spec.leaseMs,
        ...(ruleOf === undefined ? {} : { rule: ruleOf(name) }),
      }),
    };
  } catch (error) {
    if (isCancellation(error)) throw error;
    const words = silenceOf(error);
    if (words === undefined) throw error;
    return { member: name, silent: words };
  }
}

/** Words for a member's failure to answer; undefined where the error is none of the kind. */
export function silenceOf(error: unknown): string | undefined {
  if (!(error instanceof ActivityFailure)) return undefined;
  const { cause } = error;
  if (cause instanceof TimeoutFailure)
    return cause.timeoutType === 'SCHEDULE_TO_START' ? 'its agent did not take up the question in time' : 'its agent did not answer in time';
  if (cause instanceof ApplicationFailure) return `its agent answered with an error: ${cause.message}`;
  return error.message;
}
