import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.dirname(import.meta.dirname);

interface Call {
  readonly at: string;
  readonly args: readonly string[];
}

/** A call of a logger: `log.info(`, `this.#log.warn(`, and the guard's `log(` and `this.#log(`, which has no levels. */
const CALL = /(?<![\w.])(?:this\.|[\w.]+\.)?#?log(?:\.(?:trace|debug|info|warn|error|fatal))?\(/g;

export function logCallsOf(file: string, source: string): Call[] {
  const code = source
    .replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(?<=^|\s)\/\/[^\n]*/g, (comment) => ' '.repeat(comment.length));
  return [...code.matchAll(CALL)].flatMap((match) => {
    const before = code.slice(0, match.index);
    if (/(function|get)\s+$/.test(before)) return [];
    return [{ at: `${file}:${before.split('\n').length}`, args: splitArguments(code, match.index + match[0].length) }];
  });
}

/** What stands between the commas of a call, strings and brackets kept whole. */
function splitArguments(code: string, from: number): string[] {
  const args: string[] = [];
  let [depth, start, quote] = [0, from, ''];
  for (let at = from; at < code.length; at += 1) {
    const char = code[at] as string;
    if (quote !== '') {
      if (char === '\\') at += 1;
      else if (char === quote) quote = '';
    } else if (`'"\``.includes(char)) quote = char;
    else if ('([{'.includes(char)) depth += 1;
    else if (')]}'.includes(char) && depth > 0) depth -= 1;
    else if ((char === ',' || char === ')') && depth === 0) {
      args.push(code.slice(start, at).trim());
      start = at + 1;
      if (char === ')') break;
    }
  }
  return args.filter((arg) => arg !== '');
}

const CONSTANT = /^(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")$/;
const FIELDS = /^(?:\{[\s\S]*\}|meta \?\? \{\})$/;

/** pino has the fields first, Temporal's workflow logger and the guard's have them last: either way one constant message, and at most one object beside it. */
export function complaint({ at, args }: Call): string | undefined {
  const message = args.find((arg) => CONSTANT.test(arg));
  const rest = args.filter((arg) => arg !== message);
  if (message === undefined) return `${at}: the message is not constant: ${args.join(', ')}`;
  if (rest.length > 1 || rest.some((arg) => !FIELDS.test(arg))) return `${at}: beside the message stand fields, in one object: ${rest.join(', ')}`;
  return undefined;
}

const ROOMS = ['src/agent', 'src/guard', 'src/database', 'src/providers', 'src/runtime', 'src/bin', 'workflows', 'activities'];
/** What others say is passed on in their words: the SDK's own lines. */
const PASSED_ON = ['src/bin/worker.ts'];
/** Keys that name the incident, or what it can be found by. */
const INCIDENT = /\b(incident|epoch|id|workflowId)\b/;

describe('a log line is a constant message and fields', () => {
  const files = ROOMS.flatMap((room) =>
    readdirSync(path.join(ROOT, room), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => path.join(room, name)),
  ).filter((file) => !PASSED_ON.includes(file));
  const calls = files.flatMap((file) => logCallsOf(file, readFileSync(path.join(ROOT, file), 'utf8')));

  it('everywhere, so that lines can be counted and searched for', () => {
    expect(calls.length).toBeGreaterThan(35);
    expect(calls.map(complaint).filter((words) => words !== undefined)).toEqual([]);
  });

  it.each(['role taken', 'role ended', 'act done', 'act failed', 'incident begins', 'incident ended', 'lease taken', 'lease ended', 'group begins'])(
    'what changes names its incident, or the epoch that it is found by: %s',
    (message) => {
      const found = calls.filter(({ args }) => args.includes(`'${message}'`));
      expect(found.length).toBeGreaterThan(0);
      for (const { at, args } of found) expect(args.join(), at).toMatch(INCIDENT);
    },
  );

  it.each([
    ["log.info({ a: 1 }, 'it is so')", undefined],
    ["this.#log('it is so', { a: 1 })", undefined],
    ['log.info(`member ${name} is gone`)', 'a.ts:1: the message is not constant: `member ${name} is gone`'],
    ["log.info('it is ' + name)", "a.ts:1: the message is not constant: 'it is ' + name"],
    ["log.warn('it failed', error)", 'a.ts:1: beside the message stand fields, in one object: error'],
    ['member.log.warn({ err: error }, words)', 'a.ts:1: the message is not constant: { err: error }, words'],
  ])('%s', (source, expected) => {
    expect(logCallsOf('a.ts', source).map(complaint)).toEqual([expected]);
  });
});
