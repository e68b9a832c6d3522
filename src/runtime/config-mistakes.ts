import type { z } from 'zod';
import { DNS_NAME_WORDS, NAME_WORDS, SECRET_WORDS, jsonSchema } from '../model/config-schema.ts';
import { nearest } from './nearest.ts';
import type { Path } from './config-place.ts';

/** A mistake before its place in the text is known. */
export interface Finding {
  readonly path: Path;
  readonly words: string;
  readonly hint?: string;
  /** Where to point: at the key, or at the value. */
  readonly at: 'key' | 'value';
}

type Issue = z.core.$ZodIssue;

const MAX_UNKNOWN = 50;

/** What the schema says, in words for people. */
export function findingsOf(issues: readonly Issue[], raw: unknown): Finding[] {
  return issues.flatMap((issue) => describe(issue, [], raw));
}

function describe(issue: Issue, above: Path, raw: unknown): Finding[] {
  const path: Path = [...above, ...(issue.path as (string | number)[])];
  const value = valueAt(raw, path);
  if (issue.code === 'unrecognized_keys') return issue.keys.slice(0, MAX_UNKNOWN).map((key) => unknownKey([...path, key], key));
  if (issue.code === 'invalid_union' && isMapping(value)) {
    // The branch that the author had in mind is the one with the fewest complaints.
    const branches = issue.errors.filter((errors) => errors.every((error) => error.path.length > 0 || error.code === 'unrecognized_keys'));
    const likely = [...branches].sort((a, b) => a.length - b.length)[0];
    if (likely !== undefined) return likely.flatMap((nested) => describe(nested, path, raw));
  }
  if (value === undefined) return [{ path, words: `missing: ${issue.message}`, at: 'key' }];
  if (value === null) return [{ path, words: `has no value: ${issue.message}`, at: 'key' }];
  return [withHint({ path, words: issue.message, at: 'value' }, value)];
}

function withHint(finding: Finding, value: unknown): Finding {
  const key = String(finding.path.at(-1));
  if (finding.words === SECRET_WORDS) {
    // The value is never repeated: it may be the secret itself.
    return {
      ...finding,
      hint: `put it into the environment or into a file, and write ${key}: { env: UNDERSTUDY_${key.toUpperCase()} } or ${key}: { file: /etc/understudy/${key} }`,
    };
  }
  if (finding.words === DNS_NAME_WORDS && typeof value === 'string' && !value.endsWith('.') && /^[\w.-]+$/.test(value))
    return { ...finding, hint: `write ${value}.` };
  if (finding.words.startsWith('a duration') && (typeof value === 'number' || /^\d+$/.test(String(value))))
    return { ...finding, hint: `${String(value)} has no unit: write ${String(value)}s or ${String(value)}ms` };
  if (finding.words.startsWith('a size') && typeof value === 'string' && /^\d+(\.\d+)? *[kmgt]i?b?$/i.test(value)) {
    const [, digits, letter] = /^([\d.]+) *([kmgt])/i.exec(value) as RegExpExecArray;
    return { ...finding, hint: `write ${digits}${letter?.toLowerCase() === 'k' ? 'k' : letter?.toUpperCase()}B (1024 each)` };
  }
  if (typeof value === 'string') {
    const guess = nearest(value, choicesAt(finding.path));
    if (guess !== undefined) return { ...finding, hint: `did you mean ${guess}?` };
  }
  return finding;
}

export function unknownKey(path: Path, key: string): Finding {
  const known = keysAt(path.slice(0, -1));
  const guess = nearest(key, known);
  const hint = guess === undefined ? (known.length > 0 ? `known here: ${known.join(', ')}` : undefined) : `did you mean ${guess}?`;
  return { path, words: 'unknown key', ...(hint === undefined ? {} : { hint }), at: 'key' };
}

export function badName(path: Path): Finding {
  return { path, words: NAME_WORDS, at: 'key' };
}

export const isMapping = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

export function valueAt(raw: unknown, path: Path): unknown {
  let value = raw;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Object.hasOwn(value, step) ? (value as Record<string | number, unknown>)[step] : undefined;
  }
  return value;
}

type Json = z.core.JSONSchema.BaseSchema;

/** The parts of the JSON Schema that describe what stands at `path`. */
function schemasAt(path: Path): Json[] {
  let here: Json[] = [jsonSchema()];
  for (const step of path) {
    here = here.flatMap(branchesOf).flatMap((schema) => {
      const next = typeof step === 'number' ? schema.items : (schema.properties?.[step] ?? schema.additionalProperties);
      return typeof next === 'object' && next !== null && !Array.isArray(next) ? [next as Json] : [];
    });
  }
  return here.flatMap(branchesOf);
}

const branchesOf = (schema: Json): Json[] => {
  const branches = schema.anyOf ?? schema.oneOf;
  return branches === undefined ? [schema] : (branches as Json[]).flatMap(branchesOf);
};
const keysAt = (path: Path): string[] => [...new Set(schemasAt(path).flatMap((schema) => Object.keys(schema.properties ?? {})))];
const choicesAt = (path: Path): string[] =>
  schemasAt(path).flatMap((schema) => [...(schema.enum ?? []), ...(schema.const === undefined ? [] : [schema.const])].map(String));
