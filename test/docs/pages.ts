import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

export const ROOT = path.dirname(path.dirname(import.meta.dirname));

export interface Page {
  /** Relative to the root: `docs/tutorial.md`. */
  readonly file: string;
  readonly text: string;
}

export interface Block {
  readonly language: string;
  readonly text: string;
  readonly line: number;
}

export const readPage = (file: string): Page => ({ file, text: readFileSync(path.join(ROOT, file), 'utf8') });

/** Everything that is written for people. */
export function allPages(): Page[] {
  const below = readdirSync(path.join(ROOT, 'docs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md'))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)));
  return ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...below.sort()].map(readPage);
}

const FENCE = /^( *)```(\w*)[^\n]*\n([\s\S]*?)^\1```[ \t]*$/gm;

export function blocksOf({ text }: Page): Block[] {
  return [...text.matchAll(FENCE)].map((match) => ({
    language: match[2] as string,
    text: match[3] as string,
    line: text.slice(0, match.index).split('\n').length + 1,
  }));
}

/** The page without its code blocks, line numbers kept. */
export const proseOf = ({ text }: Page): string => text.replace(FENCE, (block) => block.replace(/[^\n]/g, ''));

/** What stands in backticks outside of blocks. */
export function spansOf(page: Page): { text: string; line: number }[] {
  const prose = proseOf(page);
  return [...prose.matchAll(/`([^`\n]+)`/g)].map((match) => ({ text: match[1] as string, line: prose.slice(0, match.index).split('\n').length }));
}

export function linksOf(page: Page): { target: string; line: number }[] {
  const prose = proseOf(page);
  return [...prose.matchAll(/\[[^\]\n]*\]\(([^)\s]+)\)/g)].map((match) => ({
    target: match[1] as string,
    line: prose.slice(0, match.index).split('\n').length,
  }));
}

/** Headings as the usual renderers make anchors of them. */
export function anchorsOf(page: Page): Set<string> {
  return new Set(
    [...proseOf(page).matchAll(/^#{1,6} +(.+?) *$/gm)].map((match) =>
      (match[1] as string)
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}
