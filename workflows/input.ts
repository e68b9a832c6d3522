import { ApplicationFailure } from '@temporalio/workflow';
import type { Signed } from '../src/model/operator.ts';

/** A plain error thrown in a workflow makes Temporal repeat the task for ever; bad input is a failure that says so at once. */
export function badInput(words: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(words, 'BadInput');
}

/** A refusal of an operator's word: the rule, what is so, and what lifts it. */
export function refusal(refused: { readonly rule: string; readonly words: string; readonly override?: string }): ApplicationFailure {
  return ApplicationFailure.nonRetryable(refused.words, 'Refused', {
    rule: refused.rule,
    ...(refused.override === undefined ? {} : { override: refused.override }),
  });
}

/** Whether it names who says it and why. What comes by a signal of the Temporal UI may be anything at all. */
export function isSigned(word: unknown): word is Signed {
  return has(word, { by: 'string', reason: 'string' }) && word['by'] !== '' && word['reason'] !== '';
}

const POLICY_NUMBERS = [
  'approvalWithinMs',
  'minIntervalMs',
  'maxPerDay',
  'maxLagBytes',
  'answerWithinMs',
  'restartWithinMs',
  'stopWithinMs',
  'switchoverMaxLagBytes',
  'hungAfterMs',
];

/** What makes it no configuration of a group that a workflow can go by; undefined where it is one. A workflow that took a bad one up could never go on. */
export function wrongInSpec(spec: unknown): string | undefined {
  if (!has(spec, { name: 'string', database: 'string', leaseMs: 'number' })) return 'a group has a name, a database and leaseMs';
  const { members, records, durability, policy } = spec;
  const isMember = (one: unknown): boolean => has(one, { name: 'string', host: 'string', port: 'number', priority: 'number' });
  if (!Array.isArray(members) || members.length === 0 || !members.every(isMember)) return 'each of its members has name, host, port and priority';
  if (!Array.isArray(records) || !records.every((one) => has(one, { name: 'string', type: 'string', provider: 'string', ttlSeconds: 'number' })))
    return 'each of its records has name, type, ttlSeconds and provider';
  const mode = has(durability, { mode: 'string' }) ? durability['mode'] : undefined;
  if (mode !== 'async' && !(mode === 'sync' && has(durability, { confirm: 'number' })))
    return 'its durability is { mode: "async" } or { mode: "sync", confirm: 1 }';
  const numbers = Object.fromEntries(POLICY_NUMBERS.map((key) => [key, 'number' as const]));
  return has(policy, { mode: 'string', approval: 'string', ...numbers }) ? undefined : `its policy has mode, approval, ${POLICY_NUMBERS.join(', ')}`;
}

function has(value: unknown, shape: Readonly<Record<string, 'string' | 'number'>>): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.entries(shape).every(([key, type]) => typeof (value as Record<string, unknown>)[key] === type);
}
