import { type ApplicationFailure, condition, setHandler } from '@temporalio/workflow';
import type { Policy } from '../src/model/group.ts';
import type { Actor } from '../src/model/incident.ts';
import type { Signed } from '../src/model/operator.ts';
import { isSigned, refusal } from './input.ts';
import * as messages from './messages.ts';

export interface Answered {
  readonly approved: boolean;
  readonly words: string;
  readonly by?: Actor;
}

/** Hears a person's yes or no, by Update or by Signal, where the policy wants one. An incident that a person started needs no second word. */
export class ApprovalDesk {
  readonly #withinMs: number;
  #needed: boolean;
  #asking = false;
  #answer: Answered | undefined;

  constructor(policy: Policy, actor: Actor) {
    this.#needed = policy.approval === 'required' && policy.mode === 'automatic' && actor.kind === 'policy';
    this.#withinMs = policy.approvalWithinMs;
    const refuse = (word: Signed | undefined): ApplicationFailure | undefined => {
      if (!this.#needed || this.#answer !== undefined) return refusal({ rule: 'no-approval-pending', words: 'nothing waits for approval here' });
      return isSigned(word) ? undefined : refusal({ rule: 'unsigned', words: 'say who you are and why, as one JSON object: {"by": "...", "reason": "..."}' });
    };
    const hear = (approved: boolean) => (word: Signed) => {
      const words = `${word.by} ${approved ? 'approved' : 'declined'}: ${word.reason}`;
      this.#answer ??= { approved, words, by: { kind: 'person', name: word.by, reason: word.reason } };
      return words;
    };
    const validator = (word: Signed): void => {
      const refused = refuse(word);
      if (refused !== undefined) throw refused;
    };
    // A signal cannot be refused: one that says nothing is let go by.
    const signalled = (approved: boolean) => (word: Signed) => {
      if (refuse(word) === undefined) hear(approved)(word);
    };
    setHandler(messages.approve, hear(true), { validator, description: 'Let this failover go on: { by, reason }' });
    setHandler(messages.decline, hear(false), { validator, description: 'Stop this failover: { by, reason }' });
    setHandler(messages.approveSignal, signalled(true), { description: 'As the update `approve`' });
    setHandler(messages.declineSignal, signalled(false), { description: 'As the update `decline`' });
  }

  get needed(): boolean {
    return this.#needed;
  }

  get asking(): boolean {
    return this.#asking;
  }

  /** Waits for a person, up to the policy's limit. Silence is a no. */
  async ask(question: string): Promise<Answered> {
    this.#asking = true;
    await condition(() => this.#answer !== undefined, this.#withinMs, { summary: `approval: ${question}` });
    this.#asking = false;
    this.#needed = false;
    return this.#answer ?? { approved: false, words: `nobody approved within ${Math.round(this.#withinMs / 1000)} s` };
  }
}
