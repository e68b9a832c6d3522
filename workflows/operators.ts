import type { UpdateDefinition } from '@temporalio/common';
import { log, setHandler } from '@temporalio/workflow';
import {
  refuseBegin,
  refuseExclude,
  refuseFailover,
  refuseInclude,
  refuseOverride,
  refusePause,
  refuseResume,
  refuseSpec,
  refuseSwitchover,
  type Refused,
} from '../src/decide/operator.ts';
import { refuseRoll } from '../src/decide/roll.ts';
import { changeSpec } from './change.ts';
import { note, statusForOperators, statusNow, wake, type GroupRun } from './group-run.ts';
import { decidingIncident } from './group-state.ts';
import { acceptLossIn, beginSwitchover, forceFailover, liftHold } from './incidents.ts';
import { isSigned, refusal, wrongInSpec } from './input.ts';
import { SIGNALS, WORDS } from './messages.ts';
import { beginRoll } from './roll.ts';

type Word = keyof typeof WORDS;

/**
 * Hears the operators. Each word is an Update whose validator refuses with a reason and leaves no trace; the same word as a Signal does the
 * same, except that a refusal can only be shown.
 */
export function heedOperators(run: GroupRun): void {
  const { state } = run;
  const view = () => ({ spec: state.spec, status: statusForOperators(run), nowMs: Date.now() });

  hear(
    'failover',
    'Fail over now: { by, reason, to?, fencedByHand?, acceptLoss? }',
    (ask) => refuseFailover(ask, view()),
    (ask) => {
      const deciding = decidingIncident(state);
      if (deciding !== undefined) return acceptLossIn(run, deciding.id, ask);
      forceFailover(run, ask);
      const open = statusNow(run).incidents.findLast(({ endedAtMs }) => endedAtMs === undefined);
      return open === undefined ? { words: `${state.primary} is being fenced first` } : { incident: open.id, words: `${open.id} has begun` };
    },
  );
  hear(
    'switchover',
    'Swap roles as planned: { by, reason, to? }',
    (ask) => refuseSwitchover(ask, view()),
    (ask) => {
      const incident = beginSwitchover(run, ask);
      return { incident, words: `${incident} has begun` };
    },
  );
  hear(
    'pause',
    'No automatic action: { by, reason, untilMs? | untilResumed }',
    (ask) => refusePause(ask, view()),
    (ask) => {
      state.paused = { by: ask.by, reason: ask.reason, ...(ask.untilMs === undefined ? {} : { untilMs: ask.untilMs }) };
      return `paused by ${ask.by}`;
    },
  );
  hear(
    'resume',
    'Automatic action again: { by, reason }',
    (ask) => refuseResume(ask, view()),
    (ask) => {
      state.paused = undefined;
      if (state.held?.rule === 'paused') liftHold(run);
      return `resumed by ${ask.by}`;
    },
  );
  hear(
    'exclude',
    'Never promote this member: { by, reason, member }',
    (ask) => refuseExclude(ask, view()),
    (ask) => {
      state.excluded = { ...state.excluded, [ask.member]: { by: ask.by, reason: ask.reason } };
      return `${ask.member} is excluded`;
    },
  );
  hear(
    'include',
    'Promote this member again where it is the best: { by, reason, member }',
    (ask) => refuseInclude(ask, view()),
    (ask) => {
      state.excluded = Object.fromEntries(Object.entries(state.excluded).filter(([name]) => name !== ask.member));
      return `${ask.member} is included`;
    },
  );
  hear(
    'override',
    'Lift the rate limit for one failover: { by, reason }',
    (ask) => refuseOverride(ask, view()),
    (ask) => {
      state.override = true;
      if (state.held !== undefined && state.held.rule !== 'paused') liftHold(run);
      return `${ask.by} lifted the rate limit for one failover`;
    },
  );
  hear(
    'begin',
    'Begin without members that do not answer: { by, reason, without: ["pg-c"] }',
    (ask) => refuseBegin(ask, view(), run.asked),
    (ask) => {
      // What follows is decided from what the others answer next.
      state.without = { by: ask.by, reason: ask.reason, without: [...ask.without] };
      return `${state.spec.name} begins without ${ask.without.join(', ')}, as soon as the others have answered once more`;
    },
  );
  hear(
    'roll',
    "Restart every member's database in turn: { by, reason, members? }",
    (ask) => refuseRoll(ask, view()),
    (ask) => beginRoll(run, ask),
  );
  hear(
    'change',
    'Take another configuration: { by, reason, spec }; `understudy apply` sends it',
    (ask) => refuseMisshapen(ask.spec) ?? refuseSpec(ask.spec, view()),
    (ask) => changeSpec(run, ask),
  );

  function hear<W extends Word>(word: W, description: string, refuse: (ask: AskOf<W>) => Refused | undefined, act: (ask: AskOf<W>) => AnswerOf<W>): void {
    const obey = (ask: AskOf<W>): AnswerOf<W> => {
      const answer = act(ask);
      wake(run);
      return answer;
    };
    const validator = (ask: AskOf<W>): void => {
      const refused = refuseShapeless(ask) ?? refuse(ask);
      if (refused !== undefined) throw refusal(refused);
    };
    setHandler(WORDS[word] as never, obey as never, { validator: validator as never, description });
    const signalled = (ask: AskOf<W>): void => {
      const refused = refuseShapeless(ask) ?? refuse(ask);
      if (refused === undefined) obey(ask);
      else {
        log.warn("an operator's signal was refused", { word, rule: refused.rule, words: refused.words });
        note(run, `signal ${word} refused (${refused.rule}): ${refused.words}`);
      }
    };
    setHandler(SIGNALS[word] as never, signalled as never, { description: `As the update \`${word}\`` });
  }
}

function refuseShapeless(ask: unknown): Refused | undefined {
  return isSigned(ask) ? undefined : { rule: 'no-name', words: 'say who you are and why, as one JSON object: {"by": "...", "reason": "..."}' };
}

function refuseMisshapen(spec: unknown): Refused | undefined {
  const wrong = wrongInSpec(spec);
  return wrong === undefined
    ? undefined
    : { rule: 'unsafe-change', words: `this is no configuration of a group: ${wrong}. Next: send it by \`understudy apply\`` };
}

type AskOf<W extends Word> = (typeof WORDS)[W] extends UpdateDefinition<infer _Answer, [infer Ask]> ? Ask : never;
type AnswerOf<W extends Word> = (typeof WORDS)[W] extends UpdateDefinition<infer Answer, infer _Asks> ? Answer : never;
