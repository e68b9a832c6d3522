import { chmodSync, lstatSync, mkdirSync, realpathSync, type Stats } from 'node:fs';
import path from 'node:path';
import { UnderstudyError } from '../model/error.ts';

const OTHERS_WRITE = 0o022;
const OTHERS_ANY = 0o077;
const STICKY = 0o1000;

/** What lies in a state directory and is its account's alone: whoever opened the socket or took the lock would be the guard's master. */
const PRIVATE = ['guard.sock', 'guard.lock', 'agent.json', 'agent.json.new', 'guard.log'] as const;
/** Others may read these where their modes say so, and nobody else may write them. */
const OURS = [...PRIVATE, 'postgres.log', 'database.torn'] as const;

/**
 * Makes the state directory where it is missing, and makes sure that nobody but this account (and root) can put, take or change anything in it. What others
 * could only read, and need not, is closed to them.
 *
 * Above it, only what anybody at all could change is refused: whom an operator lets in there is the operator's to know.
 *
 * @returns the directory's real path
 * @throws UnderstudyError `UnsafeFiles` that names the file, what is so, and the command that mends it
 */
export function claimStateDir(stateDir: string): string {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const real = realpathSync(stateDir);
  const found = lstatSync(real);
  if (!found.isDirectory()) throw unsafe(real, 'is no directory', 'choose another stateDir');
  demandOurs(real, found);
  for (let at = path.dirname(real); ; at = path.dirname(at)) {
    const { mode } = lstatSync(at);
    if ((mode & 0o002) !== 0 && (mode & STICKY) === 0)
      throw unsafe(at, 'may be written by everybody, who could put another directory in the place of ours', `chmod o-w ${at}`);
    if (at === path.dirname(at)) break;
  }
  for (const name of OURS) claimFile(path.join(real, name), (PRIVATE as readonly string[]).includes(name));
  return real;
}

function claimFile(file: string, isPrivate: boolean): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isSymbolicLink() || found.isDirectory())
    throw unsafe(file, found.isDirectory() ? 'is a directory' : 'is a link to somewhere else', `look who made it, then: rm -r ${file}`);
  demandOurs(file, found);
  // An earlier version left them open to readers, and a lock can be taken by whoever can read it. @see flock(2)
  if (isPrivate && (found.mode & OTHERS_ANY) !== 0) chmodSync(file, found.mode & 0o700);
}

function demandOurs(file: string, { uid, mode }: Stats): void {
  const own = process.geteuid?.() ?? uid;
  if (uid !== own && uid !== 0) throw unsafe(file, `belongs to the user ${uid}, and this process runs as ${own}`, `chown ${own} ${file}`);
  if ((mode & OTHERS_WRITE) !== 0) throw unsafe(file, `may be written by others (mode ${(mode & 0o7777).toString(8)})`, `chmod go-w ${file}`);
}

function unsafe(file: string, words: string, next: string): UnderstudyError {
  return new UnderstudyError('UnsafeFiles', `${file} ${words}: whoever can write there could command this member. Next: ${next}`, { file });
}
