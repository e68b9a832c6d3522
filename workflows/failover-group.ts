import { allHandlersFinished, condition, continueAsNew, setHandler, workflowInfo } from '@temporalio/workflow';
import { decideFounding } from '../src/decide/founding.ts';
import type { ControlActs } from '../src/model/act.ts';
import type { GroupSpec } from '../src/model/group.ts';
import { recordOwner } from '../src/model/name.ts';
import type { Answer } from '../src/decide/election.ts';
import { control } from './acts.ts';
import { askAll } from './ask.ts';
import { badInput, wrongInSpec } from './input.ts';
import { GroupKeeper } from './group-keeper.ts';
import { note, statusNow, type GroupRun } from './group-run.ts';
import { beginState, type GroupState } from './group-state.ts';
import { hearElected, hearNews, hearPromoted, hearRefused } from './hear.ts';
import * as messages from './messages.ts';
import { takeUpAgain } from './offers.ts';
import { heedOperators } from './operators.ts';
import { isOvertaken } from './overtaken.ts';
import { incidentsAskedFirst, overtakenAsked } from './patches.ts';

export interface GroupInput {
  readonly spec: GroupSpec;
  /** Tells one configuration from another: the same hash means that nothing has to be changed. */
  readonly specHash?: string;
  /** Whether the search attributes are registered, so that they can be set. */
  readonly attributes?: boolean;
  /** A run ends after so many events, at the next quiet moment. */
  readonly eventsARun?: number;
  /** Handed from one run to the next. */
  readonly state?: GroupState;
}

/** Even where the server does not suggest it, a run ends after so many events. */
const EVENTS_A_RUN = 4000;
/** The server holds back a run that follows one younger than a second (protocol 8). */
const SHORTEST_RUN_MS = 1500;
const FOUNDING_PAUSE_MS = [250, 500, 1000, 2000, 5000];

/**
 * Keeps one writable primary in a group, for years: offers every member its role, hears a role end, decides what follows, and starts the
 * incident. It continues as new at quiet moments, and no member loses its role by that.
 */
export async function failoverGroup(input: GroupInput): Promise<never> {
  const wrong = wrongInSpec(input?.spec);
  if (wrong !== undefined) throw badInput(`failoverGroup wants { spec }, and ${wrong}: start it with \`understudy apply\``);
  const startedAtMs = Date.now();
  const isTime = (): boolean => isTimeForANewRun(startedAtMs, input.eventsARun ?? EVENTS_A_RUN);
  const { namespace } = workflowInfo();
  const state =
    input.state ??
    beginState({ spec: input.spec, specHash: input.specHash ?? '', owner: recordOwner(namespace, input.spec.name), attributes: input.attributes ?? false });
  const keeper = new GroupKeeper(state);
  const { run } = keeper;
  setHandler(messages.status, () => statusNow(run), { description: 'How the group is' });
  setHandler(messages.spec, () => state.spec, { description: 'The configuration that the group goes by' });
  setHandler(messages.news, (word) => hearNews(run, word), { description: "From a member's agent: what has changed there" });
  setHandler(messages.elected, (word) => hearElected(run, word), { description: 'From an incident: whom it is about to promote' });
  setHandler(messages.waiting, (word) => note(run, word.words), { description: 'From an incident: why nobody is promoted yet' });
  setHandler(messages.refused, (word) => hearRefused(run, word), { description: 'From an incident: who was not promoted after all' });
  setHandler(messages.promoted, (word) => hearPromoted(run, word), { description: 'From an incident: who is the primary now' });
  heedOperators(run);

  if (state.epoch > 0) await takeUp(run);
  for (;;) {
    if ((state.epoch === 0 || run.overtaken) && !(await begin(keeper, isTime))) break;
    if ((await keeper.keep(isTime)) === 'time') break;
  }
  await condition(allHandlersFinished);
  return continueAsNew<typeof failoverGroup>({ spec: state.spec, state, ...(input.eventsARun === undefined ? {} : { eventsARun: input.eventsARun }) });
}

/** What the first task of a run has before it, unless somebody has reset the run to it, or no worker brought it to an end. */
const FIRST_TASK_EVENTS = 3;

/** A run that follows another offers every role anew at once, unless it was perhaps reset: then others may have been promoted since. */
async function takeUp(run: GroupRun): Promise<void> {
  if (workflowInfo().historyLength > FIRST_TASK_EVENTS && overtakenAsked() && (await isOvertaken(run, 'take-up'))) run.overtaken = true;
  else takeUpAgain(run);
}

/**
 * Asks every member until it is clear how the group begins: a new database, or one that is taken up as it is (protocol 8).
 *
 * @returns false where that is still not clear, and it is time for a new run to go on asking
 */
async function begin(keeper: GroupKeeper, isTime: () => boolean): Promise<boolean> {
  const { state } = keeper.run;
  let alone = false;
  for (let round = 0; ; round += 1) {
    const answers = await askAll({ spec: state.spec, epoch: 0, round: `begin-${round}`, freeze: 'no', names: state.spec.members.map(({ name }) => name) });
    keeper.run.asked = answers;
    const founding = decideFounding({ spec: state.spec, answers, ...(state.without === undefined ? {} : { without: state.without.without }) });
    let { words } = founding;
    if (founding.begin === 'found' || founding.begin === 'adopt') {
      if (alone || isNew(answers) || !incidentsAskedFirst()) {
        keeper.begin(founding, answers);
        return true;
      }
      // An incident outlives the group's run that began it, and may promote another beside whoever is taken up here (I1).
      const { deciding, lately } = await incidentsOf(state.spec.name, round);
      alone = deciding.length === 0;
      if (alone && !lately) {
        keeper.begin(founding, answers);
        return true;
      }
      // What the members have said before that answer may be older than what such an incident did.
      if (alone) continue;
      words = `${deciding.join(' and ')}, begun by a former run of this group, may still promote a member: the group begins when that is over`;
    }
    keeper.explainWaiting(words, founding.begin === 'refuse');
    // Whom a former incident has just promoted holds a lease that nobody else renews.
    const told = keeper.run.inbox.length;
    const pauseMs = FOUNDING_PAUSE_MS[Math.min(round, FOUNDING_PAUSE_MS.length - 1)] ?? 5000;
    await condition(() => keeper.run.inbox.length > told, pauseMs, { summary: words.slice(0, 180) });
    if (isTime()) return false;
  }
}

/** Nobody has ever held a role here, so that no incident can have been. */
function isNew(answers: readonly Answer[]): boolean {
  return answers.every((answer) => 'report' in answer && answer.report.epoch === 0);
}

function incidentsOf(group: string, round: number): ReturnType<ControlActs['formerIncidents']> {
  const act = control({ id: `former-incidents/${round}`, summary: `which incidents of ${group} may still promote somebody`, limitMs: 5000, attempts: 0 });
  return act.formerIncidents({ group });
}

function isTimeForANewRun(startedAtMs: number, events: number): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return (continueAsNewSuggested || historyLength > events) && Date.now() - startedAtMs > SHORTEST_RUN_MS;
}
