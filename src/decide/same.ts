/** Whether two pieces of plain data say the same, in whatever order their keys are. Node's own comparison is not to be had in a workflow. */
export function samePlain(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [left, right] = [present(a), present(b)];
  return left.size === right.size && [...left].every(([key, value]) => right.has(key) && samePlain(value, right.get(key)));
}

/** A key without a value is as good as absent: it does not survive a payload. */
function present(value: object): Map<string, unknown> {
  return new Map(Object.entries(value).filter(([, one]) => one !== undefined));
}
