/** What a dotted path leads to: `a.b.0`. Undefined where it leads nowhere; only a value's own members count. */
export function atPath(value: unknown, path: string): unknown {
  let here = value;
  for (const step of path.split('.')) {
    if (typeof here !== 'object' || here === null || !Object.hasOwn(here, step)) return undefined;
    here = (here as Record<string, unknown>)[step];
  }
  return here;
}
