import { userInfo } from 'node:os';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { execa } from 'execa';
import type { Logger } from 'pino';
import type { Credential, MemberLocal, PostgresConfig, SecretRef } from '../../model/config.ts';
import { UnderstudyError } from '../../model/error.ts';
import type { MemberSpec } from '../../model/group.ts';

export interface DriverOptions {
  readonly group: string;
  readonly member: MemberSpec;
  /** All of the group's members, ours included. */
  readonly members: readonly MemberSpec[];
  readonly local: MemberLocal;
  readonly postgres: PostgresConfig;
  /** Where postgres, initdb, pg_basebackup, pg_rewind and pg_controldata are. */
  readonly binDir: string;
  readonly resolveSecret: (ref: SecretRef) => string;
  readonly log: Logger;
}

/** The system account that owns the data and runs every program of PostgreSQL. `drop` where we are root and must become it. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly drop: boolean;
}

/** A Unix socket's path may have 107 bytes; PostgreSQL adds `/.s.PGSQL.<port>.lock`. */
const SOCKET_PATH_BYTES = 107;

/** Where everything of one member lies, and as whom it is touched. Every act is given one. */
export class Place {
  readonly options: DriverOptions;
  readonly dataDir: string;
  readonly stateDir: string;
  #account: Promise<Account> | undefined;

  constructor(options: DriverOptions) {
    this.options = options;
    this.dataDir = path.resolve(options.local.dataDir);
    this.stateDir = path.resolve(options.local.stateDir);
  }

  get member(): MemberSpec {
    return this.options.member;
  }

  get log(): Logger {
    return this.options.log;
  }

  data(...names: string[]): string {
    return path.join(this.dataDir, ...names);
  }

  /** A directory of the state directory that belongs to the account: the socket and the password file lie in it. */
  get accountDir(): string {
    return path.join(this.stateDir, 'db');
  }

  get passFile(): string {
    return path.join(this.accountDir, 'passfile');
  }

  get logFile(): string {
    return path.join(this.stateDir, 'postgres.log');
  }

  /** In the state directory, so that a rewind, which removes what its source does not have, cannot remove it. */
  get tornFile(): string {
    return path.join(this.stateDir, 'database.torn');
  }

  /** The state directory's own where its path is short enough for a socket; else a short one that is named after it. */
  get socketDir(): string {
    const longest = path.join(this.accountDir, `.s.PGSQL.${this.member.port}.lock`);
    if (Buffer.byteLength(longest) <= SOCKET_PATH_BYTES) return this.accountDir;
    return path.join('/tmp', `understudy-${createHash('sha256').update(this.stateDir).digest('hex').slice(0, 16)}`);
  }

  tool(name: string): string {
    return path.join(this.options.binDir, name);
  }

  /** @throws UnderstudyError `SecretMissing` where there is none, or one that no password file could hold */
  password({ user, password }: Credential): string | undefined {
    if (password === undefined) return undefined;
    const value = this.options.resolveSecret(password);
    // oxlint-disable-next-line no-control-regex
    if (/[\0\r\n]/.test(value))
      throw new UnderstudyError(
        'SecretMissing',
        `the password of ${user} has a line break or a NUL in it, and no password has. Next: write it on one line, and nothing else.`,
        { user },
      );
    return value;
  }

  /** @throws UnderstudyError `ToolMissing` where we are root and there is no account to drop to */
  account(): Promise<Account> {
    this.#account ??= findAccount(this.options.postgres.systemUser);
    return this.#account;
  }
}

async function findAccount(named: string | undefined): Promise<Account> {
  if (process.geteuid?.() !== 0) {
    const { username, uid, gid } = userInfo();
    return { name: username, uid, gid, drop: false };
  }
  const names = named === undefined ? ['postgres', 'nobody'] : [named];
  for (const name of names) {
    const [uid, gid] = await Promise.all([askId('-u', name), askId('-g', name)]);
    if (uid !== undefined && gid !== undefined && uid !== 0) return { name, uid, gid, drop: true };
  }
  throw new UnderstudyError(
    'ToolMissing',
    `PostgreSQL does not run as root, and there is no account ${names.join(' or ')} to run it as. Next: make one, or name another in postgres.systemUser.`,
    { names },
  );
}

async function askId(flag: string, name: string): Promise<number | undefined> {
  const answer = await execa('id', [flag, '--', name], { reject: false, timeout: 10_000, stdin: 'ignore' });
  return answer.failed ? undefined : Number(answer.stdout.trim());
}

/** `understudy_pg_b`: slots of this prefix are ours, all others the user's. */
export const SLOT_PREFIX = 'understudy_';

export function slotName(member: string): string {
  return `${SLOT_PREFIX}${member.replaceAll('-', '_')}`;
}
