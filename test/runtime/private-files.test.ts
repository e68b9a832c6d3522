import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { claimStateDir } from '../../src/runtime/private-files.ts';

const modeOf = (file: string): number => statSync(file).mode & 0o777;

describe("what lies in a member's state directory is its agent's alone", () => {
  let above: string;
  let count = 0;
  beforeAll(() => void (above = mkdtempSync(path.join(tmpdir(), 'understudy-private-'))));
  afterAll(() => rmSync(above, { recursive: true, force: true }));
  const makeDir = (mode = 0o700): string => {
    const dir = path.join(above, `state-${(count += 1)}`);
    mkdirSync(dir, { mode });
    chmodSync(dir, mode);
    return dir;
  };
  const refusal = (dir: string): unknown => {
    try {
      claimStateDir(dir);
    } catch (error) {
      return error;
    }
    return undefined;
  };

  it('a missing one is made for this account alone', () => {
    const dir = path.join(above, 'new', 'state');
    claimStateDir(dir);
    expect(modeOf(dir)).toBe(0o700);
  });

  it.each<[string, (dir: string) => void, RegExp]>([
    ['the group may write the directory', (dir) => chmodSync(dir, 0o770), /state-\d+ may be written by others \(mode 770\).*Next: chmod go-w \S+state-\d+$/],
    ['everybody may', (dir) => chmodSync(dir, 0o707), /may be written by others \(mode 707\)/],
    ['others may write the role and its token', (dir) => writeMode(path.join(dir, 'agent.json'), 0o622), /agent\.json may be written by others/],
    ['others may write the log', (dir) => writeMode(path.join(dir, 'guard.log'), 0o660), /guard\.log may be written by others/],
    ["others may write the database's log", (dir) => writeMode(path.join(dir, 'postgres.log'), 0o666), /postgres\.log may be written by others/],
    ['the role is a link to somewhere else', (dir) => symlinkSync('/etc/hostname', path.join(dir, 'agent.json')), /agent\.json is a link to somewhere else/],
    ['the socket is a directory', (dir) => mkdirSync(path.join(dir, 'guard.sock')), /guard\.sock is a directory/],
  ])('refused: %s', (_, spoil, words) => {
    const dir = makeDir();
    spoil(dir);
    expect(refusal(dir)).toMatchObject({ code: 'UnsafeFiles', message: expect.stringMatching(words) });
  });

  it('refused: a directory above that everybody may write, unless it keeps what others made', () => {
    const parent = makeDir(0o777);
    mkdirSync(path.join(parent, 'state'), { mode: 0o700 });
    expect(refusal(path.join(parent, 'state'))).toMatchObject({
      code: 'UnsafeFiles',
      message: expect.stringMatching(/could put another directory in the place of ours/),
    });
    chmodSync(parent, 0o1777);
    expect(refusal(path.join(parent, 'state'))).toBeUndefined();
  });

  it.skipIf(process.getuid?.() !== 0)('refused: a directory or a file of another account (needs root to make one)', () => {
    const dir = makeDir();
    writeMode(path.join(dir, 'agent.json'), 0o600);
    chownSync(path.join(dir, 'agent.json'), 65_534, 65_534);
    expect(refusal(dir)).toMatchObject({ message: expect.stringMatching(/agent\.json belongs to the user 65534, and this process runs as 0/) });
    const whole = makeDir();
    chownSync(whole, 65_534, 65_534);
    expect(refusal(whole)).toMatchObject({ message: expect.stringMatching(/belongs to the user 65534/) });
  });

  it('what an earlier version left for others to read is closed to them', () => {
    const dir = makeDir(0o711);
    for (const name of ['agent.json', 'guard.lock', 'guard.log']) writeMode(path.join(dir, name), 0o644);
    writeMode(path.join(dir, 'postgres.log'), 0o640);
    claimStateDir(dir);
    expect(['agent.json', 'guard.lock', 'guard.log', 'postgres.log'].map((name) => modeOf(path.join(dir, name)))).toEqual([0o600, 0o600, 0o600, 0o640]);
    // The database's account passes through it to its own part.
    expect(modeOf(dir)).toBe(0o711);
  });
});

function writeMode(file: string, mode: number): void {
  writeFileSync(file, '{}');
  chmodSync(file, mode);
}
