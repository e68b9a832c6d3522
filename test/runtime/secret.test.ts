import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveSecret } from '../../src/runtime/secret.ts';

describe('a secret', () => {
  let directory: string;
  beforeAll(() => void (directory = mkdtempSync(path.join(tmpdir(), 'understudy-secret-'))));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(directory, name), text);
    return path.join(directory, name);
  };

  it('comes from the variable or from the file, without the final line break only', () => {
    expect(resolveSecret({ env: 'X' }, { X: ' kept as it is ' })).toBe(' kept as it is ');
    expect(resolveSecret({ file: file('a', 'hunter2\n') })).toBe('hunter2');
    expect(resolveSecret({ file: file('b', 'two\nlines\r\n') })).toBe('two\nlines');
  });

  it.each([
    ['a variable that is not set', () => ({ env: 'UNDERSTUDY_TSIG' }), /the environment variable UNDERSTUDY_TSIG is not set/],
    ['an empty variable', () => ({ env: 'EMPTY' }), /EMPTY is empty/],
    ['a file that is not there', () => ({ file: path.join(directory, 'none') }), /none does not exist/],
    ['an empty file', () => ({ file: file('empty', '\n') }), /empty is empty/],
  ])('I9: %s is named, and how to set it', (_, ref, words) => {
    expect(() => resolveSecret(ref(), { EMPTY: '' })).toThrow(
      expect.objectContaining({ code: 'SecretMissing', message: expect.stringMatching(words) }) as Error,
    );
  });
});
