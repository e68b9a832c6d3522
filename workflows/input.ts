import { ApplicationFailure } from '@temporalio/workflow';

/** A plain error thrown in a workflow makes Temporal repeat the task for ever; bad input is a failure that says so at once. */
export function badInput(words: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(words, 'BadInput');
}

/** A refusal of an operator's word: the rule, what is so, and what lifts it. */
export function refusal(refused: { readonly rule: string; readonly words: string; readonly override?: string }): ApplicationFailure {
  return ApplicationFailure.nonRetryable(refused.words, 'Refused', { rule: refused.rule, ...(refused.override === undefined ? {} : { override: refused.override }) });
}
