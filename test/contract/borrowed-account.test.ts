import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadThreadSwitch, underAccount } from '../../src/database/postgres/borrowed-account.ts';

const NOBODY = 65_534;
const effective = (folder: string): number => Number(/^Uid:\s+\d+\s+(\d+)/m.exec(readFileSync(`${folder}/status`, 'latin1'))?.[1]);
const ofOtherThreads = (): number[] =>
  readdirSync('/proc/self/task')
    .filter((thread) => Number(thread) !== process.pid)
    .map((thread) => effective(`/proc/self/task/${thread}`));

class Ended extends Error {}
const end = (words: string): never => {
  throw new Ended(words);
};

describe.skipIf(process.getuid?.() !== 0)('the account that is borrowed for a connect', () => {
  it('is the one thread’s alone, and is given back', async () => {
    const switchTo = await loadThreadSwitch();
    const others = ofOtherThreads();
    expect(others.length, "Node's own threads").toBeGreaterThan(3);
    const seen = underAccount(NOBODY, () => ({ ours: effective('/proc/thread-self'), others: ofOtherThreads() }), switchTo, end);
    expect(seen.ours).toBe(NOBODY);
    expect(seen.others.every((uid) => uid === 0)).toBe(true);
    expect(effective('/proc/thread-self')).toBe(0);
  });

  it('is given back when what was done with it fails', async () => {
    const switchTo = await loadThreadSwitch();
    const fail = (): never => {
      throw new Error('no such socket');
    };
    expect(() => underAccount(NOBODY, fail, switchTo, end)).toThrow('no such socket');
    expect(effective('/proc/thread-self')).toBe(0);
  });

  it('is not used where it cannot be taken', () => {
    let done = 0;
    expect(() =>
      underAccount(
        NOBODY,
        () => (done += 1),
        () => 1,
        end,
      ),
    ).toThrow(/account 65534: errno 1/);
    expect(done).toBe(0);
  });

  it('ends the process where ours cannot be taken back', () => {
    expect(() =>
      underAccount(
        NOBODY,
        () => 'done',
        (uid) => (uid === 0 ? 1 : 0),
        end,
      ),
    ).toThrow(Ended);
  });
});
