/** What somebody thinks of a target. `unknown` is a verdict of its own: nobody is sent away, and nobody returns, because somebody could not see (I3). */
export type Verdict = 'up' | 'down' | 'unknown';

/** What one look at a target says; `unknown` is trouble of whoever looks. */
export interface Seen {
  readonly outcome: Verdict;
  /** Why, where it is not `up`. */
  readonly words?: string;
}
