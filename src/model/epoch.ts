/** Rises by one with each promotion. A holder of a lower one can change nothing once a higher one has begun. */
export type Epoch = number;

/** Whether a command of `asked` may act where `highest` has been seen: the same epoch goes on, a lower one is over. */
export function mayAct(asked: Epoch, highest: Epoch): boolean {
  return asked >= highest;
}
