import { setTimeout as pause } from 'node:timers/promises';
import { toFailure, type Beat, type Task, type TaskQueue } from '../../src/agent/task.ts';
import type { GovernAsk, InspectAsk, MemberActs, MemberNews, PromoteAsk, Promoted, RestartAsk, StepDownAsk, SteppedDown } from '../../src/model/act.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import type { Away, MemberReport } from '../../src/model/member.ts';
import { memberQueue } from '../../src/model/name.ts';
import type { PrimaryEnd, PrimaryRole, StandbyEnd, StandbyRole } from '../../src/model/role.ts';
import { FakeDatabase, reportOf } from './fake-database.ts';
import type { World } from './workflow-world.ts';

export type Act = keyof MemberActs;
/** Stands in for an act: it may do the usual first, answer something else, throw, or never come back. */
export type Script = (usual: () => Promise<unknown>, ask: never, task: Task) => unknown;

type Role = { readonly kind: 'primary'; readonly order: PrimaryRole } | { readonly kind: 'standby'; readonly order: StandbyRole };
type Held = Role & { readonly task: Task; readonly beats: NodeJS.Timeout; told: string; phase: MemberNews['phase'] };

/** The margin of protocol 1.2, as the real agent takes it. */
const MARGIN_MS = 150;
export const NEVER: Promise<never> = new Promise(() => {});

/**
 * One member as its group's workflow meets it: the real agent's queue and heartbeats, and the real rules of epoch, turn and lease, around a database that is
 * only a few words. What it does can be scripted act by act; its agent and its node can die.
 */
export class FakeMember {
  readonly name: string;
  readonly database = new FakeDatabase();
  /** The highest epoch seen: on the disk of the real one, so that it survives every death. */
  epoch = 0;
  /** The last epoch at which a promotion opened it. */
  opened = 0;
  alive = false;
  /** What its database waits for before it opens: a long recovery. */
  recovery: Promise<void> | undefined;
  /** What its agent says of the time in which Temporal did not answer it. */
  away: Away | undefined;
  /** Whether its standbys' word moves the deadline when the server's does not come (protocol 3). */
  secondLease = false;
  readonly #world: World;
  readonly #scripts = new Map<Act, Script[]>();
  readonly #always = new Map<Act, Script>();
  #held: Held | undefined;
  #polling = new AbortController();
  #leaseUntilMs = 0;
  #guard: NodeJS.Timeout | undefined;
  #telling: Promise<void> = Promise.resolve();

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  get role(): MemberReport['role'] {
    return this.#held?.kind ?? 'none';
  }

  /** The next such act goes by this script, the one after it as usual. */
  once(act: Act, script: Script): void {
    this.#scripts.set(act, [...(this.#scripts.get(act) ?? []), script]);
  }

  always(act: Act, script: Script | undefined): void {
    if (script === undefined) this.#always.delete(act);
    else this.#always.set(act, script);
  }

  /** Its agent starts: with what is on its disk, and with the role that it held if that is still its. */
  start(): void {
    if (this.alive) return;
    this.alive = true;
    this.#polling = new AbortController();
    for (let i = 0; i < 2; i += 1) void this.#poll(this.#polling.signal);
    this.#world.look();
  }

  /** Its agent ends. The database goes on until its lease is over. */
  loseAgent(): void {
    this.alive = false;
    this.#polling.abort();
    clearInterval(this.#held?.beats);
    this.#held = undefined;
  }

  /** Its node ends: agent, guard and database. */
  die(): void {
    this.loseAgent();
    this.#stopDatabase();
  }

  /** The database process ends by itself, and the agent sees it. */
  crash(): void {
    const { database } = this;
    database.running = false;
    if (this.#held?.kind === 'primary')
      this.end({ end: 'fenced', cause: 'crashed', lsn: database.lsn, timeline: database.timeline, words: 'the process ended by signal SIGKILL' });
    this.#stopDatabase();
  }

  /** Ends the role in hand with this result. */
  end(end: PrimaryEnd | StandbyEnd): void {
    const held = this.#held;
    if (held === undefined) return;
    clearInterval(held.beats);
    this.#held = undefined;
    void this.#queue.complete(held.task.token, end);
  }

  /** Says what has changed, if anything has: to be called after anything in the world did. */
  look(): void {
    const held = this.#held;
    if (held === undefined || !this.alive) return;
    const { database } = this;
    const followed = held.phase === 'following';
    if (held.kind === 'standby') held.phase = database.running && this.#world.fedBy(this.name) !== undefined ? 'following' : 'starting';
    const { group, member, epoch, turn } = held.order;
    const following = held.kind === 'primary' ? { following: this.#world.followersOf(this.name).map(({ name }) => name) } : {};
    const told = JSON.stringify([held.phase, following]);
    if (told === held.told) return;
    held.told = told;
    const unfed = followed && held.phase !== 'following' ? { unfed: true as const } : {};
    this.news(
      { group, member, epoch, turn, role: held.kind, phase: held.phase, ...following, ...unfed, timeline: database.timeline, atMs: Date.now() },
      held.task.workflowId,
    );
  }

  /** In order, as the real desk sends them. */
  news(word: MemberNews, workflowId: string): void {
    this.#telling = this.#telling.then(() => this.#world.signalNews(workflowId, word));
  }

  get #queue(): TaskQueue {
    return this.#world.queueOf(memberQueue(this.#world.group, this.name));
  }

  async #poll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const task = await this.#queue.poll(signal);
        if (task !== undefined && !signal.aborted) void this.#answer(task);
      } catch (error) {
        if (signal.aborted || this.#world.closed) return;
        throw error;
      }
    }
  }

  async #answer(task: Task): Promise<void> {
    const act = task.type as Act;
    this.#world.note(this.name, act, task);
    const script = this.#scripts.get(act)?.shift() ?? this.#always.get(act);
    const usual = (): Promise<unknown> => this.#usual(act, task);
    try {
      const result = await (script === undefined ? usual() : script(usual, task.input as never, task));
      if (this.#world.closed || !this.alive) return;
      if (act !== 'primary' && act !== 'standby') await this.#queue.complete(task.token, result);
      else if (result !== undefined) await this.#queue.complete(task.token, result);
    } catch (error) {
      if (this.#world.closed || !this.alive) return;
      if (!(error instanceof UnderstudyError)) this.#world.broken(error);
      await this.#queue.fail(task.token, toFailure(error));
    }
  }

  async #usual(act: Act, task: Task): Promise<unknown> {
    switch (act) {
      case 'primary':
        return this.#take(task, { kind: 'primary', order: task.input as PrimaryRole });
      case 'standby':
        return this.#take(task, { kind: 'standby', order: task.input as StandbyRole });
      case 'inspect':
        return this.#inspect(task.input as InspectAsk);
      case 'promote':
        return this.#promote(task, task.input as PromoteAsk);
      case 'stepDown':
        return this.#stepDown(task.input as StepDownAsk);
      case 'govern': {
        const { epoch, rule } = task.input as GovernAsk;
        this.#accept(epoch);
        return { rule, confirmed: true, following: this.#world.followersOf(this.name).map(({ name }) => name) };
      }
      case 'checkpoint':
        return { tookMs: 1 };
      case 'restart': {
        const { epoch } = task.input as RestartAsk;
        this.#accept(epoch);
        if (this.#held?.kind !== 'standby') throw new UnderstudyError('NotInRecovery', `${this.name} holds no standby's role`);
        this.database.running = false;
        this.#world.look();
        await pause(5);
        this.database.running = true;
        this.#world.look();
        return { from: '15.1', to: '15.2', tookMs: 5 };
      }
      case 'firstWrite':
        return { lsn: this.database.lsn, tookMs: 1 };
    }
  }

  #accept(epoch: number): void {
    if (epoch < this.epoch)
      throw new UnderstudyError('EpochStale', `epoch ${epoch} is over: ${this.name} has acted on epoch ${this.epoch}`, { epoch, highest: this.epoch });
    this.epoch = epoch;
  }

  async #take(task: Task, role: Role): Promise<unknown> {
    this.#accept(role.order.epoch);
    if (this.#held !== undefined && this.#held.order.epoch === role.order.epoch && this.#held.order.turn > role.order.turn)
      return { end: 'superseded', words: 'a later order has come before this one' };
    this.end({ end: 'superseded', words: `epoch ${role.order.epoch}: ${role.kind}` });
    const everyMs = role.order.leaseMs / 5;
    const held: Held = {
      ...role,
      task,
      told: '',
      phase: 'starting',
      beats: setInterval(() => void this.#beat(held), role.kind === 'primary' ? everyMs : Math.max(400, everyMs)),
    };
    this.#held = held;
    const first = await this.#beat(held);
    if (this.#held !== held || first === 'gone') return undefined;
    this.look();
    if (role.kind === 'standby') this.#follow(role.order);
    else void this.#open(held, role.order);
    return undefined;
  }

  async #open(held: Held, order: PrimaryRole): Promise<void> {
    const { database } = this;
    await this.recovery;
    while (order.afterPromotion === true && this.#held === held && database.standby && this.alive) await pause(5);
    if (this.#held !== held) return;
    if (database.directory === 'empty' && order.found) database.directory = 'data';
    if (database.directory === 'empty' || database.standby) {
      const unpromoted = database.directory === 'data' ? { unpromoted: true as const } : {};
      this.end({ end: 'fenced', cause: 'not-started', words: `${this.name} holds no database that could be opened`, ...unpromoted });
      return;
    }
    held.phase = 'open';
    this.#openDatabase();
  }

  #follow(order: StandbyRole): void {
    const { database } = this;
    if (database.writable) this.#stopDatabase();
    Object.assign(database, { directory: 'data', standby: true, running: true, detached: false, upstream: order.upstream.member });
    this.#world.look();
  }

  async #beat(held: Held): Promise<Beat> {
    const sentMs = performance.now();
    const { database } = this;
    const details = { epoch: held.order.epoch, role: held.kind, phase: held.phase, fence: 'kernel', lsn: database.lsn, timeline: database.timeline };
    const beat = await this.#queue.beat(held.task.token, details, held.order.leaseMs);
    if (this.#held !== held || !this.alive) return beat;
    if (beat === 'gone') clearInterval(held.beats);
    else if (beat === 'paused') this.end({ end: 'paused', words: 'somebody paused the role activity' });
    else if (beat === 'cancel-requested') this.#letGo(held);
    else if (beat !== 'unanswered' && held.kind === 'primary') this.#renew(sentMs, held.order.leaseMs);
    return beat;
  }

  #letGo(held: Held): void {
    if (held.kind === 'standby') {
      this.end({ end: 'superseded', words: 'the workflow took the role back' });
      return;
    }
    held.phase = 'stopping';
    this.#stopDatabase();
    this.end({ end: 'fenced', cause: 'asked', lsn: this.database.lsn, timeline: this.database.timeline, words: 'the workflow took the role away' });
  }

  /** The guard: it ends the database before the server can have given the lease up. */
  #renew(sentMs: number, leaseMs: number): void {
    this.#leaseUntilMs = Math.max(this.#leaseUntilMs, sentMs + leaseMs - MARGIN_MS);
    clearTimeout(this.#guard);
    this.#guard = setTimeout(() => {
      if (!this.database.writable) return;
      const held = this.#held;
      if (this.secondLease && held?.kind === 'primary' && held.order.electable.length > 0) {
        const following = this.#world.followersOf(this.name).map(({ name }) => name);
        if (held.order.electable.every((name) => following.includes(name))) {
          this.#renew(performance.now(), held.order.leaseMs);
          return;
        }
      }
      this.#stopDatabase();
      if (this.#held?.kind === 'primary')
        this.end({ end: 'fenced', cause: 'lease', lsn: this.database.lsn, timeline: this.database.timeline, words: 'the lease was not renewed in time' });
    }, this.#leaseUntilMs - performance.now());
  }

  #inspect({ freeze }: InspectAsk): MemberReport {
    const { database } = this;
    const fed = this.#world.fedBy(this.name) !== undefined;
    if (database.running && database.standby && (freeze === 'now' || freeze === 'when-unfed' || (freeze === 'when-quiet' && !fed))) database.detached = true;
    return this.report();
  }

  report(): MemberReport {
    const report = reportOf(this.database, {
      name: this.name,
      epoch: this.epoch,
      opened: this.opened,
      role: this.role,
      leaseLeftMs: this.database.writable ? Math.max(0, this.#leaseUntilMs - performance.now()) : undefined,
      fedBy: this.#world.fedBy(this.name),
      followers: this.#world.followersOf(this.name).map(({ name, database }) => ({ name, lsn: database.lsn })),
    });
    return this.away === undefined ? report : { ...report, away: this.away };
  }

  async #promote(task: Task, ask: PromoteAsk): Promise<Promoted> {
    this.#accept(ask.epoch);
    if (this.#held?.order.epoch !== ask.epoch) this.end({ end: 'superseded', words: `epoch ${ask.epoch} promotes this member` });
    const beat = async (): Promise<void> => {
      const sentMs = performance.now();
      if ((await this.#queue.beat(task.token, { epoch: ask.epoch, role: 'primary', phase: 'promoting', fence: 'kernel' }, ask.leaseMs)) === 'ok')
        this.#renew(sentMs, ask.leaseMs);
    };
    await beat();
    const { database } = this;
    const already = database.writable;
    const fork = { timeline: database.timeline, lsn: database.lsn };
    this.opened = ask.epoch;
    if (!already) {
      Object.assign(database, { standby: false, detached: false, upstream: undefined, timeline: database.timeline + 1 });
      this.#openDatabase();
    }
    return {
      outcome: already ? 'already' : 'promoted',
      timeline: database.timeline,
      lsn: database.lsn,
      ...(already ? {} : { fork }),
      quarantineMs: 0,
      promoteMs: 1,
      openedAtMs: Date.now(),
    };
  }

  async #stepDown({ epoch, why }: StepDownAsk): Promise<SteppedDown> {
    this.#accept(epoch);
    if (this.#held !== undefined) this.#held.phase = 'stopping';
    this.#stopDatabase();
    this.end({ end: 'fenced', cause: 'asked', lsn: this.database.lsn, timeline: this.database.timeline, words: why });
    await pause(1);
    return { outcome: 'stopped', clean: true, lsn: this.database.lsn, timeline: this.database.timeline, tookMs: 1, closedAtMs: Date.now() };
  }

  #openDatabase(): void {
    this.database.running = true;
    this.#world.opened(this);
    this.#world.look();
  }

  #stopDatabase(): void {
    clearTimeout(this.#guard);
    this.database.running = false;
    this.#world.look();
  }

  /** For the end of a test. */
  close(): void {
    this.loseAgent();
    clearTimeout(this.#guard);
  }
}
