import type { Incident } from '../../src/model/incident.ts';
import type { GroupSpec } from '../../src/model/group.ts';
import type { PublishAsk } from '../../src/model/act.ts';
import { groupWorkflowId } from '../../src/model/name.ts';
import type { GroupStatus } from '../../src/model/status.ts';
import { failoverGroup } from '../../workflows/index.ts';
import { Invariants } from './checks.ts';
import type { Database } from './database.ts';
import { Engine, type Machine } from './engine.ts';
import { applyFault } from './apply-fault.ts';
import { lastsMs } from './faults.ts';
import { enter } from './globals.ts';
import { MemberHost } from './members.ts';
import { Network } from './network.ts';
import { Records } from './records.ts';
import type { Run } from './run.ts';
import type { Schedule } from './schedule.ts';
import { Server } from './server.ts';
import type { World as Shape } from './world-types.ts';

export const CLIENTS = 'clients';
/** A group that is not steady before this began under a fault of our own making. */
const BEGIN_WITHIN_MS = 30_000;
/** After the last fault has healed the group must be whole within this: its longest pauses are 30 s. */
export const HEAL_WITHIN_MS = 240_000;
const LOOK_EVERY_MS = 100;

/** One group with everything around it, played from its beginning through its faults to its healing. */
export class World implements Shape {
  readonly engine: Engine;
  readonly network: Network;
  readonly server: Server;
  readonly records: Records;
  readonly checks: Invariants;
  readonly schedule: Schedule;
  readonly spec: GroupSpec;
  readonly hosts = new Map<string, MemberHost>();
  readonly story: string[] | undefined;
  /** What a fault will take back by itself; at the end everything that is left of it is. */
  readonly undoes = new Set<() => void>();
  /** A person has done what only a person can put right. */
  needsPerson = false;
  readonly fullDisks = new Set<string>();
  #nextWrite = 1;
  steady = false;
  #phase: 'begin' | 'faults' | 'heal' | 'end' = 'begin';
  #healMs = 0;
  healedInMs: number | undefined;
  waitsFor: string | undefined;

  constructor(schedule: Schedule, tell: boolean) {
    this.schedule = schedule;
    this.spec = schedule.spec;
    this.story = tell ? [] : undefined;
    this.engine = new Engine(schedule.seed ^ 0x5bd1e995);
    enter(this.engine);
    this.network = new Network(this.engine);
    this.server = new Server(this.engine, this.network);
    this.records = new Records(this.engine);
    this.checks = new Invariants(this.engine, this.spec.durability.mode === 'sync');
    this.checks.minIntervalMs = this.spec.policy.minIntervalMs;
    this.#wire();
    for (const [i, member] of this.spec.members.entries()) this.hosts.set(member.name, new MemberHost(this, member, schedule.drifts[i] ?? 0));
    this.checks.databases = () => this.databases();
  }

  #wire(): void {
    const { engine, server, records, checks } = this;
    engine.onCrash = (proc, error) => {
      checks.broken('crash', `${proc?.name ?? 'a workflow'} threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    };
    server.note = (words) => this.note('temporal', words);
    server.controlActivity = (activity, ends) => {
      if (activity.type === 'formerIncidents')
        engine.at(engine.random.between(2, 30), undefined, () => server.whenUp(() => ends.resolve(server.formerIncidents)));
      else records.publish(activity.input as PublishAsk, (published) => server.whenUp(() => ends.resolve(published)));
    };
    server.onScheduled = ({ type, run }) => {
      if (type === 'promote' && isAutomatic(run)) checks.promotionOrdered();
    };
    server.onCompleted = ({ type, run }) => {
      if (type === 'promote') server.promoted.add(run.id);
      if (type === 'promote' && run.id.startsWith('failover/')) checks.promoted();
    };
    server.onClosed = (run, result) => {
      if (run.closed === 'completed') {
        for (const { elected, verdicts } of (result as Incident).elections)
          this.note('incident', () => `${run.id} elects ${elected}: ${JSON.stringify(verdicts)}`);
        checks.incidentEnded(result as Incident);
      }
      if (run.closed === 'failed') checks.broken('crash', `${run.id} failed: ${result instanceof Error ? (result.stack ?? result.message) : String(result)}`);
    };
    records.onWrite = (before, after) => checks.recordWritten(before, after);
  }

  *databases(): Iterable<Database> {
    for (const { database } of this.hosts.values()) if (database?.proc.alive === true) yield database;
  }

  host(name: string): MemberHost {
    const host = this.hosts.get(name);
    if (host === undefined) throw new Error(`no member ${name}`);
    return host;
  }

  databaseOf(member: string): Database | undefined {
    const { database } = this.host(member);
    return database?.proc.alive === true ? database : undefined;
  }

  machineOf(member: string): Machine {
    return this.host(member).machine;
  }

  databaseGone(database: Database): void {
    this.note(database.name, () => 'database gone');
  }

  isDiskFull(member: string): boolean {
    return this.fullDisks.has(member);
  }

  note(who: string, words: () => string): void {
    this.story?.push(`${(this.engine.nowMs / 1000).toFixed(3).padStart(9)}  ${who.padEnd(10)} ${words()}`);
  }

  get group(): Run | undefined {
    const run = this.server.runs.get(groupWorkflowId(this.spec.name));
    return run?.closed === undefined ? run : undefined;
  }

  get status(): GroupStatus | undefined {
    return this.group?.query<GroupStatus>('status');
  }

  startGroup(input: object = { spec: this.spec, specHash: 'h' }, reset = false): void {
    this.server.whenUp(() => {
      const run = this.server.startWorkflow(groupWorkflowId(this.spec.name), failoverGroup as (...args: never[]) => unknown, [input]);
      if (reset && run !== undefined) run.historyLength += 3;
    });
  }

  get incidentOpen(): boolean {
    return [...this.server.runs.values()].some(({ id, closed }) => closed === undefined && !id.startsWith('group/'));
  }

  // ---- the play ----

  play(): void {
    const { engine } = this;
    for (const host of this.hosts.values()) engine.at(engine.random.between(0, 60), undefined, () => host.startAgent());
    this.startGroup();
    this.#write(80, () => this.records.primary?.replace(/\.$/, '').split(' ').at(-1));
    this.#write(170, () => engine.random.pick(this.spec.members).name);
    if (this.schedule.early) this.#beginFaults();
    this.#look();
    engine.run(BEGIN_WITHIN_MS + HEAL_WITHIN_MS + 200_000, () => this.#phase === 'end' || this.checks.violations.length > 0);
  }

  #look(): void {
    const { engine } = this;
    if (this.#phase === 'begin') {
      if (this.#isWhole()) {
        this.steady = true;
        this.note('world', () => 'the group is steady');
        this.#beginFaults();
      } else if (engine.nowMs > BEGIN_WITHIN_MS) {
        this.checks.broken('liveness', `the group has not begun within ${BEGIN_WITHIN_MS} ms`);
      }
    } else if (this.#phase === 'heal') {
      if (this.#isWhole()) {
        this.healedInMs = engine.nowMs - this.#healMs;
        this.#phase = 'end';
      } else if (this.needsPerson && engine.nowMs - this.#healMs > 5000) {
        this.waitsFor = this.#whyNot();
        this.#phase = 'end';
      } else if (engine.nowMs - this.#healMs > HEAL_WITHIN_MS) {
        this.note('temporal', () => `in hand: ${this.server.said}`);
        for (const { name, directory, procs } of this.hosts.values())
          this.note(
            name,
            () =>
              `${directory.state}, timeline ${directory.branch?.timeline}, ends at ${directory.end}, follows ${directory.upstream?.member}; runs: ${procs.map((proc) => `${proc.name} (${proc.state})`).join(', ')}`,
          );
        this.checks.broken('liveness', `not whole ${HEAL_WITHIN_MS} ms after the last fault has healed: ${this.#whyNot()}`);
      }
    }
    if (this.#phase !== 'end') engine.at(this.#phase === 'heal' && engine.nowMs - this.#healMs > 5000 ? 500 : LOOK_EVERY_MS, undefined, () => this.#look());
  }

  #beginFaults(): void {
    this.#phase = 'faults';
    const { engine } = this;
    let endMs = 0;
    for (const fault of this.schedule.faults) {
      engine.at(fault.atMs, undefined, () => applyFault(this, fault));
      endMs = Math.max(endMs, fault.atMs + lastsMs(fault, this.spec.leaseMs));
    }
    engine.at(endMs + 500, undefined, () => this.#heal());
  }

  #heal(): void {
    this.note('world', () => 'everything heals');
    for (const undo of this.undoes) undo();
    this.undoes.clear();
    for (const host of this.hosts.values()) {
      host.supervised = true;
      host.boot();
      host.startAgent();
    }
    this.#phase = 'heal';
    this.#healMs = this.engine.nowMs;
  }

  /** Undone after its time, or with everything else at the end. */
  undo(afterMs: number, act: () => void): void {
    const once = (): void => {
      if (this.undoes.delete(once)) act();
    };
    this.undoes.add(once);
    this.engine.at(afterMs, undefined, once);
  }

  #isWhole(): boolean {
    return this.#whyNot() === undefined;
  }

  #whyNot(): string | undefined {
    const open = [...this.databases()].filter((database) => database.open);
    const [primary] = open;
    if (primary === undefined || open.length !== 1) return `${open.length} members take writes`;
    const { status } = this;
    if (status === undefined || status.phase !== 'steady' || status.primary !== primary.name) return `the group says ${status?.phase} (${status?.words ?? ''})`;
    for (const { name } of this.spec.members) {
      if (name === primary.name) continue;
      const database = this.databaseOf(name);
      if (database?.receiver?.from !== primary || !database.receiver.open || database.branch !== primary.branch)
        return `${name} does not follow ${primary.name}`;
    }
    if (this.engine.nowMs - this.checks.lastAcknowledgedMs > 1000) return 'no write is acknowledged';
    if (this.records.found.state === 'owned' && !(this.records.found.record.values[0] ?? '').startsWith(primary.name)) return 'the record names another member';
    return undefined;
  }

  // ---- clients ----

  #write(everyMs: number, to: () => string | undefined): void {
    const { engine } = this;
    const again = (): void => {
      const name = to();
      const database = name === undefined || !this.hosts.has(name) ? undefined : this.databaseOf(name);
      if (database?.accepts === true) {
        const id = (this.#nextWrite += 1);
        engine.at(this.network.latencyMs(CLIENTS, database.name), database.proc, () => database.commit(id, () => {}));
      }
      engine.at(everyMs * engine.random.between(0.5, 1.5), undefined, again);
    };
    again();
  }
}

function isAutomatic(run: Run): boolean {
  const [input] = run.args as [{ actor?: { kind: string } }];
  return run.id.startsWith('failover/') && input.actor?.kind === 'policy';
}
