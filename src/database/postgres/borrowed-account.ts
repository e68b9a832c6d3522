import { writeSync } from 'node:fs';
import { UnderstudyError } from '../../model/error.ts';

/** Makes an account the effective one of the calling thread, and of no other. @returns 0, else the system's errno */
export type ThreadSwitch = (uid: number) => number;

/** Of setresuid(2): the kernel's call is for one thread; the C library's, which Node uses, then tells it to all the others, one by one. */
const SETRESUID: Readonly<Record<string, number>> = { x64: 117, arm64: 147, riscv64: 147, loong64: 147, ppc64: 164, s390x: 208 };
const AS_IT_IS = -1;

/**
 * `peer` authentication reads who calls at the instant of connect(2). Node's `seteuid` would change every thread for that instant, and those that
 * write files at the same time with it: one was seen to keep the database's account.
 *
 * @throws UnderstudyError `DatabaseUnreachable` where a single thread's account cannot be changed here
 */
export async function loadThreadSwitch(): Promise<ThreadSwitch> {
  const number = SETRESUID[process.arch];
  try {
    if (process.platform !== 'linux' || number === undefined)
      throw new Error(`the number of setresuid is not known for ${process.platform} on ${process.arch}`);
    const koffi = await import('koffi');
    const syscall = koffi.load(null).func('long syscall(long number, ...)');
    return (uid) => (syscall(number, 'int', AS_IT_IS, 'int', uid, 'int', AS_IT_IS) === 0 ? 0 : koffi.errno());
  } catch (error) {
    // koffi throws plain errors: no binary for this platform, no such symbol.
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new UnderstudyError(
      'DatabaseUnreachable',
      `root cannot connect as the database's account: ${why}. Next: run the agent as that account, or give the superuser a password and let pg_hba.conf ask for it`,
      { why },
      error,
    );
  }
}

/**
 * Does something that is over when it returns, under another account; the other threads keep theirs.
 *
 * @throws UnderstudyError `DatabaseUnreachable` where the account cannot be taken: then nothing was done. Where our own cannot be taken back the
 * process ends, since it would go on without its rights
 */
export function underAccount<T>(uid: number, work: () => T, switchTo: ThreadSwitch, end: (words: string) => never = endLoudly): T {
  const refused = switchTo(uid);
  if (refused !== 0)
    throw new UnderstudyError('DatabaseUnreachable', `the system does not let this process take the account ${uid}: errno ${refused}`, { uid, errno: refused });
  try {
    return work();
  } finally {
    const kept = switchTo(0);
    if (kept !== 0)
      end(`understudy: the main thread keeps the account ${uid}: errno ${kept}. It ends: its guard holds the lease for as long as it was renewed\n`);
  }
}

function endLoudly(words: string): never {
  writeSync(process.stderr.fd, words);
  process.abort();
}
