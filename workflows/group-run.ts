import type { IncidentOutcome } from '../src/model/incident.ts';
import type { Answer } from '../src/decide/election.ts';
import type { RoleEnd } from '../src/decide/loss.ts';
import type { GroupStatus } from '../src/model/status.ts';
import { decidingIncident, statusOf, type GroupState } from './group-state.ts';
import type { ElectedWord } from './messages.ts';
import type { RoleBook } from './roles.ts';
import type { RuleKeeper } from './rule-keeper.ts';

/** One run of a group's workflow: the group's state, and beside it what is not handed to the next run, which follows only at a quiet moment. */
export interface GroupRun {
  readonly state: GroupState;
  readonly roles: RoleBook;
  readonly rules: RuleKeeper;
  /** What has happened and is still to be heeded, in the order in which it came. */
  readonly inbox: (() => void)[];
  /** How often each standby's role has failed since it last followed. */
  readonly standbyFailures: Map<string, number>;
  /** When a standby's role is offered, milliseconds since 1970. */
  readonly standbyDue: Map<string, number>;
  /** Whom the open incident is opening: should its workflow end without a report, that member may have taken writes. */
  elected: ElectedWord | undefined;
  /** How the primary's role ended while an incident was open: what the incident did not need to hear is heard after it. */
  endedMeanwhile: RoleEnd | undefined;
  /** Somebody was opened at a later epoch than this group knows: it begins anew from what the members say. */
  overtaken: boolean;
  /** What the members said when they were last asked how the group begins. */
  asked: readonly Answer[] | undefined;
  /** What the group waits for, in words for its status. */
  waitingWords: string | undefined;
  /** Takes the end of an incident's workflow. */
  readonly incidentEnded: (id: string, outcome: IncidentOutcome) => void;
}

export function statusNow({ state, waitingWords }: GroupRun): GroupStatus {
  return statusOf(state, decidingIncident(state) !== undefined, waitingWords);
}

/** What an operator's word is judged by: a primary whose role is being taken away for a failover is in an incident already. */
export function statusForOperators(run: GroupRun): GroupStatus {
  const status = statusNow(run);
  return run.state.after === undefined ? status : { ...status, phase: 'incident' };
}

/** Something has changed that the loop must look at. */
export function wake(run: GroupRun): void {
  run.inbox.push(() => undefined);
}

/** Words that nobody waits for an answer to: they are shown with the group. */
export function note(run: GroupRun, words: string): void {
  run.waitingWords = words;
  wake(run);
}
