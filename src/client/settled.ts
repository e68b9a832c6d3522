/**
 * Their answers, or the first error, once none of them is under way any more: a call that is tried again after its connection was closed would
 * end the process.
 */
export async function allSettled<T extends readonly unknown[] | []>(calls: T): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(calls);
  return Promise.all(calls);
}
