const last = new Map<string, Promise<unknown>>();

/** Does something after whatever this process does already under that key: it closes the race within one process, and none between two. */
export async function inTurn<T>(key: string, act: () => Promise<T>): Promise<T> {
  const before = last.get(key) ?? Promise.resolve();
  const mine = before.then(act, act);
  // What fails is told to whoever asked, not to the next in turn.
  const settled = mine.then(
    () => undefined,
    () => undefined,
  );
  last.set(key, settled);
  try {
    return await mine;
  } finally {
    if (last.get(key) === settled) last.delete(key);
  }
}
