import { fc, it as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { tame } from '../../src/cli/output.ts';

describe('what others typed does nothing to the terminal of whoever reads it', () => {
  it.each([
    ['clears the screen', 'a\u001b[2Jb', 'a\ufffd[2Jb'],
    ['sets the title', 'a\u001b]0;x\u0007b', 'a\ufffd]0;x\ufffdb'],
    ['overwrites the line', 'refused\rdone   ', 'refused\ufffddone   '],
    ['turns the reading direction', 'a\u202eb', 'a\ufffdb'],
    ['one byte that begins a command', 'a\u009b2Jb', 'a\ufffd2Jb'],
  ])('%s', (_, text, shown) => expect(tame(text)).toBe(shown));

  it('colours, tabs and lines stay', () => expect(tame('\u001b[32mok\u001b[0m\ta\n')).toBe('\u001b[32mok\u001b[0m\ta\n'));

  // oxlint-disable-next-line no-control-regex
  const DOES_SOMETHING = /[\u0000-\u0008\u000b-\u001a\u009b]|\u001b(?!\[[0-9;]*m)/;
  property.prop([fc.string({ unit: 'binary' })])('whatever it is', (text) => {
    expect(tame(text)).not.toMatch(DOES_SOMETHING);
  });
});
