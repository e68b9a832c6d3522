import type { Client, Connection } from '@temporalio/client';
import type { LoadedDataConverter } from '@temporalio/common';
import type { Logger } from 'pino';
import type { CheckpointAsk, InspectAsk, GovernAsk, MemberAsk, MemberNews, Promoted, PromoteAsk, RestartAsk, StepDownAsk } from '../model/act.ts';
import { renewEveryMs } from '../decide/deadline.ts';
import { UnderstudyError } from '../model/error.ts';
import type { MemberReport } from '../model/member.ts';
import { memberQueue } from '../model/name.ts';
import type { Heartbeat, PrimaryRole, RolePhase, StandbyRole } from '../model/role.ts';
import { checkpoint, firstWrite, govern, inspect, promote, restart, stepDown } from './acts.ts';
import type { Hands } from './hands.ts';
import { PlainBeats, type RoleHolder } from './holder.ts';
import { LeaseKeeper } from './lease.ts';
import { pause, type Member } from './member.ts';
import { NewsDesk } from './news.ts';
import { PrimaryHolder } from './primary.ts';
import { StandbyHolder } from './standby.ts';
import { isTransient, TaskQueue, type Task } from './task.ts';
import { bootTimeMs } from '../runtime/clock.ts';

/** Two polls open: a new role is in hand while the last one is still being let go. */
const POLLS = 2;
const ACT_LIMIT_MS = 10 * 60_000;
const SUPERSEDED_IS_NEWS_MS = 1000;
/** A promotion that takes longer has been given up by whoever asked for it. */
const PROMOTION_LIMIT_MS = 90_000;

/** The agent of one member: polls its queue, holds its role, acts when asked. It never decides a role. */
export class Agent {
  readonly #member: Member;
  readonly #queue: TaskQueue;
  readonly #news: NewsDesk;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #holder: RoleHolder | undefined;
  #leaseMs = 0;
  #taking: Promise<unknown> = Promise.resolve();
  #promotion: { readonly epoch: number; readonly over: Promise<void>; readonly end: () => void } | undefined;

  constructor(member: Member, temporal: { connection: Connection; client: Client; namespace: string; converter?: LoadedDataConverter }, log: Logger) {
    this.#member = member;
    this.#log = log;
    const queue = memberQueue(member.group, member.spec.name);
    this.#queue = new TaskQueue(temporal.connection, temporal.namespace, queue, `agent ${queue} ${process.pid}`, temporal.converter);
    this.#news = new NewsDesk(temporal.client, log);
    this.#watchGuard();
  }

  /**
   * Goes on with the role that an earlier process held, then polls until stopped.
   *
   * @param verified resolves once Temporal is known to be the one that this member belongs to: no order is taken before. A role that is held is gone on with
   *   meanwhile, since a server that is not ours does not know its token, and without one the standbys are asked (protocol 1.6, 3)
   */
  async run(verified: Promise<void> = Promise.resolve()): Promise<void> {
    const { held } = this.#member.state.state;
    if (held !== undefined) {
      this.#log.info({ role: held.kind, epoch: held.order.epoch }, 'going on with the role held before');
      const task = {
        token: Buffer.from(held.token, 'base64'),
        type: held.kind,
        activityId: '',
        workflowId: held.workflowId,
        runId: '',
        heartbeatTimeoutMs: 0,
        input: held.order,
      };
      this.#hold(task, held.kind === 'primary' ? { kind: 'primary', order: held.order } : { kind: 'standby', order: held.order });
    }
    await verified;
    await Promise.all(Array.from({ length: POLLS }, () => this.#poll()));
  }

  /** Stops polling and renewing. The guard, the database and the lease's deadline stand, so that a new agent can go on within it. */
  stop(): void {
    this.#stop.abort();
  }

  async #poll(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const task = await this.#queue.poll(signal);
        if (task !== undefined) void this.#answer(task);
      } catch (error) {
        if (signal.aborted) return;
        if (!isTransient(error)) throw error;
        await pause(100);
      }
    }
  }

  async #answer(task: Task): Promise<void> {
    try {
      if (task.type === 'primary' || task.type === 'standby') {
        if (await this.#isToBeTaken(task)) await this.#take(task);
      } else {
        await this.#queue.complete(task.token, await this.#act(task));
        this.#member.metrics.acted('done');
        this.#log.info({ act: task.type, activityId: task.activityId, workflowId: task.workflowId }, 'act done');
      }
    } catch (error) {
      this.#member.metrics.acted('failed');
      this.#log.warn({ err: error, act: task.type, activityId: task.activityId, workflowId: task.workflowId }, 'act failed');
      await this.#queue.fail(task.token, error);
    }
  }

  /**
   * A role that came with an election is only kept alive until the promotion is over, whose own lease covers the database: nothing that it costs (a write to the
   * disk, a look at the database) is to be paid while everybody waits.
   *
   * @returns false where it was taken back meanwhile
   */
  async #isToBeTaken(task: Task): Promise<boolean> {
    const { order } = roleOf(task);
    if (!('afterPromotion' in order) || order.afterPromotion !== true) return true;
    const taken = new AbortController();
    const details = (): Heartbeat => ({ epoch: order.epoch, role: 'primary', phase: 'promoting', fence: this.#member.guard.status.fence });
    const beats = new PlainBeats(this.#queue, task.token, renewEveryMs(order.leaseMs), details, (beat) => {
      if (beat === 'cancel-requested' || beat === 'gone') taken.abort();
    });
    await Promise.race([this.#promotionTo(order.epoch).over, pause(PROMOTION_LIMIT_MS, AbortSignal.any([taken.signal, this.#stop.signal]))]);
    beats.stop();
    if (!taken.signal.aborted) return true;
    await this.#queue.complete(task.token, { end: 'superseded', words: 'taken back before the promotion was through' });
    return false;
  }

  /** Roles are taken one after another: the newer one ends the one before it. */
  #take(task: Task): Promise<void> {
    const next = this.#taking.then(() => this.#takeNow(task));
    this.#taking = next.catch(() => undefined);
    return next;
  }

  async #takeNow(task: Task): Promise<void> {
    const role = roleOf(task);
    const { state, spec } = this.#member;
    state.refuseStale(role.order.epoch, spec.name);
    const held = state.state.held?.order;
    if (held !== undefined && held.epoch === role.order.epoch && held.turn > role.order.turn) {
      await this.#queue.complete(task.token, { end: 'superseded', words: 'a later order has come before this one' });
      return;
    }
    const before = this.#holder;
    await before?.supersede(`epoch ${role.order.epoch}: ${role.kind}`);
    // What a primary once had in force means nothing for its next time as one.
    const forget = role.kind === 'standby' ? { rule: undefined, electable: undefined } : {};
    await state.accept(role.order.epoch, spec.name, {
      ...forget,
      held: { ...role, token: Buffer.from(task.token).toString('base64'), workflowId: task.workflowId },
    });
    this.#log.info({ role: role.kind, epoch: role.order.epoch, activityId: task.activityId, workflowId: task.workflowId }, 'role taken');
    this.#hold(task, role);
  }

  #hold(task: Task, role: Role): void {
    this.#leaseMs = role.order.leaseMs;
    const context = { task, queue: this.#queue, tell: (workflowId: string, news: MemberNews) => this.#news.tell(workflowId, news) };
    const holder = role.kind === 'primary' ? new PrimaryHolder(this.#member, role.order, context) : new StandbyHolder(this.#member, role.order, context);
    this.#holder = holder;
    const over = (words: object): void => {
      this.#log.info({ role: role.kind, epoch: role.order.epoch, ...words }, 'role ended');
      if (this.#holder === holder) this.#holder = undefined;
    };
    void holder.ended.then(
      async (end) => {
        over({ end });
        // Whoever gave the newer order waits for what it does, not for this.
        if (isSuperseded(end)) await pause(SUPERSEDED_IS_NEWS_MS, this.#stop.signal);
        return this.#queue.complete(task.token, end);
      },
      (error: unknown) => {
        over({ err: error });
        return this.#queue.fail(task.token, error);
      },
    );
  }

  #act(task: Task): Promise<unknown> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ACT_LIMIT_MS)]);
    const hands = this.#hands(task);
    switch (task.type) {
      case 'inspect':
        return this.#inspect(hands, task.input as InspectAsk, signal);
      case 'promote':
        return this.#promote(hands, task.input as PromoteAsk, signal);
      case 'stepDown':
        return stepDown(hands, task.input as StepDownAsk, signal);
      case 'govern':
        return govern(hands, task.input as GovernAsk, signal);
      case 'checkpoint':
        return checkpoint(hands, task.input as CheckpointAsk, signal);
      case 'restart':
        return restart(hands, task.input as RestartAsk);
      case 'firstWrite':
        return firstWrite(hands, task.input as MemberAsk & { limitMs: number }, signal);
      default:
        throw new UnderstudyError('BadInput', `this agent knows no act ${JSON.stringify(task.type)}: is it older than the workflow that asks?`);
    }
  }

  async #promote(hands: Hands, ask: PromoteAsk, signal: AbortSignal): Promise<Promoted> {
    const { end } = this.#promotionTo(ask.epoch);
    return promote(hands, ask, signal).finally(end);
  }

  /** Of the newest epoch only: whoever waits for an older one is superseded. */
  #promotionTo(epoch: number): { readonly over: Promise<void>; readonly end: () => void } {
    if (this.#promotion?.epoch !== epoch) {
      let end = (): void => {};
      const over = new Promise<void>((resolve) => (end = resolve));
      this.#promotion = { epoch, over, end };
    }
    return this.#promotion;
  }

  async #inspect(hands: Hands, ask: InspectAsk, signal: AbortSignal): Promise<MemberReport> {
    const report = await inspect(hands, ask, signal);
    const away = this.#queue.reach.lastAway(bootTimeMs());
    return away === undefined ? report : { ...report, away };
  }

  #hands(task: Task): Hands {
    const holder = this.#holder;
    return {
      member: this.#member,
      primary: holder instanceof PrimaryHolder ? holder : undefined,
      standby: holder instanceof StandbyHolder ? holder : undefined,
      idle: holder === undefined,
      mayFreeze: (epoch) => this.#holder === holder && (holder === undefined || holder.epoch < epoch),
      leaseMs: this.#leaseMs,
      letGo: async (epoch, why) => {
        // A role that is being taken may be of this epoch, or of the one before.
        await this.#taking;
        if (this.#holder !== undefined && this.#holder.epoch < epoch) await this.#holder.supersede(why);
      },
      keepLease: (epoch, leaseMs, phase) => this.#keepLease(task, epoch, leaseMs, phase),
    };
  }

  #keepLease(task: Task, epoch: number, leaseMs: number, phase: RolePhase): LeaseKeeper {
    const { guard } = this.#member;
    const keeper = new LeaseKeeper(
      this.#queue,
      guard,
      { token: task.token, epoch, leaseMs, marginMs: this.#member.marginMs(leaseMs) },
      () => ({ epoch, role: 'primary', phase, fence: guard.status.fence }),
      { heard: (beat) => this.#member.metrics.renewed(beat) },
    );
    keeper.start();
    return keeper;
  }

  /** A guard that is gone took its database with it: whoever held the lease stops renewing it, and a new guard is started. */
  #watchGuard(): void {
    void this.#member.guard.lost.then(async (why) => {
      if (this.#stop.signal.aborted) return;
      this.#log.error({ why }, 'guard lost');
      this.#member.metrics.guardLost();
      this.#holder?.guardLost?.();
      for (;;) {
        try {
          await this.#member.reachGuard();
          break;
        } catch (error) {
          if (!(error instanceof UnderstudyError)) throw error;
          this.#log.error({ err: error }, 'no guard to be had yet');
          await pause(500);
        }
      }
      this.#watchGuard();
    });
  }
}

function isSuperseded(end: unknown): boolean {
  return typeof end === 'object' && end !== null && 'end' in end && end.end === 'superseded';
}

type Role = { readonly kind: 'primary'; readonly order: PrimaryRole } | { readonly kind: 'standby'; readonly order: StandbyRole };

function roleOf(task: Task): Role {
  return task.type === 'primary' ? { kind: 'primary', order: task.input as PrimaryRole } : { kind: 'standby', order: task.input as StandbyRole };
}
