import type { Incident } from '../../src/model/incident.ts';
import type { FoundRecord, OwnedRecord } from '../../src/model/record.ts';
import type { Database } from './database.ts';
import type { Engine } from './engine.ts';
import { place, type Branch, type Commit } from './log.ts';
import type { Checks } from './world-types.ts';

export interface Violation {
  readonly rule: string;
  readonly words: string;
  readonly atMs: number;
}

interface Acknowledged extends Commit {
  readonly branch: Branch;
  readonly by: string;
}

/** What must always hold, looked at whenever something happens that could break it. It knows the databases and the clients' acknowledgements, and no workflow. */
export class Invariants implements Checks {
  readonly #engine: Engine;
  readonly #sync: boolean;
  readonly violations: Violation[] = [];
  readonly acknowledgements: Acknowledged[] = [];
  databases: () => Iterable<Database> = () => [];
  /** A person has done what no rule can undo: said that a loss is accepted, or written behind our backs. */
  lossAccepted = false;
  /** Clocks of a machine stood still, so that no clock inside it could know: what is provable then is what a commit rule forbids. */
  clocksStood = false;
  lastAcknowledgedMs = 0;
  /** When the last failover was through. */
  #promotedAtMs: number | undefined;
  minIntervalMs = 0;

  constructor(engine: Engine, sync: boolean) {
    this.#engine = engine;
    this.#sync = sync;
  }

  broken(rule: string, words: string): void {
    this.violations.push({ rule, words, atMs: this.#engine.nowMs });
  }

  opened(database: Database): void {
    if (!database.byHand) {
      this.#onlyOne(database);
      this.#nothingLost(database);
    }
  }

  /** A process that was stopped goes on where it was. */
  resumed(database: Database): void {
    if (database.open && !database.byHand) this.#onlyOne(database);
  }

  #onlyOne(database: Database): void {
    if (this.clocksStood || !database.open) return;
    for (const other of this.databases()) {
      if (other === database || !other.open || other.byHand || other.branch.byHand) continue;
      this.broken('I1', `${database.name} (timeline ${database.branch.timeline}) takes writes beside ${other.name} (timeline ${other.branch.timeline})`);
    }
  }

  /** Everything that was acknowledged is in the log of whoever takes writes now. */
  #nothingLost(database: Database): void {
    if (!this.#sync || this.lossAccepted || this.#isOvertaken(database)) return;
    const reach = database.branch.reach(database.directory.end);
    const lost = this.acknowledgements.find(({ branch, at, id }) => id >= 0 && !branch.byHand && (reach.get(branch) ?? -1) < at);
    if (lost !== undefined)
      this.broken('I2', `${database.name} opens without write ${lost.id}, which ${lost.by} had acknowledged on timeline ${lost.branch.timeline}`);
  }

  /** Where clocks stood, one that has been overtaken may open for a moment: nobody confirms what it writes, so that it has nothing to lose. */
  #isOvertaken(database: Database): boolean {
    return this.clocksStood && [...this.databases()].some((other) => other !== database && other.open && other.branch.timeline > database.branch.timeline);
  }

  acknowledged(database: Database, branch: Branch, commit: Commit): void {
    this.lastAcknowledgedMs = this.#engine.nowMs;
    if (branch.byHand || database.byHand) return;
    if (commit.id >= 0) this.acknowledgements.push({ ...commit, branch, by: database.name });
    for (const other of this.databases()) {
      if (other === database || !other.open || other.byHand || other.branch.byHand) continue;
      // Where clocks stood, one that has been overtaken may think that it is open; with a commit rule nobody confirms it any more. What was confirmed before
      // that, and is answered only now, the other has too.
      const confirmedBefore = (): boolean => (other.branch.reach(other.directory.end).get(branch) ?? -1) >= commit.at;
      if (!this.clocksStood || (this.#sync && other.branch.timeline > branch.timeline && !confirmedBefore()))
        this.broken(
          'I1',
          `${database.name} (timeline ${branch.timeline}) acknowledges a write while ${other.name} (timeline ${other.branch.timeline}) takes writes`,
        );
    }
  }

  received(database: Database, branch: Branch, end: number): void {
    const own = database.branch;
    if (own === branch || own.byHand || branch.byHand) return;
    const upTo = branch.reach(Number.POSITIVE_INFINITY).get(own);
    if (upTo === undefined || upTo < end)
      this.broken('I4', `${database.name} takes log of timeline ${branch.timeline} on top of a log that is no part of it (timeline ${own.timeline})`);
  }

  recordWritten(before: FoundRecord, after: OwnedRecord): void {
    if (before.state === 'unowned' || (before.state === 'owned' && before.record.owner !== after.owner))
      this.broken('I8', `a record of another owner was overwritten`);
    else if (before.state === 'owned' && before.record.epoch > after.epoch)
      this.broken('I8', `the record of epoch ${before.record.epoch} was overwritten by one of epoch ${after.epoch}`);
  }

  incidentEnded(incident: Incident): void {
    if (incident.outcome.outcome !== 'done') return;
    const { primary } = incident.outcome;
    const election = incident.elections.at(-1)?.input;
    if (election === undefined || incident.actor.kind === 'person') return;
    if (election.excluded.includes(primary)) this.broken('I4', `${primary} was promoted though it is excluded`);
    const places = election.answers.flatMap((answer) => {
      if (!('report' in answer) || answer.report.live === undefined) return [];
      const { detached, live, epoch } = answer.report;
      const fit =
        detached &&
        live.receiver.state === 'none' &&
        live.inRecovery &&
        !live.replayPaused &&
        epoch < election.epoch &&
        election.electable.includes(answer.member);
      const mayWin = election.spec.members.some(({ name, priority }) => name === answer.member && priority > 0);
      return fit && mayWin && !election.excluded.includes(answer.member) && election.refused?.includes(answer.member) !== true
        ? [{ member: answer.member, at: place(live.flushedLsn), timeline: live.timeline }]
        : [];
    });
    const winner = places.find(({ member }) => member === primary);
    const ahead = places.find(({ at, timeline }) => winner !== undefined && timeline === winner.timeline && at > winner.at);
    if (ahead !== undefined) this.broken('I4', `${primary} was promoted though ${ahead.member} is further`);
    const { loss } = incident;
    if (!this.#sync && loss.kind === 'at-most' && loss.bytes > election.spec.policy.maxLagBytes && incident.elections.at(-1)?.input.acceptLoss === undefined)
      this.broken('I2', `${loss.bytes} bytes may be lost by themselves, and ${election.spec.policy.maxLagBytes} are the most`);
  }

  /** A failover that nobody asked for orders its promotion. */
  promotionOrdered(): void {
    const agoMs = this.#engine.nowMs - (this.#promotedAtMs ?? Number.NEGATIVE_INFINITY);
    if (agoMs < this.minIntervalMs)
      this.broken('I7', `a failover by itself ${Math.round(agoMs)} ms after the last one, inside of minInterval (${this.minIntervalMs} ms)`);
  }

  promoted(): void {
    this.#promotedAtMs = this.#engine.nowMs;
  }
}
