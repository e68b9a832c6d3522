import type { LiveDatabase, Settings } from '../database/driver.ts';
import { quarantineMs } from '../decide/deadline.ts';
import type {
  CheckpointAsk,
  Governed,
  GovernAsk,
  InspectAsk,
  MemberAsk,
  Promoted,
  PromoteAsk,
  RestartAsk,
  Restarted,
  SteppedDown,
  StepDownAsk,
} from '../model/act.ts';
import { UnderstudyError } from '../model/error.ts';
import { NO_RULE } from '../model/group.ts';
import { beyond, compareLsn, type Lsn } from '../model/lsn.ts';
import type { MemberReport } from '../model/member.ts';
import { BOOT_RESOLUTION_MS, bootTimeMs } from '../runtime/clock.ts';
import type { Hands } from './hands.ts';
import { pause, type Member } from './member.ts';

const LOOK_PAUSE_MS = 15;
/** A receiver that outlives its primary for longer than this is detached. */
const BREAK_LIMIT_MS = 100;
const ARRIVAL_LIMIT_MS = 2000;
const CHECKPOINT_AFTER_MS = 300;
const NUDGE_EVERY_MS = 30;
const NUDGE_FOR_MS = 3000;

/** Reports this member, its place frozen first where that was asked and is right (protocol 2b, 3.2, 3.5). */
export async function inspect(hands: Hands, ask: InspectAsk, signal: AbortSignal): Promise<MemberReport> {
  const { member, idle } = hands;
  if (ask.freeze !== 'no' && idle && !member.running) await startFrozen(member, ask, signal);
  const still = ask.freeze === 'when-unfed' ? await reportUnfed(member, ask, signal) : undefined;
  if (still !== undefined) return still;
  if (ask.freeze !== 'no' && member.running && !member.detached) {
    const live = await member.connect(signal);
    const quiet = ask.freeze !== 'when-quiet' || (await waitUntilQuiet(member, ask.quarantineMs / 2, signal));
    if (quiet && (await live.pulse()).inRecovery) {
      // A role that was taken while this waited came after whatever asked it: nothing of it is taken away.
      await member.exclusively(async () => {
        if (hands.mayFreeze(ask.epoch)) await member.detach(live, { rule: ask.rule ?? NO_RULE, leaseMs: ask.quarantineMs });
      });
    }
  }
  return member.report(signal);
}

/**
 * A standby that came back while an incident is open has no role, and would get one only after it; but the incident may need its answer to be sure of
 * every acknowledged write. It is started read-only, receiving from nobody.
 */
async function startFrozen(member: Member, ask: InspectAsk, signal: AbortSignal): Promise<void> {
  const footprint = await member.driver.footprint(signal);
  if (footprint.state !== 'data' || !footprint.standby) return;
  try {
    await member.exclusively(() => member.start({ as: 'standby' }, { upstream: undefined, rule: ask.rule ?? NO_RULE, leaseMs: ask.quarantineMs }, signal));
  } catch (error) {
    // Then the report says that it does not run, and why.
    if (!(error instanceof UnderstudyError)) throw error;
    member.log.warn({ err: error }, 'a standby without a role could not be started to answer an incident');
  }
}

/**
 * Reports a member to which nothing more can arrive, and of which nothing would have to be reloaded for a promotion; undefined where that is not so. The
 * connections of a primary that has stopped break at once where its host still lives, and one that tries to connect to it again receives nothing.
 */
async function reportUnfed(member: Member, ask: InspectAsk, signal: AbortSignal): Promise<MemberReport | undefined> {
  if (!member.running || member.detached || !member.isReadyWith({ rule: ask.rule ?? NO_RULE, leaseMs: ask.quarantineMs }, true)) return undefined;
  for (const untilMs = performance.now() + BREAK_LIMIT_MS; performance.now() < untilMs && !signal.aborted;) {
    const report = await member.report(signal);
    const { live } = report;
    if (live?.inRecovery !== true) return undefined;
    if (live.receiver.state !== 'streaming') return { ...report, detached: true, live: { ...live, receiver: { state: 'none' } } };
    await pause(LOOK_PAUSE_MS);
  }
  return undefined;
}

/** False as soon as something is received again: the primary lives, whatever became of its agent. */
async function waitUntilQuiet(member: Member, quietMs: number, signal: AbortSignal): Promise<boolean> {
  const live = await member.connect(signal);
  let ago = member.fedAgoMs();
  while (ago < quietMs) {
    if (signal.aborted) return false;
    await pause(LOOK_PAUSE_MS);
    const { receiver, flushedLsn } = await live.pulse();
    member.feed.see(receiver, bootTimeMs() + BOOT_RESOLUTION_MS, flushedLsn);
    const now = member.fedAgoMs();
    if (now < ago) return false;
    ago = now;
  }
  return true;
}

/**
 * Takes the new epoch's lease, waits out the quarantine where the fence is not proved, and leaves recovery.
 *
 * The lease comes first: its first renewal is acknowledged before the member opens (protocol 1.3), and it goes on until the
 * primary's role of the same epoch takes over.
 */
export async function promote(hands: Hands, ask: PromoteAsk, signal: AbortSignal): Promise<Promoted> {
  const { member } = hands;
  const openedBefore = member.state.state.opened ?? 0;
  const again = openedBefore === ask.epoch;
  let mayBeOpen = again;
  member.state.refuseStale(ask.epoch, member.spec.name);
  const keeper = hands.keepLease(ask.epoch, ask.leaseMs, 'promoting');
  let renewed: Promise<void> | undefined;
  try {
    // One write to the disk, while the lease is sought, and before the database is touched: the epoch, what will be in force, and that this member
    // may be open from now on.
    // The role of this very epoch may have come first, and waits for this.
    const letGoOf = member.state.state.held?.order.epoch === ask.epoch ? {} : { held: undefined };
    const noted = member.state.accept(ask.epoch, member.spec.name, { ...letGoOf, opened: ask.epoch, rule: ask.rule, electable: ask.electable });
    await Promise.all([noted, hands.letGo(ask.epoch, `epoch ${ask.epoch} promotes this member`)]);
    return await member.exclusively(async () => {
      const live = await member.connect(signal);
      const before = await live.pulse();
      const first = await keeper.first;
      if (!first.armed) throw new UnderstudyError('LeaseLost', `the lease of epoch ${ask.epoch} was not to be had: ${first.why}`, { epoch: ask.epoch });
      if (!before.inRecovery && !again) {
        throw new UnderstudyError('NotInRecovery', `${member.spec.name} is out of recovery already, and not by epoch ${ask.epoch}`, {
          timeline: before.timeline,
        });
      }
      const settings = { rule: ask.rule, leaseMs: ask.leaseMs };
      const fork = before.inRecovery ? await freezeFrom(member, live, ask, settings) : undefined;
      const waitedMs = ask.proof === 'lease' ? await waitOutQuarantine(member, quarantineMs(ask.leaseMs), signal) : 0;
      const startedMs = performance.now();
      mayBeOpen = true;
      const { outcome, timeline, lsn } = await live.promote(ask.limitMs, ask.passed);
      const promoteMs = performance.now() - startedMs;
      // Sent before the promotion is told as done, and not waited for: the role of this epoch has all of a fresh lease to arrive in.
      renewed = keeper.renewNow();
      setTimeout(() => void checkpointSoon(member), CHECKPOINT_AFTER_MS);
      return { outcome, timeline, lsn, ...(fork === undefined ? {} : { fork }), quarantineMs: waitedMs, promoteMs, openedAtMs: Date.now() };
    });
  } catch (error) {
    // It may have opened: nothing is left writable behind a promotion that is not told as done.
    if (member.running) {
      await member.stop('immediate', 0, `the promotion of epoch ${ask.epoch} failed`);
    }
    // What it was told and never came to is no reason to doubt its copy (protocol 8).
    if (!mayBeOpen && member.state.state.opened === ask.epoch) await member.state.change({ opened: openedBefore });
    throw error;
  } finally {
    if (renewed === undefined) keeper.stop('the promotion is over');
    else void renewed.then(() => keeper.stop('the promotion is over'));
  }
}

/** Detaches once everything that was counted on is here: after a planned stop the last of it may still be on its way. */
async function freezeFrom(
  member: Member,
  live: LiveDatabase,
  { fromLsn, proof }: PromoteAsk,
  settings: Omit<Settings, 'upstream'>,
): Promise<{ timeline: number; lsn: Lsn }> {
  for (const until = performance.now() + ARRIVAL_LIMIT_MS; ;) {
    const { flushedLsn } = await live.pulse();
    if (compareLsn(flushedLsn, fromLsn) >= 0) break;
    if (member.detached || performance.now() > until) {
      throw new UnderstudyError('DatabaseFailed', `${member.spec.name} stands at ${flushedLsn}, before ${fromLsn} on which it was chosen`, {
        stands: flushedLsn,
        fromLsn,
      });
    }
    await pause(LOOK_PAUSE_MS);
  }
  // A primary that said itself that it has stopped sends nothing any more: what is settled already need not be waited for.
  if (!member.isReadyWith(settings, proof === 'agent')) await member.detach(live, settings);
  const frozen = await live.pulse();
  return { timeline: frozen.timeline, lsn: frozen.flushedLsn };
}

/** A rewind of the others needs the new timeline in the control file; whoever waits to write does not wait for that. */
async function checkpointSoon(member: Member): Promise<void> {
  try {
    await member.live?.checkpoint();
  } catch (error) {
    member.log.warn({ err: error }, 'checkpoint after promotion failed');
  }
}

async function waitOutQuarantine(member: Member, quarantine: number, signal: AbortSignal): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const leftMs = quarantine - member.fedAgoMs();
    if (leftMs <= 0) return performance.now() - startedMs;
    if (signal.aborted)
      throw new UnderstudyError('QuarantineInterrupted', `${Math.ceil(leftMs)} ms of the quarantine were left when the promotion was called off`);
    await pause(Math.min(leftMs + 1, 50));
  }
}

/** Fences this primary in order: the planned stop of a switchover. */
export async function stepDown(hands: Hands, ask: StepDownAsk, signal: AbortSignal): Promise<SteppedDown> {
  const { member } = hands;
  member.state.refuseStale(ask.epoch, member.spec.name);
  // What is told of this stop is the proof that another is promoted by: nobody who does not know of it may open this member again.
  await member.state.accept(ask.next ?? ask.epoch, member.spec.name);
  const running = member.running;
  const startedMs = performance.now();
  if (running) {
    hands.primary?.expectStop(ask.why);
    await member.exclusively(() => member.stop('fast', ask.limitMs, ask.why));
  }
  const closedAtMs = Date.now();
  const tookMs = performance.now() - startedMs;
  const footprint = await member.driver.footprint(signal);
  const clean = footprint.state === 'data' && footprint.cleanShutdown;
  return {
    outcome: running ? 'stopped' : 'already',
    clean,
    tookMs,
    closedAtMs,
    // The shutdown checkpoint is the last record, and this is where it begins: whoever has more has all that anybody wrote. Its exact end would cost
    // a program's start inside the write gap.
    ...(clean ? { lsn: beyond(footprint.checkpointLsn), timeline: footprint.timeline } : {}),
  };
}

/** A standby alone: under a primary it would be a failover. @throws UnderstudyError `NotInRecovery` where this member holds no standby's role */
export async function restart({ member, standby }: Hands, ask: RestartAsk): Promise<Restarted> {
  await member.state.accept(ask.epoch, member.spec.name);
  if (standby === undefined || standby.epoch !== ask.epoch)
    throw new UnderstudyError('NotInRecovery', `${member.spec.name} holds no standby's role of epoch ${ask.epoch}: its database is not restarted`);
  return standby.restart(ask.why, ask.limitMs);
}

/** Puts a commit rule in force on this primary; with `confirm`, returns once everything written so far is flushed as it says. */
export async function govern(hands: Hands, ask: GovernAsk, signal: AbortSignal): Promise<Governed> {
  const { member } = hands;
  await member.state.accept(ask.epoch, member.spec.name);
  const live = await member.connect(signal);
  if ((await live.pulse()).inRecovery)
    throw new UnderstudyError('NotInRecovery', `${member.spec.name} is no primary: no commit rule can be put in force on it`);
  await member.exclusively(async () => {
    const last = member.state.state.governed ?? 0;
    if (ask.turn < last)
      throw new UnderstudyError('OrderStale', `this order about the commit rule is older than the last one that ${member.spec.name} has heard`, {
        turn: ask.turn,
        last,
      });
    await member.state.change({ rule: ask.rule, electable: ask.electable, governed: ask.turn });
    hands.primary?.ruleChanged(ask.rule);
    await member.settle(live, { upstream: undefined, rule: ask.rule, leaseMs: hands.leaseMs });
  });
  const mark = await placeToConfirm(member, live, ask);
  for (const until = performance.now() + ask.limitMs; ;) {
    const { followers } = await live.pulse();
    const following = followers
      .filter(({ state }) => state === 'streaming')
      .map(({ name }) => name)
      .toSorted();
    const flushed = followers.filter(({ name, flushedLsn }) => ask.rule.names.includes(name) && compareLsn(flushedLsn, mark) >= 0);
    const confirmed = flushed.length >= ask.rule.count;
    if (confirmed || !ask.confirm || performance.now() > until || signal.aborted) return { rule: ask.rule, confirmed, following };
    await pause(LOOK_PAUSE_MS);
  }
}

/**
 * Whoever counts by a new rule is heard only with its next reply, and commits that wait bring none (PostgreSQL releases waiters by replies alone):
 * a record of ours does, and everything written before it is confirmed with it.
 */
async function placeToConfirm(member: Member, live: LiveDatabase, { rule, limitMs }: GovernAsk): Promise<Lsn> {
  if (rule.count > 0) {
    try {
      return await live.mark(limitMs);
    } catch (error) {
      // Whether the database still writes is the probe's question.
      if (!(error instanceof UnderstudyError)) throw error;
      member.log.warn({ err: error }, 'no record could be written under the new commit rule');
    }
  }
  return (await live.pulse()).flushedLsn;
}

export async function checkpoint({ member }: Hands, ask: CheckpointAsk, signal: AbortSignal): Promise<{ tookMs: number }> {
  const startedMs = performance.now();
  const live = await member.connect(signal);
  const { rule } = ask;
  if (rule !== undefined) await member.exclusively(() => member.settleRule(live, rule));
  await live.checkpoint();
  return { tookMs: performance.now() - startedMs };
}

export async function firstWrite({ member }: Hands, ask: MemberAsk & { readonly limitMs: number }, signal: AbortSignal): Promise<{ lsn: Lsn; tookMs: number }> {
  await member.state.accept(ask.epoch, member.spec.name);
  const startedMs = performance.now();
  const live = await member.connect(signal);
  const committing = live.commitOnce(ask.limitMs);
  await nudge(member, live, committing);
  return { lsn: await committing, tookMs: performance.now() - startedMs };
}

/**
 * A standby that has confirmed all there was before it counted as caught up is heard again only with what comes next, or at its next report, a second later:
 * every commit would wait for that (PostgreSQL releases waiters by replies alone). A record of ours is what comes next.
 */
async function nudge(member: Member, live: LiveDatabase, committing: Promise<unknown>): Promise<void> {
  const over = committing.then(
    () => true,
    () => true,
  );
  for (const untilMs = performance.now() + NUDGE_FOR_MS; performance.now() < untilMs;) {
    if ((await Promise.race([over, pause(NUDGE_EVERY_MS)])) === true) return;
    try {
      await live.mark(NUDGE_FOR_MS);
    } catch (error) {
      // What it means is told by the commit itself.
      if (!(error instanceof UnderstudyError)) throw error;
      member.log.warn({ err: error }, 'no record could be written to hurry the first commit');
      return;
    }
  }
}
