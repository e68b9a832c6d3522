import { ActivityFailure, isCancellation } from '@temporalio/workflow';
import { mayConfirm, nextRuleStep, wantedRule } from '../src/decide/durability.ts';
import { nextElectableStep } from '../src/decide/electable.ts';
import type { Governed } from '../src/model/act.ts';
import type { CommitRule } from '../src/model/group.ts';
import { member } from './acts.ts';
import { decidingIncident, primaryOpen, type GroupState } from './group-state.ts';

const GOVERN_LIMIT_MS = 10_000;
/** An order that was not done is given again after this, doubled each time up to the limit; one that has become another is given at once. */
const AGAIN_MS = 1000;
const AGAIN_AT_MOST_MS = 30_000;

interface Failed {
  readonly step: string;
  readonly times: number;
  readonly againAtMs: number;
}

/**
 * Keeps the commit rule and the set of electable members in step with who follows (protocol 3.1, 5.3), one safe step at a time: what is
 * recorded is never stricter than what is in force.
 */
export class RuleKeeper {
  readonly #state: GroupState;
  readonly #changed: () => void;
  /** Under which primary and epoch a step is under way: an order to a primary that was lost holds up nothing of the next one. */
  #under: string | undefined;
  #failed: Failed | undefined;

  constructor(state: GroupState, changed: () => void) {
    this.#state = state;
    this.#changed = changed;
  }

  get busy(): boolean {
    return this.#under === this.#reign;
  }

  /** When the order that was not done is worth another try; undefined where there is none to give. */
  get againAtMs(): number | undefined {
    if (this.#failed === undefined || this.busy || !mayGovern(this.#state)) return undefined;
    return keyOf(this.#next()) === this.#failed.step ? this.#failed.againAtMs : undefined;
  }

  get #reign(): string {
    return `${this.#state.primary} ${this.#state.epoch}`;
  }

  /** Begins to bring the rule up to date, unless that is under way: whoever follows by then is looked at again after each step. */
  kick(): void {
    if (this.busy || !mayGovern(this.#state)) return;
    const step = this.#next();
    if (step === undefined || (keyOf(step) === this.#failed?.step && Date.now() < this.#failed.againAtMs)) return;
    const reign = this.#reign;
    this.#under = reign;
    void this.#run(reign).finally(() => {
      if (this.#under === reign) this.#under = undefined;
      this.#changed();
    });
  }

  async #run(reign: string): Promise<void> {
    const state = this.#state;
    for (;;) {
      const step = this.#next();
      if (step === undefined || !mayGovern(state) || this.#reign !== reign) return;
      if (step.kind === 'record-rule') state.recorded = step.rule;
      else if (step.kind === 'record-electable') state.electable = step.electable;
      else {
        const key = keyOf(step);
        const done = await this.#govern(step.rule, step.electable, step.confirm);
        if (this.#reign !== reign) return;
        if (!done) {
          const times = this.#failed?.step === key ? this.#failed.times + 1 : 1;
          // The end of an order that failed is not known, so that the next step may be another than the one that was tried.
          this.#failed = { step: keyOf(this.#next()), times, againAtMs: Date.now() + Math.min(AGAIN_MS * 2 ** (times - 1), AGAIN_AT_MOST_MS) };
          return;
        }
        this.#failed = undefined;
      }
    }
  }

  #next(): Step | undefined {
    const state = this.#state;
    const primary = state.primary ?? '';
    const following = (state.members[primary]?.following ?? []).filter(
      (name) => !(name in state.excluded) && state.spec.members.some((one) => one.name === name),
    );
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
    const act = member(spec.name, primary, {
      id: `govern/${primary}/${epoch}/${turn}`,
      summary: words,
      startWithinMs: spec.leaseMs,
      limitMs: GOVERN_LIMIT_MS + 2000,
    });
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

/** An incident acts on the rule as it was when it began, and so does whoever takes the primary's role away. */
function mayGovern(state: GroupState): boolean {
  return primaryOpen(state) && state.after === undefined && decidingIncident(state) === undefined;
}

function keyOf(step: Step | undefined): string {
  return JSON.stringify(step ?? null);
}
