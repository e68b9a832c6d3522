import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { Credential } from '../../model/config.ts';
import type { Place } from './place.ts';
import type { Session } from './session.ts';

/** What pg_rewind and the look at another member's history need, and a superuser has anyway. */
const GRANTS = [
  'pg_ls_dir(text, boolean, boolean)',
  'pg_stat_file(text, boolean)',
  'pg_read_binary_file(text)',
  'pg_read_binary_file(text, bigint, bigint, boolean)',
];

/**
 * The replication account and its rights, and passwords where an account has none yet. A password that is there already is the user's and stays;
 * where it is not the configured one, the log says so.
 */
export async function keepAccounts(session: Session, place: Place): Promise<void> {
  const { superuser, replication } = place.options.postgres;
  await keepPassword(session, place, superuser);
  if (replication.user === superuser.user) return;
  const role = await readRole(session, replication.user);
  const name = quoteIdentifier(replication.user);
  if (role === undefined) await session.ask(`create role ${name} with login replication`);
  else if (!role.replication || !role.login) await session.ask(`alter role ${name} with login replication`);
  await keepPassword(session, place, replication);
  if (role?.superuser === true) return;
  const missing = await session.ask<{ fn: string }>('select fn from unnest($2::text[]) as f(fn) where not has_function_privilege($1, fn, $3)', [
    replication.user,
    GRANTS,
    'execute',
  ]);
  for (const { fn } of missing) await session.ask(`grant execute on function pg_catalog.${fn} to ${name}`);
}

interface RoleRow {
  superuser: boolean;
  replication: boolean;
  login: boolean;
  verifier: string | null;
}

async function readRole(session: Session, user: string): Promise<RoleRow | undefined> {
  const rows = await session.ask<RoleRow>(
    'select rolsuper as superuser, rolreplication as replication, rolcanlogin as login, rolpassword as verifier from pg_authid where rolname = $1',
    [user],
  );
  return rows[0];
}

async function keepPassword(session: Session, place: Place, credential: Credential): Promise<void> {
  const password = place.password(credential);
  if (password === undefined) return;
  const role = await readRole(session, credential.user);
  if (role?.verifier === null) {
    // The verifier, never the password, goes to the server, whose log may show statements.
    await session.ask(`alter role ${quoteIdentifier(credential.user)} with password '${makeVerifier(password)}'`);
  } else if (role !== undefined && !matches(role.verifier, password)) {
    place.log.warn({ user: credential.user }, 'the configured password is not the one that the database knows; it was left as it is');
  }
}

const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const ITERATIONS = 4096;

/** @see RFC 5803; PostgreSQL manual, "pg_authid" */
export function makeVerifier(password: string, salt: Buffer = randomBytes(16), iterations: number = ITERATIONS): string {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const key = (label: string): Buffer => createHmac('sha256', salted).update(label).digest();
  const stored = createHash('sha256').update(key('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${key('Server Key').toString('base64')}`;
}

/** An md5 verifier is not compared: it is left as it is, without a word. */
function matches(verifier: string, password: string): boolean {
  const parts = /^SCRAM-SHA-256\$(\d+):([^$]+)\$/.exec(verifier);
  return parts === null || makeVerifier(password, Buffer.from(parts[2] ?? '', 'base64'), Number(parts[1])) === verifier;
}
