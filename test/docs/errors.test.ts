import { describe, expect, it } from 'vitest';
import { ERRORS } from '../../src/model/error.ts';
import { readPage } from './pages.ts';

/** One section for each code: its heading, then whether trying again can help, in so many words. */
const sections = readPage('docs/reference/errors.md')
  .text.split(/^### /m)
  .slice(1)
  .map((section) => ({ code: /^`(\w+)`/.exec(section)?.[1], retry: /^Tried again: (yes|no)\./m.exec(section)?.[1], text: section }));

describe('docs/reference/errors.md', () => {
  it('explains every code of src/model/error.ts, and no other, in the same order', () => {
    expect(sections.map(({ code }) => code)).toEqual(Object.keys(ERRORS));
  });

  it.each(Object.entries(ERRORS))('%s: says whether trying again can help (%o), and what to do', (code, { retry }) => {
    const section = sections.find((one) => one.code === code);
    expect(section?.retry).toBe(retry ? 'yes' : 'no');
    expect(section?.text).toMatch(/^What to do: \S/m);
  });
});
