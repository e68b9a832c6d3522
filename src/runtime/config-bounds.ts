import { open } from 'node:fs/promises';
import { type Document, isAlias, isCollection, isPair, visit } from 'yaml';
import { UnderstudyError } from '../model/error.ts';

/** A group with five members takes a kilobyte. */
export const MAX_BYTES = 512 * 1024;
export const MAX_DEPTH = 64;
/** Aliases multiply: ten in a list of ten of a list of ten are a thousand. */
const MAX_VALUES = 100_000;

/**
 * Reads a file, or a pipe, up to the largest size that a configuration may have: a device that never ends is no configuration.
 *
 * @throws UnderstudyError `ConfigInvalid` where it is larger or no text; an error of the system where it cannot be read
 */
export async function readBounded(file: string): Promise<string> {
  const handle = await open(file, 'r');
  try {
    const buffer = Buffer.alloc(MAX_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0) break;
      if (length > MAX_BYTES)
        throw new UnderstudyError('ConfigInvalid', `${file} is larger than ${MAX_BYTES / 1024} KiB, and no configuration. Next: name the right file.`, {
          file,
        });
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length));
  } catch (error) {
    if (error instanceof TypeError && 'code' in error && error.code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      throw new UnderstudyError('ConfigInvalid', `${file} is no text in UTF-8. Next: name the right file, or write it anew in UTF-8.`, { file }, error);
    throw error;
  } finally {
    await handle.close();
  }
}

/** Looked at without recursion: what is too deep for the stack is what is looked for. */
export function isTooDeep(doc: Document): boolean {
  if (doc.errors.some(({ code }) => code === 'RESOURCE_EXHAUSTION')) return true;
  let level: unknown[] = [doc.contents];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > MAX_DEPTH) return true;
    level = level
      .flatMap((node): unknown[] => (isPair(node) ? [node.key, node.value] : [node]))
      .flatMap((node): unknown[] => (isCollection(node) ? node.items : []));
  }
  return false;
}

/** What makes aliases unfit to be followed: one that leads nowhere, into itself, or to more values than anybody wrote. */
export function badAlias(doc: Document): { offset: number; words: string; hint?: string } | undefined {
  const anchors = new Map<string, number>();
  const open: { name: string; before: number }[] = [];
  let found: { offset: number; words: string; hint?: string } | undefined;
  let values = 0;
  // In the order of the text, an anchor's own size known once it is closed: `values` counts what following every alias would make.
  const count = (node: unknown): void => {
    if (found !== undefined) return;
    if (isPair(node)) {
      count(node.key);
      count(node.value);
      return;
    }
    values += 1;
    if (isAlias(node)) {
      const offset = node.range?.[0] ?? 0;
      const size = anchors.get(node.source);
      if (open.some(({ name }) => name === node.source)) found = { offset, words: `the alias *${node.source} stands inside what it names` };
      else if (size === undefined) found = { offset, words: `the alias *${node.source} names nothing: no anchor &${node.source} stands before it` };
      else values += size;
      if (values > MAX_VALUES)
        found = { offset, words: `aliases make more than ${MAX_VALUES} values of this`, hint: 'write what is meant, without aliases of aliases' };
      return;
    }
    const anchor = (node as { anchor?: string } | null)?.anchor;
    const before = values;
    if (anchor !== undefined) open.push({ name: anchor, before });
    if (isCollection(node)) for (const item of node.items) count(item);
    if (anchor !== undefined) {
      open.pop();
      anchors.set(anchor, values - before);
    }
  };
  let any = false;
  visit(doc, {
    Alias() {
      any = true;
      return visit.BREAK;
    },
  });
  if (any) count(doc.contents);
  return found;
}
