import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, it } from 'vitest';

/** A program that a test needs and that Understudy does not bring along. */
export interface Part {
  /** The program: `named`. */
  readonly name: string;
  /** The Debian package that has it. */
  readonly package: string;
  /** Its path, or undefined where it is not there. */
  find(): string | undefined;
}

export type PartFound = { readonly path: string } | { readonly skip: string };

/** The part's path, or the reason to skip what needs it. */
export function needPart(part: Part): PartFound {
  const path = part.find();
  return path === undefined ? { skip: `needs package ${part.package} (${part.name} is not installed)` } : { path };
}

/** A program of the search path, or where servers are kept, which an ordinary user's path leaves out. */
export function program(name: string, debianPackage: string): Part {
  return {
    name,
    package: debianPackage,
    find: () =>
      [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'].map((directory) => join(directory, name)).find(isExecutable),
  };
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return false;
    throw error;
  }
}

/**
 * The tests that need a part. Where it is missing they are skipped with the reason in their name; with CI=true that is a failure,
 * so that nothing is left out where everything is meant to be run.
 */
export function describeWithPart(part: Part | readonly Part[], title: string, define: (paths: Readonly<Record<string, string>>) => void): void {
  const parts: readonly Part[] = [part].flat();
  const found = parts.map((one) => ({ name: one.name, ...needPart(one) }));
  const missing = found.flatMap((one) => ('skip' in one ? [one.skip] : []));
  describe(title, () => {
    if (missing.length === 0) return define(Object.fromEntries(found.flatMap((one) => ('path' in one ? [[one.name, one.path]] : []))));
    const name = `skipped: ${missing.join('; ')}`;
    if (process.env['CI'] !== 'true') return it.skip(name, () => undefined);
    it(name, () => {
      throw new Error(`${title}: ${missing.join('; ')}; with CI=true every part must be there`);
    });
  });
}
