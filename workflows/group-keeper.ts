import { condition, log } from '@temporalio/workflow';
import type { Answer } from '../src/decide/election.ts';
import type { Founding } from '../src/decide/founding.ts';
import { NO_RULE } from '../src/model/group.ts';
import { showGroup, type ShownGroup } from './attributes.ts';
import { heedClock, nextDueMs } from './due.ts';
import { heedEnd } from './ends.ts';
import { statusNow, wake, type GroupRun } from './group-run.ts';
import { openIncident, primaryOpen, type GroupState } from './group-state.ts';
import { offerPrimary, offerStandbys } from './offers.ts';
import { heedOutcome } from './outcomes.ts';
import { publishAll } from './publish.ts';
import { heedRoll } from './roll.ts';
import { RoleBook } from './roles.ts';
import { RuleKeeper } from './rule-keeper.ts';

/** One group's mind within one run: hears what happens, asks the pure decisions what follows, and orders it. */
export class GroupKeeper {
  readonly run: GroupRun;
  #shown = '';
  #shownAttributes: ShownGroup | undefined;
  #publishing = false;

  constructor(state: GroupState) {
    const inbox: GroupRun['inbox'] = [];
    this.run = {
      state,
      inbox,
      roles: new RoleBook((ended) => inbox.push(() => heedEnd(this.run, ended))),
      rules: new RuleKeeper(state, () => inbox.push(() => undefined)),
      standbyFailures: new Map(),
      standbyDue: new Map(),
      elected: undefined,
      endedMeanwhile: undefined,
      asked: undefined,
      overtaken: false,
      waitingWords: undefined,
      incidentEnded: (id, outcome) => inbox.push(() => heedOutcome(this.run, id, outcome)),
    };
  }

  begin(founding: Extract<Founding, { begin: 'found' | 'adopt' }>, answers: readonly Answer[]): void {
    const { state } = this.run;
    const { without } = state;
    const highest = Math.max(0, ...answers.map((answer) => ('report' in answer ? answer.report.epoch : 0)));
    state.stopped = undefined;
    state.without = undefined;
    this.run.waitingWords = undefined;
    state.epoch = founding.epoch;
    state.highestEpoch = Math.max(highest, founding.epoch);
    state.primary = founding.primary;
    state.recorded = NO_RULE;
    state.inForce = undefined;
    state.electable = [];
    state.acknowledged = undefined;
    state.fork = undefined;
    state.held = undefined;
    state.lastLoss = undefined;
    state.perhaps = undefined;
    state.after = undefined;
    state.due = {};
    this.run.overtaken = false;
    state.publishing = true;
    state.founding = founding.begin === 'found';
    log.info('group begins', {
      group: state.spec.name,
      begin: founding.begin,
      primary: founding.primary,
      epoch: founding.epoch,
      words: founding.words,
      ...(without === undefined ? {} : { without }),
    });
    // Beside a primary that runs already, its lease decides when the role counts as lost: at least L, and then the quarantine (protocol 2).
    offerPrimary(this.run, { patient: founding.begin === 'found' });
    offerStandbys(this.run);
  }

  explainWaiting(words: string, refused: boolean): void {
    this.run.state.stopped = refused ? words : undefined;
    this.run.waitingWords = words;
    this.#show();
  }

  /**
   * The life of a run: one thing after another, and nothing at all while nothing happens.
   *
   * @returns why it is over: time for a new run, or nothing that this group thought holds any more
   */
  async keep(isTimeForANewRun: () => boolean): Promise<'time' | 'overtaken'> {
    const { state } = this.run;
    for (;;) {
      for (let act = this.run.inbox.shift(); act !== undefined; act = this.run.inbox.shift()) act();
      if (this.run.overtaken) return 'overtaken';
      heedClock(this.run);
      heedRoll(this.run);
      this.run.rules.kick();
      this.#publish();
      this.#show();
      if (isTimeForANewRun() && this.#isQuiet()) return 'time';
      const dueMs = nextDueMs(this.run);
      const somethingIsUp = (): boolean => this.run.inbox.length > 0 || (isTimeForANewRun() && this.#isQuiet());
      if (dueMs === undefined) await condition(somethingIsUp);
      else await condition(somethingIsUp, Math.max(1, dueMs - Date.now()), { summary: `next check of ${state.spec.name}` });
    }
  }

  #isQuiet(): boolean {
    const { state } = this.run;
    // A group in trouble has a long life, too: where it waits for a person, for a time or for the next try, its state says so.
    const waits = primaryOpen(state) || state.held !== undefined || state.due.retry !== undefined || state.stopped !== undefined;
    return (
      waits &&
      !state.incidents.some(({ endedAtMs }) => endedAtMs === undefined) &&
      !this.run.rules.busy &&
      state.roll?.now?.act !== 'restart' &&
      state.after === undefined &&
      this.run.inbox.length === 0
    );
  }

  #publish(): void {
    const { state } = this.run;
    if (!state.publishing || this.#publishing || !primaryOpen(state) || openIncident(state) !== undefined || state.primary === null) return;
    this.#publishing = true;
    const { epoch, primary } = state;
    const overtaken = (): boolean => state.epoch !== epoch;
    void publishAll({ spec: state.spec, owner: state.owner, primary, epoch, idPrefix: `group/${state.turn}`, seen: () => undefined, overtaken }).then(() => {
      this.#publishing = false;
      if (!overtaken()) state.publishing = false;
      wake(this.run);
    });
  }

  #show(): void {
    const status = statusNow(this.run);
    const text = JSON.stringify(status);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#shownAttributes = showGroup(status, this.run.state.attributes, this.#shownAttributes);
  }
}
