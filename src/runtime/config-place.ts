import { type Document, type LineCounter, type Node, isAlias, isMap, isPair, isScalar, isSeq, visit } from 'yaml';

export type Path = readonly (string | number)[];

export interface Place {
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
}

/** Finds where in the text a value stands, and shows the line without what is secret in it (I9). */
export class Places {
  readonly #doc: Document;
  readonly #lines: LineCounter;
  readonly #shown: readonly string[];

  constructor(doc: Document, lines: LineCounter, text: string) {
    this.#doc = doc;
    this.#lines = lines;
    this.#shown = maskSecrets(doc, text).split('\n').map(hideControls);
  }

  at(offset: number): Place {
    const { line, col } = this.#lines.linePos(Math.max(0, offset));
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  /**
   * Where the value at `path` begins, or its key; for what is not there, the key of the nearest that is.
   */
  find(path: Path, what: 'key' | 'value'): Place {
    let node: unknown = this.#doc.contents;
    let offset = startOf(node) ?? 0;
    for (const [depth, step] of path.entries()) {
      if (isAlias(node)) node = node.resolve(this.#doc);
      if (isMap(node)) {
        const pair = node.items.find((item) => isPair(item) && (isScalar(item.key) ? String(item.key.value) : String(item.key)) === String(step));
        if (pair === undefined) break;
        const last = depth === path.length - 1;
        const [key, value] = [startOf(pair.key), startOf(pair.value)];
        offset = (last && what === 'value' && hasText(pair.value) ? value : key) ?? key ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        const item: unknown = node.items[Number(step)];
        if (item === undefined) break;
        offset = startOf(item) ?? offset;
        node = item;
      } else break;
    }
    return this.at(offset);
  }

  /** The line with a caret below the place. */
  excerpt({ line, column }: Place): string {
    const number = String(line).padStart(5);
    const words = this.#shown[line - 1] ?? '';
    // A tab is as wide as the terminal likes: the caret's line repeats it.
    const indent = words.slice(0, column - 1).replace(/[^\t]/g, ' ');
    return `${number} | ${words}\n      | ${indent}^`;
  }
}

/** What would move the cursor, colour the screen or turn the reading direction is shown as one mark; its column stays. */
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]/g;
export const hideControls = (text: string): string => text.replaceAll(CONTROLS, '\ufffd');

const startOf = (node: unknown): number | undefined => (node as Node | null | undefined)?.range?.[0];
/** An empty value has a place, but nothing stands there: its key is what people see. */
const hasText = (node: unknown): boolean => !(isScalar(node) && node.value === null && (node.source ?? '') === '');

/** A misspelt key gives a secret away as well as the right one. */
const SECRET_KEY = /secret|pas+w|token/i;
const SECRET_LINE = /((?:secret|pas+w\w*|token)\w*["']?\s*:\s*)(?!\s|[{[&*|>])([^#{}\n]*)/gi;

/** The text with every scalar that is written where a secret's name should be replaced by stars, its lines and columns kept. */
function maskSecrets(doc: Document, text: string): string {
  const chars = text.split('');
  const hide = (from: number, to: number): void => {
    for (let i = from; i < to && i < chars.length; i += 1) if (chars[i] !== '\n' && chars[i] !== '\r') chars[i] = '*';
  };
  visit(doc, {
    Pair(_, pair) {
      if (!isScalar(pair.key) || !SECRET_KEY.test(String(pair.key.value)) || !isScalar(pair.value) || pair.value.range == null) return;
      hide(pair.value.range[0], pair.value.range[1]);
    },
  });
  // What is no YAML has no nodes: there the line's look must do.
  return chars.join('').replace(SECRET_LINE, (_, before: string, value: string) => before + value.replace(/[^\s,]/g, '*'));
}
