import { allHandlersFinished, CancellationScope, CancelledFailure, condition, isCancellation, setHandler, workflowInfo } from '@temporalio/workflow';
import { mayConfirm, ruleAfterPromotion, ruleOnTaking, type TakingInput } from '../src/decide/durability.ts';
import { elect, recordElection, type Answer, type Election, type ElectionInput } from '../src/decide/election.ts';
import { restartInstead } from '../src/decide/loss.ts';
import { orchestratorWasAway } from '../src/decide/outage.ts';
import type { PassedTimeline } from '../src/model/act.ts';
import type { CommitRule, GroupSpec } from '../src/model/group.ts';
import type { Actor, Cause, Incident, IncidentOutcome } from '../src/model/incident.ts';
import type { Signed } from '../src/model/operator.ts';
import { Acceptance } from './acceptance.ts';
import { ApprovalDesk } from './approval.ts';
import { askAll } from './ask.ts';
import { showIncident, type Attributes } from './attributes.ts';
import type { Fork } from './group-state.ts';
import { IncidentLog } from './incident-log.ts';
import * as messages from './messages.ts';
import { openOn } from './open.ts';
import { settleClients } from './settle-clients.ts';
import { tellGroup } from './tell.ts';

export interface FailoverInput {
  readonly spec: GroupSpec;
  /** Whose the records are: `<namespace>/<group>`. */
  readonly owner: string;
  /** The first epoch that it may begin; each further try takes the next. */
  readonly epoch: number;
  readonly cause: Cause;
  readonly actor: Actor;
  readonly before: Incident['before'];
  readonly fencedBy: 'agent' | 'lease' | 'person';
  readonly electable: readonly string[];
  readonly excluded: readonly string[];
  readonly restartsTried: number;
  readonly systemId?: string;
  /** Where the old primary's timeline began: a standby that had not yet followed onto it is behind, not astray. */
  readonly fork?: Fork;
  readonly target?: string;
  readonly acceptLoss?: { readonly by: string; readonly reason: string };
  /** Whether the search attributes are registered, so that they can be set. */
  readonly attributes: Attributes;
}

/** An election that nobody won is held again so many times before the incident ends and the group waits for news. */
const ROUNDS = 12;
/** A candidate whose agent refused its promotion so often is left out. */
const TRIES_EACH = 3;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const FREEZE = { agent: 'when-unfed', lease: 'when-quiet', person: 'now' } as const;

/** One failover of one group, from the verdict to the report. Its id is `failover/<group>/<epoch>`; its result is the incident. */
export async function failover(input: FailoverInput): Promise<Incident> {
  const { spec, cause, actor, before } = input;
  const log = new IncidentLog({ id: workflowInfo().workflowId, group: spec.name, kind: 'failover', epoch: input.epoch, cause, actor, before });
  setHandler(messages.incident, () => log.incident, { description: 'The incident as it stands' });
  const approval = new ApprovalDesk(spec.policy, actor);
  const acceptance = new Acceptance(input.acceptLoss, log);
  const show = (): void => showIncident(log.incident, input.attributes);
  log.saw('workflow', cause.words);
  show();

  let outcome: IncidentOutcome;
  try {
    outcome = await decideAndAct(input, log, { approval, acceptance }, show);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    outcome = { outcome: 'failed', words: 'the failover was cancelled before anybody was promoted' };
  }
  log.end(outcome);
  show();
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  return log.incident;
}

/** What a person may say to a failover while it is under way. */
interface Desks {
  readonly approval: ApprovalDesk;
  readonly acceptance: Acceptance;
}

async function decideAndAct(input: FailoverInput, log: IncidentLog, { approval, acceptance }: Desks, show: () => void): Promise<IncidentOutcome> {
  const { spec } = input;
  let told = '';
  let trying: Trying = { epoch: input.epoch, failed: [] };
  for (let round = 1; ; round += 1) {
    // Look.
    const { election, asked } = await hold(input, trying, round, log, acceptance.given);
    const old = asked.answers.find(({ member }) => member === input.before.primary);
    const outage = input.fencedBy === 'lease' ? orchestratorWasAway(asked.answers, spec.leaseMs) : undefined;
    if (outage !== undefined && round === 1) log.saw('workflow', outage.words);
    // Decide.
    if (trying.failed.length === 0) {
      const instead = restartInstead({ cause: input.cause.kind, fencedBy: input.fencedBy, election, restartsTried: input.restartsTried });
      if (instead.restart) return { outcome: 'restarted', words: instead.words };
    }
    if (election.outcome === 'nobody') {
      if (election.why.reason === 'primary-alive')
        return {
          outcome: 'primary-lives',
          words: outage === undefined ? election.words : `orchestrator away, nothing done: ${outage.words}; ${election.words}`,
        };
      if (old !== undefined && mayGoOn(old, input.before.epoch)) {
        return { outcome: 'restarted', words: `${input.before.primary} is in reach again, and its role is offered to it: ${election.words}` };
      }
      show();
      if (!election.canWait || round >= ROUNDS) return { outcome: 'nobody-fit', words: election.words };
      if (election.words !== told) {
        told = election.words;
        await tellGroup(spec.name, messages.waiting, { incident: workflowInfo().workflowId, words: `nobody is promoted yet: ${told}` }, log);
      }
      await acceptance.pause(Math.min(FIRST_PAUSE_MS * 2 ** (round - 1), LONGEST_PAUSE_MS), `nobody is fit yet: ${election.words}`);
      continue;
    }
    // A primary that had to fence itself because Temporal was away has lost nothing: it comes before anybody who could be promoted over it (protocol 3.5).
    if (outage !== undefined && round === 1 && (await isBack(input, trying.epoch, log))) {
      return {
        outcome: 'restarted',
        words: `orchestrator away: ${outage.words}; ${input.before.primary} has fenced itself meanwhile, and its role is offered to it again`,
      };
    }
    if (spec.policy.mode === 'observe' && input.actor.kind === 'policy') {
      const words = `would have failed over to ${election.member}, because ${input.cause.words}`;
      return { outcome: 'observed', wouldPromote: election.member, words };
    }
    if (approval.needed) {
      show();
      const end = log.step('approval');
      const given = await approval.ask(`promote ${election.member} at epoch ${trying.epoch}: ${election.words}`);
      end(given.approved ? 'done' : 'failed', given.words);
      log.saw(given.by?.kind === 'person' ? given.by.name : 'workflow', given.words);
      if (!given.approved) return { outcome: 'not-approved', words: given.words, ...(given.by === undefined ? {} : { by: given.by }) };
      // The answers have aged while a person thought: ask again before acting on them.
      continue;
    }
    // A cancellation that came together with the last answer has interrupted nothing yet.
    if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('the failover was cancelled');
    // Act: what is begun here is brought to its end, since half a promotion is worse than one that somebody did not want.
    const end = await CancellationScope.nonCancellable(() => act(input, trying, election, asked.answers, log));
    if (!('refused' in end)) return end;
    trying = { epoch: trying.epoch + 1, failed: [...trying.failed, election.member] };
    show();
  }
}

/** What the incident tries now: each refused promotion takes an epoch and a candidate. */
interface Trying {
  readonly epoch: number;
  readonly failed: readonly string[];
}

async function hold(
  input: FailoverInput,
  trying: Trying,
  round: number,
  log: IncidentLog,
  acceptLoss: Signed | undefined,
): Promise<{ election: Election; asked: ElectionInput }> {
  const { spec, before } = input;
  // Whoever refused its promotion is left out, but still asked: what it holds says how far the others must be (protocol 5.2).
  // Where the first round has no answer to give, the old primary's return is the best one (protocol 3.5): from then on it is asked too.
  const names = spec.members.map(({ name }) => name).filter((name) => round > 1 || name !== before.primary);
  const inspected = log.step('inspect');
  const answers = await askAll({
    spec,
    epoch: trying.epoch,
    round: String(round),
    freeze: FREEZE[input.fencedBy],
    names,
    ruleOf: (name) => ruleFor(input, name, input.electable),
  });
  inspected('done', `${answers.filter((answer) => 'report' in answer).length} of ${names.length} answered`);
  const asked: ElectionInput = {
    epoch: trying.epoch,
    spec,
    rule: before.rule,
    oldPrimary: {
      member: before.primary,
      fencedBy: input.fencedBy,
      ...(before.last === undefined ? {} : { last: before.last }),
      ...(input.fork === undefined ? {} : { fork: input.fork }),
    },
    answers,
    excluded: input.excluded,
    ...(trying.failed.length === 0 ? {} : { refused: trying.failed }),
    electable: input.electable,
    ...(input.systemId === undefined ? {} : { systemId: input.systemId }),
    ...(input.target === undefined ? {} : { target: input.target }),
    ...(acceptLoss === undefined ? {} : { acceptLoss }),
  };
  const end = log.step('elect');
  const last = holdElection(asked, trying.failed);
  log.elected(recordElection(last.asked, last.election, Date.now()));
  end(last.election.outcome === 'elected' ? 'done' : 'failed', last.election.words);
  return last;
}

/** Whoever refused is tried again only where nobody else can be, and not for ever. */
function holdElection(asked: ElectionInput, failed: readonly string[]): { election: Election; asked: ElectionInput } {
  const election = elect(asked);
  const again = failed.filter((name) => failed.filter((other) => other === name).length < TRIES_EACH);
  if (election.outcome === 'elected' || again.length === 0) return { election, asked };
  const wider = { ...asked, refused: failed.filter((name) => !again.includes(name)) };
  return { election: elect(wider), asked: wider };
}

async function act(
  input: FailoverInput,
  trying: Trying,
  election: Extract<Election, { outcome: 'elected' }>,
  answers: readonly Answer[],
  log: IncidentLog,
): Promise<IncidentOutcome | { refused: string }> {
  const { spec } = input;
  const fit = election.verdicts.filter((verdict) => verdict.fit && verdict.member !== election.member).map((verdict) => verdict.member);
  const rule = ruleFor(input, election.member, fit);
  // The others are pointed at the winner while it is being promoted: they meet the new timeline there.
  const telling = tellGroup(
    spec.name,
    messages.elected,
    { incident: workflowInfo().workflowId, member: election.member, epoch: trying.epoch, inForce: rule, electable: fit },
    log,
  );
  const opened = await openOn({
    spec,
    member: election.member,
    epoch: trying.epoch,
    proof: input.fencedBy,
    rule,
    electable: fit,
    fromLsn: election.lsn,
    ...passedBy(
      input.fork,
      answers.find(({ member }) => member === election.member),
    ),
    log,
  });
  await telling;
  if ('failed' in opened) {
    if (!opened.openedPerhaps) {
      await tellGroup(spec.name, messages.refused, { incident: workflowInfo().workflowId, member: election.member, epoch: trying.epoch }, log);
      return { refused: opened.words };
    }
    const perhaps = { member: election.member, epoch: trying.epoch, rule, electable: fit };
    return { outcome: 'failed', words: `${election.member} fell silent in its promotion and may have taken writes: ${opened.words}`, perhaps };
  }
  log.lost(election.loss);
  const { timeline, fork } = opened;
  const promotedWord = {
    incident: workflowInfo().workflowId,
    member: election.member,
    epoch: trying.epoch,
    timeline,
    ...(fork === undefined ? {} : { fork }),
    inForce: rule,
    recorded: ruleOnTaking({ previous: input.before.rule, opened: rule, elected: election.member, start: fork, frozen: frozenPlaces(answers) }),
    electable: fit,
  };
  await Promise.all([
    tellGroup(spec.name, messages.promoted, promotedWord, log),
    settleClients({ spec, owner: input.owner, primary: election.member, epoch: trying.epoch, log }),
  ]);
  return { outcome: 'done', primary: election.member, epoch: trying.epoch, timeline };
}

/** The last primary's timeline, where this member has not followed onto it: its own new one must have another number. */
function passedBy(fork: Fork | undefined, answer: Answer | undefined): { passed?: PassedTimeline } {
  const own = answer !== undefined && 'report' in answer ? answer.report.live?.timeline : undefined;
  if (fork?.to === undefined || own === undefined || own >= fork.to) return {};
  return { passed: { timeline: fork.to, from: { timeline: fork.timeline, lsn: fork.lsn } } };
}

function ruleFor({ spec, excluded }: FailoverInput, elected: string, reachable: readonly string[]): CommitRule {
  const following = reachable.filter((name) => name !== elected);
  return ruleAfterPromotion({
    durability: spec.durability,
    elected,
    reachable: mayConfirm({ members: spec.members, following, excluded }),
    members: spec.members.map(({ name }) => name),
  });
}

/** Who answered where nothing more could arrive, and how far each had come. */
function frozenPlaces(answers: readonly Answer[]): TakingInput['frozen'] {
  return answers.flatMap((answer) => {
    if (!('report' in answer)) return [];
    const { live, detached } = answer.report;
    if (live?.inRecovery !== true || !detached || live.receiver.state !== 'none') return [];
    return [{ member: answer.member, timeline: live.timeline, lsn: live.flushedLsn }];
  });
}

async function isBack({ spec, before }: FailoverInput, epoch: number, log: IncidentLog): Promise<boolean> {
  const end = log.step('inspect', before.primary);
  const [answer] = await askAll({ spec, epoch, round: 'primary', freeze: 'no', names: [before.primary] });
  const back = answer !== undefined && mayGoOn(answer, before.epoch);
  end('done', back ? 'its agent is back, and its database can be opened again' : 'it cannot go on by itself');
  return back;
}

/** Whether the old primary's agent is there and its database could be opened again at its own epoch. */
function mayGoOn(answer: Answer, epoch: number): boolean {
  return 'report' in answer && answer.report.epoch <= epoch && answer.report.footprint.state === 'data' && !answer.report.footprint.standby;
}
