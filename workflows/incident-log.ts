import type { Actor, Cause, ElectionRecord, Evidence, Incident, IncidentOutcome, Loss, RecordOutcome, Step, StepName } from '../src/model/incident.ts';

type Open<T> = { -readonly [K in keyof T]: T[K] };

export interface IncidentHead {
  readonly id: string;
  readonly group: string;
  readonly kind: Incident['kind'];
  readonly epoch: number;
  readonly cause: Cause;
  readonly actor: Actor;
  readonly before: Incident['before'];
}

/** The incident as it grows: what its query answers at any moment, and its workflow's result at the end. */
export class IncidentLog {
  readonly #head: IncidentHead;
  readonly #evidence: Evidence[] = [];
  readonly #elections: ElectionRecord[] = [];
  readonly #steps: Open<Step>[] = [];
  readonly #records = new Map<string, RecordOutcome>();
  #loss: Loss = { kind: 'none', words: 'nothing has been promoted' };
  #outcome: IncidentOutcome = { outcome: 'running' };

  constructor(head: IncidentHead) {
    this.#head = head;
  }

  saw(by: string, words: string): void {
    this.#evidence.push({ atMs: Date.now(), by, words });
  }

  elected(election: ElectionRecord): void {
    this.#elections.push(election);
  }

  /** Begins a step; whoever began it ends it by what this returns. */
  step(name: StepName, member?: string): (outcome: Step['outcome'], words?: string) => void {
    const step: Open<Step> = { name, startedAtMs: Date.now(), outcome: 'running', ...(member === undefined ? {} : { member }) };
    this.#steps.push(step);
    return (outcome, words) => {
      step.outcome = outcome;
      step.endedAtMs = Date.now();
      if (words !== undefined) step.words = words;
    };
  }

  record(outcome: RecordOutcome): void {
    this.#records.set(`${outcome.type} ${outcome.name}`, outcome);
  }

  lost(loss: Loss): void {
    this.#loss = loss;
  }

  end(outcome: IncidentOutcome): Incident {
    this.#outcome = outcome;
    return this.incident;
  }

  get incident(): Incident {
    return {
      ...this.#head,
      evidence: [...this.#evidence],
      elections: [...this.#elections],
      steps: this.#steps.map((step) => ({ ...step })),
      records: [...this.#records.values()],
      loss: this.#loss,
      outcome: this.#outcome,
    };
  }
}
