import { ActivityFailure, isCancellation } from '@temporalio/workflow';
import { mayConfirm, nextRuleStep, wantedRule } from '../src/decide/durability.ts';
import { nextElectableStep } from '../src/decide/electable.ts';
import type { Governed } from '../src/model/act.ts';
import type { CommitRule } from '../src/model/group.ts';
import { member } from './acts.ts';
import { primaryOpen, type GroupState } from './group-state.ts';

const GOVERN_LIMIT_MS = 10_000;
/** An order that failed is given again after this. */
export const GOVERN_AGAIN_MS = 1000;

/**
 * Keeps the commit rule and the set of electable members in step with who follows (protocol 3.1, 5.3), one safe step at a time: what is
 * recorded is never stricter than what is in force.
 */
export class RuleKeeper {
  readonly #state: GroupState;
  readonly #changed: () => void;
  #busy = false;
  #failed = false;

  constructor(state: GroupState, changed: () => void) {
    this.#state = state;
    this.#changed = changed;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** The last order was not done: it is worth another try. */
  get failed(): boolean {
    return this.#failed && !this.#busy;
  }

  /** Begins to bring the rule up to date, unless that is under way: whoever follows by then is looked at again after each step. */
  kick(): void {
    if (this.#busy || !primaryOpen(this.#state)) return;
    if (this.#next() === undefined) return;
    this.#busy = true;
    void this.#run().finally(() => {
      this.#busy = false;
      this.#changed();
    });
  }

  async #run(): Promise<void> {
    const state = this.#state;
    for (;;) {
      const step = this.#next();
      if (step === undefined || !primaryOpen(state)) return;
      if (step.kind === 'record-rule') state.recorded = step.rule;
      else if (step.kind === 'record-electable') state.electable = step.electable;
      else {
        this.#failed = !(await this.#govern(step.rule, step.electable, step.confirm));
        if (this.#failed) return;
      }
    }
  }

  #next(): Step | undefined {
    const state = this.#state;
    const primary = state.primary ?? '';
    const following = (state.members[primary]?.following ?? []).filter((name) => !(name in state.excluded) && state.spec.members.some((one) => one.name === name));
    const confirming = mayConfirm({ members: state.spec.members, following, excluded: Object.keys(state.excluded) });
    const wanted = wantedRule({ durability: state.spec.durability, primary, following: confirming, previous: state.recorded, relaxed: state.relaxed });
    const rule = nextRuleStep({ recorded: state.recorded, inForce: state.inForce, wanted });
    if (rule.step === 'record') return { kind: 'record-rule', rule: rule.rule };
    const electable = nextElectableStep({ recorded: state.electable, acknowledged: state.acknowledged, wanted: following });
    if (electable.step === 'record') return { kind: 'record-electable', electable: electable.electable };
    if (rule.step !== 'none') return { kind: 'govern', rule: rule.rule, electable: following, confirm: rule.step === 'confirm-then-record' };
    return electable.step === 'govern' ? { kind: 'govern', rule: state.inForce ?? wanted, electable: electable.electable, confirm: false } : undefined;
  }

  /** @returns false where the primary did not do it: it is tried again at the next change, or after a pause */
  async #govern(rule: CommitRule, electable: readonly string[], confirm: boolean): Promise<boolean> {
    const state = this.#state;
    const { epoch, primary, spec } = state;
    if (primary === null) return false;
    state.turn = Math.max(state.turn + 1, Date.now());
    const { turn } = state;
    const words = rule.count === 0 ? 'no standby confirms commits' : `${rule.count} of ${rule.names.join(', ')} confirm commits`;
    const act = member(spec.name, primary, { id: `govern/${primary}/${epoch}/${turn}`, summary: words, startWithinMs: spec.leaseMs, limitMs: GOVERN_LIMIT_MS + 2000 });
    state.inForce = undefined;
    state.acknowledged = undefined;
    let governed: Governed;
    try {
      governed = await act.govern({ group: spec.name, member: primary, epoch, turn, rule, electable, confirm, limitMs: GOVERN_LIMIT_MS });
    } catch (error) {
      if (isCancellation(error) || !(error instanceof ActivityFailure)) throw error;
      return false;
    }
    if (state.epoch !== epoch || state.primary !== primary) return false;
    state.inForce = rule;
    state.acknowledged = [...electable];
    if (confirm && governed.confirmed) state.recorded = rule;
    return !confirm || governed.confirmed;
  }
}

type Step =
  | { readonly kind: 'record-rule'; readonly rule: CommitRule }
  | { readonly kind: 'record-electable'; readonly electable: string[] }
  | { readonly kind: 'govern'; readonly rule: CommitRule; readonly electable: readonly string[]; readonly confirm: boolean };
