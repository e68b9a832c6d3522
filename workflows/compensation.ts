import type { IncidentOutcome } from '../src/model/incident.ts';

export type WayBack = (words: string) => IncidentOutcome | Promise<IncidentOutcome>;

/** The ways back: registered before what they take back, walked last first, by a caller that cannot be cancelled (I6). */
export class WaysBack {
  #ways: WayBack[] = [];

  register(way: WayBack): void {
    this.#ways.push(way);
  }

  /** The point of no return is passed. */
  forget(): void {
    this.#ways = [];
  }

  /** @returns the outcome of the last way walked; undefined where none was registered */
  async walk(words: string): Promise<IncidentOutcome | undefined> {
    let outcome: IncidentOutcome | undefined;
    for (let way = this.#ways.pop(); way !== undefined; way = this.#ways.pop()) outcome = await way(words);
    return outcome;
  }
}
