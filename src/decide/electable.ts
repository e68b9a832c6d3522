export interface ElectableStepInput {
  /** Whom the workflow would promote by itself. */
  readonly recorded: readonly string[];
  /** What the primary has acknowledged, and asks before it trusts the second lease; undefined where an order's end is not known. */
  readonly acknowledged: readonly string[] | undefined;
  readonly wanted: readonly string[];
}

/** `record`: keep the set in the workflow's state. `govern`: tell the primary, and have it acknowledged. */
export type ElectableStep =
  | { readonly step: 'record'; readonly electable: string[] }
  | { readonly step: 'govern'; readonly electable: string[] }
  | { readonly step: 'none' };

/**
 * The next step of E (protocol 3.1) such that everybody whom the workflow may promote is, at every moment, one whose word the primary needs:
 * a name leaves the workflow's set before the primary's, and enters it after.
 */
export function nextElectableStep({ recorded, acknowledged, wanted }: ElectableStepInput): ElectableStep {
  const [have, want] = [sorted(recorded), sorted(wanted)];
  const leaving = have.filter((name) => !want.includes(name));
  if (leaving.length > 0) return { step: 'record', electable: have.filter((name) => want.includes(name)) };
  if (acknowledged === undefined || !same(sorted(acknowledged), want)) return { step: 'govern', electable: want };
  return same(have, want) ? { step: 'none' } : { step: 'record', electable: want };
}

function sorted(names: readonly string[]): string[] {
  return [...new Set(names)].sort();
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}
