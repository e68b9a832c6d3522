import { condition, log, ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import type { Answer } from '../src/decide/election.ts';
import { mayConfirm, ruleAfterPromotion, weakest } from '../src/decide/durability.ts';
import type { Founding } from '../src/decide/founding.ts';
import { DAY_MS, decideHold, type Hold } from '../src/decide/hold.ts';
import { decideLoss, type RoleEnd } from '../src/decide/loss.ts';
import { planSpecChange } from '../src/decide/spec-change.ts';
import type { FailoverAsk, SwitchoverAsk } from '../src/decide/operator.ts';
import type { MemberNews } from '../src/model/act.ts';
import { NO_RULE, type CommitRule } from '../src/model/group.ts';
import type { Actor, Cause, Incident, IncidentOutcome } from '../src/model/incident.ts';
import type { ChangeWord } from '../src/model/operator.ts';
import type { PrimaryRole } from '../src/model/role.ts';
import { failoverWorkflowId, switchoverWorkflowId } from '../src/model/name.ts';
import type { GroupStatus } from '../src/model/status.ts';
import { attributesAtStart, showGroup, type ShownGroup } from './attributes.ts';
import { failover } from './failover.ts';
import {
  decidingIncident,
  freshView,
  openIncident,
  outcomeWords,
  primaryOpen,
  primaryTaken,
  statusOf,
  type GroupState,
  type Loss,
  type MemberView,
} from './group-state.ts';
import type { ElectedWord, PromotedWord } from './messages.ts';
import { perhapsPublished, roleAtElection, standbyOfferedAgain } from './patches.ts';
import { isPublished, publishAll } from './publish.ts';
import { RoleBook, type Ended } from './roles.ts';
import { RuleKeeper } from './rule-keeper.ts';
import { switchover } from './switchover.ts';

const INCIDENTS_KEPT = 20;
/** A role that failed is offered again after this, doubled each time up to the limit. */
const OFFER_AGAIN_MS = 1000;
const OFFER_AGAIN_AT_MOST_MS = 30_000;
/** A primary that is out of our sight and lives is looked for again after this at the latest: its standbys tell of its end sooner. */
const LEFT_ALONE_AT_MOST_MS = 10 * 60_000;
const RETRY_AFTER_NOBODY_MS = 30_000;
const REJOIN_AFTER_MS = 1000;
/** Beyond the lease itself, for an agent that is being restarted. */
const TAKE_UP_GRACE_MS = 1000;
/** A primary that was open for so long has come back: what it took to bring it back is not held against it at the next end. */
const STEADY_AFTER_MS = 60_000;

/** One group's mind within one run: hears what happens, asks the pure decisions what follows, and orders it. */
export class GroupKeeper {
  readonly state: GroupState;
  readonly #roles: RoleBook;
  readonly #rules: RuleKeeper;
  readonly #inbox: (() => void)[] = [];
  readonly #standbyFailures = new Map<string, number>();
  readonly #standbyDue = new Map<string, number>();
  #shown = '';
  #shownAttributes: ShownGroup | undefined;
  #publishing = false;
  /** Whom the open incident is opening: should its workflow end without a report, that member may have taken writes. */
  #elected: ElectedWord | undefined;
  /** How the primary's role ended while an incident was open: what the incident did not need to hear is heard after it. */
  #endedMeanwhile: RoleEnd | undefined;
  #waitingWords: string | undefined;

  constructor(state: GroupState) {
    this.state = state;
    this.#roles = new RoleBook((ended) => this.#inbox.push(() => this.#heedEnd(ended)));
    this.#rules = new RuleKeeper(state, () => this.#inbox.push(() => undefined));
  }

  get status(): GroupStatus {
    return statusOf(this.state, decidingIncident(this.state) !== undefined, this.#waitingWords);
  }

  get roles(): RoleBook {
    return this.#roles;
  }

  // ---- beginning ----

  begin(founding: Extract<Founding, { begin: 'found' | 'adopt' }>, answers: readonly Answer[]): void {
    const { state } = this;
    const highest = Math.max(0, ...answers.map((answer) => ('report' in answer ? answer.report.epoch : 0)));
    state.stopped = undefined;
    this.#waitingWords = undefined;
    state.epoch = founding.epoch;
    state.highestEpoch = Math.max(highest, founding.epoch);
    state.primary = founding.primary;
    state.recorded = NO_RULE;
    state.inForce = undefined;
    state.publishing = true;
    state.founding = founding.begin === 'found';
    log.info('group begins', { group: state.spec.name, begin: founding.begin, primary: founding.primary, epoch: founding.epoch, words: founding.words });
    // Beside a primary that runs already, its lease decides when the role counts as lost: at least L, and then the quarantine (protocol 2).
    this.#offerPrimary({ patient: founding.begin === 'found' });
    this.#offerStandbys();
  }

  explainWaiting(words: string, refused: boolean): void {
    this.state.stopped = refused ? words : undefined;
    this.#waitingWords = words;
    this.#show();
  }

  /** A new run of the same workflow: every role is offered anew at once, and nothing is taken away because it began (protocol 8). */
  takeUpAgain(): void {
    const { state } = this;
    if (state.primary === null) return;
    // A role that is being taken away is not offered anew: its end is waited for.
    if (state.after === undefined && state.stopped === undefined) this.#offerPrimary({ patient: state.held !== undefined || state.due.retry !== undefined });
    this.#offerStandbys();
  }

  /** The life of a run: one thing after another, and nothing at all while nothing happens. */
  async keep(isTimeForANewRun: () => boolean): Promise<void> {
    const { state } = this;
    for (;;) {
      for (let act = this.#inbox.shift(); act !== undefined; act = this.#inbox.shift()) act();
      this.#heedClock();
      this.#rules.kick();
      this.#publish();
      this.#show();
      if (isTimeForANewRun() && this.#isQuiet()) return;
      const dueMs = this.#nextDueMs();
      const wake = (): boolean => this.#inbox.length > 0 || (isTimeForANewRun() && this.#isQuiet());
      if (dueMs === undefined) await condition(wake);
      else await condition(wake, Math.max(1, dueMs - Date.now()), { summary: `next check of ${state.spec.name}` });
    }
  }

  #isQuiet(): boolean {
    const { state } = this;
    // A group in trouble has a long life, too: where it waits for a person, for a time or for the next try, its state says so.
    const waits = primaryOpen(state) || state.held !== undefined || state.due.retry !== undefined || state.stopped !== undefined;
    return (
      waits && !state.incidents.some(({ endedAtMs }) => endedAtMs === undefined) && !this.#rules.busy && state.after === undefined && this.#inbox.length === 0
    );
  }

  /** Something has changed that the loop must look at. */
  wake(): void {
    this.#inbox.push(() => undefined);
  }

  // ---- what members and incidents say ----

  hearNews(word: MemberNews): void {
    const { state } = this;
    // Whatever a signal may carry.
    const view = state.members[word?.member];
    if (view === undefined || !(word.turn >= view.turn)) return;
    view.phase = word.phase;
    if (word.words === undefined) delete view.words;
    else view.words = word.words;
    if (word.following !== undefined) view.following = word.following;
    if (word.role === 'standby' && word.phase === 'following') this.#standbyFailures.delete(word.member);
    if (word.unfed === true) this.#inbox.push(() => this.#heedUnfed());
    if (word.member === state.primary && word.phase === 'open') {
      state.systemId ??= word.systemId;
      this.#heedOpen(view);
    }
    this.wake();
  }

  /** A primary that no heartbeat reaches us from was left alone because its standbys were fed: that is over, and is looked at anew. */
  #heedUnfed(): void {
    const { state } = this;
    const left = state.incidents.at(-1)?.outcome.startsWith('primary-lives') === true;
    if (left && !primaryTaken(state) && state.lastLoss !== undefined && decidingIncident(state) === undefined && state.after === undefined)
      this.#takeAway(state.lastLoss);
  }

  #heedOpen(view: MemberView): void {
    const { state } = this;
    state.founding = false;
    if (state.held !== undefined) state.override = false;
    state.held = undefined;
    state.stopped = undefined;
    state.lastLoss = undefined;
    state.due = {};
    state.openSinceMs ??= Date.now();
    state.aloneSinceMs = (view.following ?? []).length > 0 ? undefined : (state.aloneSinceMs ?? Date.now());
    if (state.aloneSinceMs === undefined) state.relaxed = false;
  }

  /** The others are pointed at the winner while it is being promoted: what they have received is no more than it has. */
  hearElected(word: ElectedWord): void {
    const { state } = this;
    const { member, epoch } = word;
    state.highestEpoch = Math.max(state.highestEpoch, epoch);
    // One that an earlier life of this group began may still be at work: whom it promotes is heard, but nobody is moved on its mere intention.
    if (decidingIncident(state)?.id !== word.incident) return;
    this.#elected = word;
    this.#inbox.push(() => {
      // It is promoted by its incident: whatever becomes of the role that it lets go of is no news.
      this.#roles.forget(member);
      this.#standbyDue.delete(member);
      const view = state.members[member];
      // From its order to promote on it refuses every epoch before, whether it is promoted or not.
      if (view !== undefined) state.members[member] = { ...view, epoch, turn: this.#turn() };
      if (roleAtElection()) this.#offerElected(word);
      for (const { name } of state.spec.members) {
        if (name !== member && name !== state.primary) this.#offerStandby(name, member, epoch);
      }
    });
  }

  /** The lease of its promotion ends with the promotion; that of its role is to be there by then. */
  #offerElected({ member, epoch, inForce, electable }: ElectedWord): void {
    const { spec } = this.state;
    const turn = this.#turn();
    this.#view(member, { role: 'primary', epoch, turn, phase: 'waiting' });
    const order = { ...this.#primaryOrder(member, epoch, turn), rule: inForce, electable, afterPromotion: true as const, found: false };
    this.#roles.primary(spec, order, spec.leaseMs + TAKE_UP_GRACE_MS);
  }

  /** Its database stands still, which would keep it from answering the next election. */
  hearRefused({ member, epoch }: { member: string; epoch: number }): void {
    this.#inbox.push(() => {
      const { state } = this;
      if (decidingIncident(state) !== undefined && epoch > state.epoch && member !== state.primary) this.#offerStandby(member, state.primary ?? member, epoch);
    });
  }

  hearPromoted(word: PromotedWord): void {
    this.#inbox.push(() => {
      const { state } = this;
      if (word.epoch <= state.epoch) return;
      const before = state.primary;
      this.#waitingWords = undefined;
      state.epoch = word.epoch;
      state.highestEpoch = Math.max(state.highestEpoch, word.epoch);
      state.primary = word.member;
      state.fork = word.fork;
      this.#taking(word);
      if (state.incidents.find(({ id }) => id === word.incident)?.kind === 'failover') {
        state.lastFailoverAtMs = Date.now();
        state.failoversAtMs = [...state.failoversAtMs.filter((atMs) => atMs > Date.now() - DAY_MS), Date.now()];
        state.override = false;
      }
      const taken = state.members[word.member];
      if (this.#roles.holds(word.member) !== 'primary' || taken?.epoch !== word.epoch) this.#offerPrimary({ patient: false });
      else if (taken.phase === 'open') this.#heedOpen(taken);
      for (const { name } of state.spec.members) {
        const view = state.members[name];
        if (name === word.member) continue;
        // Its role may have ended since the election gave it, and nobody heeds that while an incident decides.
        const given = view?.role === 'standby' && view.epoch === word.epoch;
        if (given && (this.#roles.holds(name) === 'standby' || !standbyOfferedAgain())) continue;
        if (name !== before) this.#offerStandby(name, word.member, word.epoch);
        else this.#rejoinSoon(name);
      }
    });
  }

  /** The old primary's way back costs its host, and perhaps the new one's, some work: clients come first. */
  #rejoinSoon(name: string): void {
    this.#roles.forget(name);
    this.#view(name, { role: 'none', epoch: this.state.members[name]?.epoch ?? 0, turn: this.#turn(), phase: 'waiting' });
    this.#standbyDue.set(name, Date.now() + REJOIN_AFTER_MS);
  }

  /** What a new primary has in force from its first write on; what is recorded must hold for the commits before it, too. */
  #taking({ inForce, electable }: Pick<PromotedWord, 'inForce' | 'electable'>): void {
    const { state } = this;
    state.recorded = weakest(state.recorded, inForce);
    state.inForce = inForce;
    state.electable = [...electable];
    state.acknowledged = [...electable];
    state.restartsTried = 0;
    state.held = undefined;
    state.stopped = undefined;
    state.due = {};
    state.after = undefined;
    state.lastLoss = undefined;
    state.openSinceMs = undefined;
    state.aloneSinceMs = undefined;
    state.relaxed = false;
  }

  // ---- roles ----

  #turn(): number {
    this.state.turn = Math.max(this.state.turn + 1, Date.now());
    return this.state.turn;
  }

  /** @param patient it is waited for without limit: somebody or something else decides when to go on without it */
  #offerPrimary({ patient, longer = 1 }: { patient: boolean; longer?: number }): void {
    const { state } = this;
    const { spec, primary, epoch } = state;
    if (primary === null) return;
    delete state.due.offer;
    const turn = this.#turn();
    this.#view(primary, { role: 'primary', epoch, turn, phase: 'waiting' });
    this.#roles.primary(
      spec,
      this.#primaryOrder(primary, epoch, turn),
      patient ? undefined : Math.min((spec.leaseMs + TAKE_UP_GRACE_MS) * longer, Math.max(spec.leaseMs + TAKE_UP_GRACE_MS, LEFT_ALONE_AT_MOST_MS)),
    );
  }

  #primaryOrder(member: string, epoch: number, turn: number): PrimaryRole {
    const { state } = this;
    const { spec } = state;
    return {
      group: spec.name,
      member,
      epoch,
      turn,
      leaseMs: spec.leaseMs,
      rule: state.inForce ?? state.recorded,
      electable: state.electable,
      others: this.#others(member),
      found: state.founding,
      ...this.#system,
      hungAfterMs: spec.policy.hungAfterMs,
      stopWithinMs: spec.policy.stopWithinMs,
    };
  }

  #offerStandbys(): void {
    const { spec, primary, epoch } = this.state;
    for (const { name } of spec.members) if (primary !== null && name !== primary) this.#offerStandby(name, primary, epoch);
  }

  #offerStandby(name: string, upstreamName: string, epoch: number): void {
    const { spec } = this.state;
    const upstream = spec.members.find((member) => member.name === upstreamName);
    this.#standbyDue.delete(name);
    if (upstream === undefined || name === upstreamName || !spec.members.some((member) => member.name === name)) return;
    const turn = this.#turn();
    this.#view(name, { role: 'standby', epoch, turn, phase: 'waiting' });
    this.#roles.standby(spec, {
      group: spec.name,
      member: name,
      epoch,
      turn,
      leaseMs: spec.leaseMs,
      upstream: { member: upstream.name, host: upstream.host, port: upstream.port },
      rule: this.#ruleToOpenWith(name, upstreamName),
      others: this.#others(name),
      ...this.#system,
      stopWithinMs: spec.policy.stopWithinMs,
    });
  }

  /** What an incident would open this member with, if everybody but the primary of today answered it. */
  #ruleToOpenWith(elected: string, primary: string): CommitRule {
    const { spec, excluded } = this.state;
    const members = spec.members.map(({ name }) => name);
    const following = members.filter((name) => name !== elected && name !== primary);
    return ruleAfterPromotion({
      durability: spec.durability,
      elected,
      reachable: mayConfirm({ members: spec.members, following, excluded: Object.keys(excluded) }),
      members,
    });
  }

  get #system(): { systemId?: string } {
    return this.state.systemId === undefined ? {} : { systemId: this.state.systemId };
  }

  #others(name: string): string[] {
    return this.state.spec.members.map((member) => member.name).filter((other) => other !== name);
  }

  #view(name: string, view: MemberView): void {
    const before = this.state.members[name] ?? freshView();
    this.state.members[name] = { ...view, ...(before.lastEnd === undefined ? {} : { lastEnd: before.lastEnd }) };
  }

  #heedEnd(ended: Ended): void {
    // Another run of this group has shown it to that member: the next incident goes above it, and takes the member along.
    this.state.highestEpoch = Math.max(this.state.highestEpoch, ended.seenEpoch ?? 0);
    const view = this.state.members[ended.member];
    if (view !== undefined) {
      view.lastEnd = 'words' in ended.end ? `${ended.end.end}: ${ended.end.words}` : ended.end.end;
      view.phase = ended.end.end === 'silent' || ended.end.end === 'timed-out' ? 'silent' : 'waiting';
      delete view.following;
      // News of the role that has ended may still be on its way, and is none.
      view.turn = this.#turn();
    }
    if (ended.kind === 'standby') this.#heedStandbyEnd(ended);
    else if (ended.member === this.state.primary) this.#heedPrimaryEnd(ended.end);
  }

  #heedStandbyEnd({ member, end }: Extract<Ended, { kind: 'standby' }>): void {
    const { state } = this;
    // In an incident its own orders follow, at its end at the latest; what was let go of for them is no news.
    if (decidingIncident(state) !== undefined) return;
    if (end.end === 'silent' || end.end === 'paused') {
      log.warn("a standby's role ended", { member, ...end });
      this.#offerStandby(member, state.primary ?? member, state.epoch);
      return;
    }
    const failures = (this.#standbyFailures.get(member) ?? 0) + 1;
    this.#standbyFailures.set(member, failures);
    log.warn("a standby's role ended", { member, failures, ...end });
    this.#standbyDue.set(member, Date.now() + Math.min(OFFER_AGAIN_MS * 2 ** (failures - 1), OFFER_AGAIN_AT_MOST_MS));
  }

  #heedPrimaryEnd(end: RoleEnd | { end: 'taken-back' }): void {
    const { state } = this;
    const { after } = state;
    if (state.openSinceMs !== undefined && Date.now() - state.openSinceMs > STEADY_AFTER_MS) state.restartsTried = 0;
    state.openSinceMs = undefined;
    // An order that nobody had taken up is no fence, and undoes none: what was known before it still holds. One that was taken up may have opened.
    const taken = end.end !== 'taken-back' && !(end.end === 'timed-out' && end.kind === 'not-taken-up');
    if (after !== undefined) {
      state.after = undefined;
      this.#beginFailover(
        taken ? { cause: after.loss.cause, fencedBy: end.end === 'fenced' ? 'agent' : 'lease', endedAtMs: Date.now(), ...this.#lastAfter(end) } : after.loss,
        after.ask,
      );
      return;
    }
    if (end.end === 'taken-back') return;
    if (decidingIncident(state) === undefined) {
      this.#decide(end);
      return;
    }
    this.#endedMeanwhile = end;
    if (taken) this.#remember(end, 'words' in end ? end.words : 'its lease ran out while an incident was open');
  }

  /** A primary's role has ended, and no incident is open: what follows? */
  #decide(end: RoleEnd): void {
    const { state } = this;
    const verdict = decideLoss({
      end,
      spec: state.spec,
      rule: state.recorded,
      standbys: this.#others(state.primary ?? '').map((name) => ({
        member: name,
        streaming: state.members[name]?.phase === 'following',
        electable: state.electable.includes(name) && !(name in state.excluded),
      })),
      restartsTried: state.restartsTried,
      nowMs: Date.now(),
    });
    log.warn("the primary's role ended", { member: state.primary, end, follow: verdict.follow });
    switch (verdict.follow) {
      case 'failover': {
        const before = end.end === 'timed-out' && end.kind === 'not-taken-up' ? state.lastLoss : undefined;
        this.#beginFailover({ cause: verdict.cause, fencedBy: before?.fencedBy ?? verdict.fencedBy, ...this.#lastAfter(end) });
        return;
      }
      case 'restart':
        state.restartsTried += 1;
        state.due.restart = Date.now() + state.spec.policy.restartWithinMs;
        this.#remember(end, verdict.words);
        this.#offerPrimary({ patient: false });
        return;
      case 'offer-again':
        state.restartsTried += 1;
        this.#remember(end, verdict.words);
        state.due.offer =
          Date.now() +
          (end.end === 'paused' || end.end === 'superseded' ? 0 : Math.min(OFFER_AGAIN_MS * 2 ** (state.restartsTried - 1), OFFER_AGAIN_AT_MOST_MS));
        return;
      case 'stop':
        state.stopped = verdict.words;
        log.error('the group has stopped: a person is needed', { group: state.spec.name, words: verdict.words });
    }
  }

  /** For a failover that follows when bringing the primary back does not help. */
  #remember(end: RoleEnd, words: string): void {
    const fencedBy = end.end === 'fenced' ? 'agent' : 'lease';
    const kind = end.end === 'fenced' && end.cause !== 'asked' ? end.cause : end.end === 'fenced' ? 'not-started' : 'not-taken-up';
    this.state.lastLoss = { cause: { kind, words, knownAtMs: Date.now() }, fencedBy, ...this.#lastAfter(end) };
  }

  /** Its last place: as its end tells it, or, where the order was never opened under, as it was known before. */
  #lastAfter(end: RoleEnd | { end: 'taken-back' }): Pick<Loss, 'last'> {
    const { lastLoss } = this.state;
    const neverOpen = (end.end === 'timed-out' && end.kind === 'not-taken-up') || (end.end === 'fenced' && end.cause === 'not-started');
    return { ...(neverOpen && lastLoss?.last !== undefined ? { last: lastLoss.last } : {}), ...lastOf(end) };
  }

  // ---- incidents ----

  #beginFailover(loss: Loss, ask?: FailoverAsk, continuing = false): void {
    const { state } = this;
    state.lastLoss = loss;
    // What was to follow, had this not come: none of it may happen beside a promotion.
    state.due = {};
    state.after = undefined;
    if (ask === undefined && !continuing) {
      const hold = this.#holdNow();
      if (hold.held) {
        log.warn('a failover is held back', { group: state.spec.name, rule: hold.rule, words: hold.words });
        state.held = { rule: hold.rule, words: hold.words, override: hold.override, loss, ...(hold.untilMs === undefined ? {} : { untilMs: hold.untilMs }) };
        // Meanwhile the same member may come back at the same epoch: that needs no promotion.
        this.#offerPrimary({ patient: true });
        return;
      }
    }
    state.held = undefined;
    if (state.primary !== null) this.#roles.forget(state.primary);
    const epoch = this.#nextEpoch();
    const actor: Actor = ask === undefined ? { kind: 'policy' } : { kind: 'person', name: ask.by, reason: ask.reason };
    const id = failoverWorkflowId(state.spec.name, epoch);
    this.#noteIncident(id, 'failover', epoch, loss.cause.kind);
    const input = {
      ...this.#incidentInput(epoch, loss, actor),
      fencedBy: ask?.fencedByHand === true ? ('person' as const) : loss.fencedBy,
      restartsTried: state.restartsTried,
      ...(state.fork === undefined ? {} : { fork: state.fork }),
      ...this.#system,
      ...(ask?.to === undefined ? {} : { target: ask.to }),
      ...(ask?.acceptLoss === true ? { acceptLoss: { by: ask.by, reason: ask.reason } } : {}),
    };
    void this.#follow(id, startChild(failover, { ...this.#childOptions(id, 'failover', epoch, loss.cause), args: [input] }));
  }

  #holdNow(): Hold {
    const { state } = this;
    return decideHold({
      nowMs: Date.now(),
      policy: state.spec.policy,
      ...(state.lastFailoverAtMs === undefined ? {} : { lastFailoverAtMs: state.lastFailoverAtMs }),
      failoversAtMs: state.failoversAtMs,
      ...(state.paused === undefined ? {} : { paused: state.paused }),
      override: state.override,
      incidentOpen: false,
      group: state.spec.name,
    });
  }

  beginSwitchover(ask: SwitchoverAsk): string {
    const { state } = this;
    const epoch = this.#nextEpoch();
    const id = switchoverWorkflowId(state.spec.name, epoch);
    const cause = { kind: 'operator' as const, words: `${ask.by} asked for a switchover: ${ask.reason}`, knownAtMs: Date.now() };
    this.#noteIncident(id, 'switchover', epoch, 'operator');
    const input = {
      ...this.#incidentInput(epoch, { cause, fencedBy: 'agent' }, { kind: 'person', name: ask.by, reason: ask.reason }),
      ...(ask.to === undefined ? {} : { to: ask.to }),
    };
    void this.#follow(id, startChild(switchover, { ...this.#childOptions(id, 'switchover', epoch, cause), args: [input] }));
    return id;
  }

  /** An operator's failover: a primary that is still there is fenced first; one that a person vouches for is not waited for. */
  forceFailover(ask: FailoverAsk): void {
    const { state } = this;
    const cause = { kind: 'operator' as const, words: `${ask.by} asked for a failover: ${ask.reason}`, knownAtMs: Date.now() };
    const loss = { ...(state.lastLoss ?? { fencedBy: 'lease' as const }), cause };
    if (ask.fencedByHand === true) this.#beginFailover(loss, ask);
    else this.#takeAway(loss, ask);
  }

  #takeAway(loss: Loss, ask?: FailoverAsk): void {
    const { state } = this;
    if (state.primary === null || this.#roles.holds(state.primary) !== 'primary') {
      this.#beginFailover(loss, ask);
      return;
    }
    state.after = { loss, ...(ask === undefined ? {} : { ask }) };
    this.#roles.takeBack(state.primary);
  }

  /** Another configuration, checked by the validator: nothing is restarted or demoted for it. */
  change({ spec, specHash, by }: ChangeWord): string {
    const { state } = this;
    if (specHash !== undefined) state.specHash = specHash;
    const plan = planSpecChange(state.spec, spec, this.status);
    for (const { name } of state.spec.members) {
      if (spec.members.some((member) => member.name === name)) continue;
      this.#roles.forget(name);
      this.#standbyDue.delete(name);
      state.members = Object.fromEntries(Object.entries(state.members).filter(([member]) => member !== name));
    }
    const added = spec.members.filter(({ name }) => !(name in state.members));
    state.spec = spec;
    for (const { name } of added) {
      state.members[name] = freshView();
      if (state.primary !== null && state.primary !== name) this.#offerStandby(name, state.primary, state.epoch);
    }
    // What stopped the group may be what was put right.
    const anew = plan.some(({ effect }) => effect === 'reassign-roles') || (state.stopped !== undefined && plan.length > 0);
    if (anew) state.stopped = undefined;
    if (anew && state.epoch > 0) this.takeUpAgain();
    if (plan.some(({ effect }) => effect === 'publish')) state.publishing = true;
    log.info('configuration changed', { by, changes: plan.map(({ change }) => change) });
    return plan.length === 0 ? 'nothing to change' : plan.map(({ change, from, to }) => `${change}: ${from} -> ${to}`).join('; ');
  }

  /** Words that nobody waits for an answer to: they are shown with the group. */
  note(words: string): void {
    this.#waitingWords = words;
    this.wake();
  }

  /** What held a failover back is over, or was lifted. */
  liftHold(): void {
    const { state } = this;
    const { held } = state;
    if (held === undefined) return;
    state.held = undefined;
    if (primaryTaken(state)) return;
    this.#takeAway(held.loss);
  }

  #nextEpoch(): number {
    this.state.highestEpoch = Math.max(this.state.highestEpoch, this.state.epoch) + 1;
    return this.state.highestEpoch;
  }

  #incidentInput(epoch: number, loss: Loss, actor: Actor) {
    const { state } = this;
    return {
      spec: state.spec,
      owner: state.owner,
      epoch,
      cause: loss.cause,
      actor,
      before: {
        primary: state.primary ?? '',
        epoch: state.epoch,
        rule: state.recorded,
        ...(loss.last === undefined ? {} : { last: loss.last }),
        ...(loss.endedAtMs === undefined ? {} : { endedAtMs: loss.endedAtMs }),
      },
      electable: state.electable,
      excluded: Object.keys(state.excluded),
      attributes: state.attributes ? ('given' as const) : false,
    };
  }

  #childOptions(workflowId: string, kind: Incident['kind'], epoch: number, cause: Cause) {
    const { spec, attributes } = this.state;
    // A dead or hung worker must not cost ten seconds in the middle of a failover (protocol 9). The incident outlives a group that is terminated.
    return {
      workflowId,
      staticSummary: `${kind} of ${spec.name}: ${cause.words}`.slice(0, 200),
      ...(attributes ? { typedSearchAttributes: attributesAtStart({ group: spec.name, kind, epoch }, cause.kind) } : {}),
      workflowTaskTimeout: '2s',
      parentClosePolicy: ParentClosePolicy.ABANDON,
      taskQueue: workflowInfo().taskQueue,
    } as const;
  }

  #noteIncident(id: string, kind: Incident['kind'], epoch: number, cause: string): void {
    this.#endedMeanwhile = undefined;
    this.state.incidents = [...this.state.incidents, { id, kind, epoch, cause, outcome: 'running', startedAtMs: Date.now() }].slice(-INCIDENTS_KEPT);
  }

  /** Records that an incident did not bring to an end are the group's to publish: it lives longer. */
  async #follow(id: string, starting: Promise<{ result(): Promise<Incident> }>): Promise<void> {
    let outcome: IncidentOutcome;
    try {
      const handle = await starting;
      const incident = await handle.result();
      ({ outcome } = incident);
      if (outcome.outcome === 'done' && !isPublished(incident)) this.state.publishing = true;
    } catch (error) {
      const words = `the incident's workflow ended without a report: ${error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error)}`;
      // A workflow that has ended is no fence (protocol 2): whom it was opening may be open.
      const opening = this.#elected?.incident === id ? this.#elected : undefined;
      outcome = {
        outcome: 'failed',
        words,
        ...(opening === undefined ? {} : { perhaps: { member: opening.member, epoch: opening.epoch, rule: opening.inForce, electable: opening.electable } }),
      };
    }
    this.#inbox.push(() => this.#heedOutcome(id, outcome));
  }

  #heedOutcome(id: string, outcome: IncidentOutcome): void {
    const { state } = this;
    const promoted = (state.incidents.find((line) => line.id === id)?.epoch ?? 0) <= state.epoch;
    state.incidents = state.incidents.map((line) => (line.id === id ? { ...line, outcome: outcomeWords(outcome), endedAtMs: Date.now() } : line));
    this.#waitingWords = undefined;
    log.info('incident ended', { id, outcome });
    if (promoted) {
      // Roles were given when the promotion was told; what is missing now is the rest of what it had to do for clients.
      if (outcome.outcome !== 'done') state.publishing = true;
      return;
    }
    if (outcome.outcome === 'failed' && outcome.perhaps !== undefined) {
      this.#heedPerhaps(outcome.perhaps, outcome.words);
      return;
    }
    if (outcome.outcome === 'restarted') {
      state.restartsTried += 1;
      state.due.restart = Date.now() + state.spec.policy.restartWithinMs;
    }
    if (outcome.outcome === 'nobody-fit' || outcome.outcome === 'failed') state.due.retry = Date.now() + RETRY_AFTER_NOBODY_MS;
    // A member that has seen a later epoch would refuse this one: the primary goes on at an epoch above all of them.
    const anew = this.#someoneSawLater();
    if (anew) {
      state.epoch = this.#nextEpoch();
      state.publishing = true;
    }
    const meanwhile = this.#endedMeanwhile;
    if (outcome.outcome === 'refused' && meanwhile !== undefined) {
      // Nothing has been done about it yet: it is an end like any other.
      this.#decide(meanwhile);
      return;
    }
    if (state.primary !== null && this.#roles.holds(state.primary) !== 'primary') this.#offerPrimary({ ...this.#patienceAfter(outcome) });
    else if (anew) this.#offerPrimary({ patient: false });
    // What was refused touched nobody; everything else has frozen or repointed some.
    for (const { name } of state.spec.members) {
      if (name !== state.primary && (anew || outcome.outcome !== 'refused' || this.#roles.holds(name) !== 'standby'))
        this.#offerStandby(name, state.primary ?? name, state.epoch);
    }
  }

  /**
   * How long the old primary is waited for. Where only a person's word or the next try is to come, without limit; else an order that nobody takes up
   * means what a lost lease means, later each time that the primary was seen to live.
   */
  #patienceAfter({ outcome }: IncidentOutcome): { patient: boolean; longer?: number } {
    switch (outcome) {
      case 'nobody-fit':
      case 'failed':
      case 'observed':
      case 'not-approved':
        return { patient: true };
      case 'primary-lives': {
        const others = this.state.incidents.toReversed().findIndex((line) => !line.outcome.startsWith('primary-lives'));
        return { patient: false, longer: 2 ** Math.max(0, Math.min(10, (others < 0 ? this.state.incidents.length : others) - 1)) };
      }
      default:
        return { patient: false };
    }
  }

  #someoneSawLater(): boolean {
    return Object.values(this.state.members).some((view) => view.epoch > this.state.epoch);
  }

  /** Whoever fell silent while it was being opened counts as the lost primary of that epoch: only its lease and the quarantine prove its end. */
  #heedPerhaps({ member, epoch, rule, electable }: NonNullable<Extract<IncidentOutcome, { outcome: 'failed' }>['perhaps']>, words: string): void {
    const { state } = this;
    state.epoch = epoch;
    state.highestEpoch = Math.max(state.highestEpoch, epoch);
    state.primary = member;
    state.fork = undefined;
    this.#taking({ inForce: rule, electable });
    // Should it turn out to live, clients must find it.
    state.publishing ||= perhapsPublished();
    // It may have been one: it counts among those that the policy limits.
    state.lastFailoverAtMs = Date.now();
    state.failoversAtMs = [...state.failoversAtMs.filter((atMs) => atMs > Date.now() - DAY_MS), Date.now()];
    this.#offerStandbys();
    this.#beginFailover({ cause: { kind: 'lease-expired', words, knownAtMs: Date.now() }, fencedBy: 'lease' }, undefined, true);
  }

  // ---- time ----

  #heedClock(): void {
    const { state } = this;
    const now = Date.now();
    // While an incident may promote somebody, its own orders follow: an old one would wake a member that it has frozen, or another primary.
    if (decidingIncident(state) !== undefined) {
      state.due = {};
      this.#standbyDue.clear();
    }
    for (const [name, dueMs] of this.#standbyDue) if (dueMs <= now) this.#offerStandby(name, state.primary ?? name, state.epoch);
    if (isDue(state.due.offer)) {
      delete state.due.offer;
      this.#offerPrimary({ patient: false });
    }
    if (isDue(state.due.restart)) {
      delete state.due.restart;
      if (!primaryOpen(state) && state.lastLoss !== undefined && state.electable.length > 0) this.#giveUpStarting(state.lastLoss);
    }
    if (isDue(state.due.retry)) {
      delete state.due.retry;
      if (!primaryTaken(state) && state.lastLoss !== undefined) this.#takeAway(state.lastLoss);
    }
    if (state.held?.untilMs !== undefined && state.held.untilMs <= now) this.liftHold();
    if (state.paused?.untilMs !== undefined && state.paused.untilMs <= now) state.paused = undefined;
    const relaxAtMs = this.#relaxAtMs();
    if (relaxAtMs !== undefined && relaxAtMs <= now) {
      state.relaxed = true;
      log.warn('no standby is left: the commit rule is relaxed as the policy says', { group: state.spec.name });
    }

    function isDue(dueMs: number | undefined): boolean {
      return dueMs !== undefined && dueMs <= now;
    }
  }

  /** The start in place takes too long. Where nobody may be promoted without a person or a pause, it is all that there is: it is let go on. */
  #giveUpStarting(loss: Loss): void {
    const { due, spec } = this.state;
    const hold = this.#holdNow();
    if (hold.held) {
      if (hold.untilMs !== undefined) due.restart = hold.untilMs;
    } else if (spec.policy.mode === 'automatic' && spec.policy.approval === 'none') this.#takeAway(loss);
  }

  #relaxAtMs(): number | undefined {
    const { durability } = this.state.spec;
    if (
      durability.mode !== 'sync' ||
      durability.relaxAfterMs === undefined ||
      this.state.relaxed ||
      this.state.aloneSinceMs === undefined ||
      !primaryOpen(this.state)
    )
      return undefined;
    return this.state.aloneSinceMs + durability.relaxAfterMs;
  }

  #nextDueMs(): number | undefined {
    const { due, held, paused } = this.state;
    const all = [
      due.offer,
      due.restart,
      due.retry,
      held?.untilMs,
      paused?.untilMs,
      this.#relaxAtMs(),
      this.#rules.againAtMs,
      ...this.#standbyDue.values(),
    ].filter((at) => at !== undefined);
    return all.length === 0 ? undefined : Math.min(...all);
  }

  // ---- showing ----

  #publish(): void {
    const { state } = this;
    if (!state.publishing || this.#publishing || !primaryOpen(state) || openIncident(state) !== undefined || state.primary === null) return;
    this.#publishing = true;
    const { epoch, primary } = state;
    const overtaken = (): boolean => state.epoch !== epoch;
    void publishAll({ spec: state.spec, owner: state.owner, primary, epoch, idPrefix: `group/${state.turn}`, seen: () => undefined, overtaken }).then(() => {
      this.#publishing = false;
      if (!overtaken()) state.publishing = false;
      this.wake();
    });
  }

  #show(): void {
    const { status } = this;
    const text = JSON.stringify(status);
    if (text === this.#shown) return;
    this.#shown = text;
    this.#shownAttributes = showGroup(status, this.state.attributes, this.#shownAttributes);
  }
}

function lastOf(end: RoleEnd | { end: 'taken-back' }): Pick<Loss, 'last'> {
  if (end.end === 'fenced' && end.lsn !== undefined) return { last: { lsn: end.lsn, ...(end.timeline === undefined ? {} : { timeline: end.timeline }) } };
  if (end.end === 'timed-out' && end.last?.lsn !== undefined)
    return { last: { lsn: end.last.lsn, ...(end.last.timeline === undefined ? {} : { timeline: end.last.timeline }) } };
  return {};
}
