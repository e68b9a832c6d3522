import { existsSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/main.ts';
import type { Program } from '../../src/cli/program.ts';
import { checkConfig, printMistakes } from '../../src/runtime/config.ts';
import { ROOT, allPages, anchorsOf, blocksOf, linksOf, readPage, spansOf } from './pages.ts';

const pages = allPages();

describe('what the documentation names is there', () => {
  it('every relative link leads to a file, and to a heading of it', () => {
    const dead: string[] = [];
    for (const page of pages) {
      for (const { target, line } of linksOf(page)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [to = '', anchor] = target.split('#');
        const file = to === '' ? page.file : path.normalize(path.join(path.dirname(page.file), to));
        if (!existsSync(path.join(ROOT, file))) dead.push(`${page.file}:${line}: ${target}`);
        else if (anchor !== undefined && file.endsWith('.md') && !anchorsOf(readPage(file)).has(anchor))
          dead.push(`${page.file}:${line}: ${target} (no such heading)`);
      }
    }
    expect(dead).toEqual([]);
  });

  it('every file that is named as the proof of something, or as its place, exists', () => {
    const rooms = /(?<![\w./-])(?:test|src|workflows|activities|docs|deploy|scripts|bin)\/[\w./@-]+/g;
    const missing: string[] = [];
    let named = 0;
    for (const page of pages) {
      for (const { text, line } of spansOf(page)) {
        if (text.includes('<') || text.includes('*')) continue;
        for (const [file] of text.matchAll(rooms)) {
          named += 1;
          if (!existsSync(path.join(ROOT, file.replace(/[.,]$/, '')))) missing.push(`${page.file}:${line}: ${file}`);
        }
      }
    }
    expect(named).toBeGreaterThan(50);
    expect(missing).toEqual([]);
  });

  it('every npm script that is named exists', () => {
    const { scripts } = JSON.parse(readPage('package.json').text) as { scripts: Record<string, string> };
    const named = pages.flatMap((page) => [...page.text.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)].map((match) => match[1] ?? (match[2] as string)));
    expect(named).toContain('start');
    expect([...new Set(named)].filter((name) => !(name in scripts))).toEqual([]);
  });
});

describe('every command in the documentation', () => {
  let program: Program;
  beforeAll(async () => {
    program = await createProgram();
  });

  it('exists in the command line, with its options', () => {
    // Blocks of plain text are other programs' configuration, and the help that the command line itself has printed.
    const wrong: string[] = [];
    let named = 0;
    for (const page of pages) {
      const code = [
        ...spansOf(page),
        ...blocksOf(page)
          .filter(({ language }) => language !== 'text')
          .flatMap((block) => block.text.split('\n').map((text, index) => ({ text, line: block.line + index }))),
      ];
      for (const { text, line } of code) {
        for (const match of text.matchAll(/(?<![\w./@-])understudy((?: +[^\s|;&)#"']+)+)/g)) {
          named += 1;
          const complaint = complaintAbout((match[1] as string).trim().split(/ +/));
          if (complaint !== undefined) wrong.push(`${page.file}:${line}: understudy${match[1]}: ${complaint}`);
        }
      }
    }
    expect(named).toBeGreaterThan(30);
    expect(wrong).toEqual([]);
  });

  function complaintAbout(words: readonly string[]): string | undefined {
    let at = program;
    for (const word of words.filter((one) => !one.startsWith('-') && !one.startsWith('[') && !one.startsWith('<'))) {
      const next = at.commands.find((command) => command.name() === word || command.aliases().includes(word));
      if (next === undefined) break;
      at = next;
    }
    const [first] = words;
    if (at === program && first !== undefined && /^[a-z]/.test(first) && first !== 'help') return `there is no command ${first}`;
    if (at.commands.length > 0 && at !== program && words.length > 1 && /^[a-z]/.test(words[1] ?? '')) return `${at.name()} has no command ${words[1]}`;
    const options = [...at.options, ...program.options].flatMap(({ long, short }) => [long, short]);
    const odd = words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split('=')[0]);
    const unknown = odd.filter((word) => !options.includes(word) && word !== '--help' && word !== '-h');
    return unknown.length === 0 ? undefined : `unknown option ${unknown.join(', ')}`;
  }
});

describe('every whole configuration in the documentation', () => {
  const whole = pages.flatMap((page) =>
    blocksOf(page).flatMap((block) => (block.language === 'yaml' && /^groups:/m.test(block.text) ? [{ page, block }] : [])),
  );

  it('is there to be checked', () => expect(whole.length).toBeGreaterThan(0));

  it.each(whole.map(({ page, block }) => [`${page.file}:${block.line}`, block.text]))('%s is valid', (place, text) => {
    const answer = checkConfig(text, place);
    expect('mistakes' in answer ? printMistakes(answer.mistakes) : '').toBe('');
  });
});
