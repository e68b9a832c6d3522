import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { UnderstudyError } from '../model/error.ts';
import type { Account } from './account.ts';
import { LOOPBACK, type StageNetwork } from './network.ts';
import type { StagePorts } from './ports.ts';

/** Where everything of a stage lies. */
export interface StageLayout {
  readonly dir: string;
  readonly config: string;
  readonly socket: string;
  readonly secret: string;
  readonly temporalDatabase: string;
  readonly dnsState: string;
  readonly logs: string;
}

export interface StageOptions {
  /** Left out: a new one in the system's temporary directory. */
  readonly dir?: string;
  readonly members: number;
  readonly leaseMs: number;
  readonly durability: 'sync' | 'async';
  readonly portBase: number;
  /** Left out: all on this host's own loopback. */
  readonly network?: StageNetwork;
}

export const GROUP = 'orders';
export const ZONE = 'understudy.test.';
export const RECORD = `_postgresql._tcp.${GROUP}.${ZONE}`;
export const KEY_NAME = 'understudy';
export const DATABASE = { user: 'postgres', database: 'postgres' } as const;
export const MAX_MEMBERS = 16;

/** pg-a, pg-b, … */
export const memberName = (index: number): string => `pg-${String.fromCharCode('a'.charCodeAt(0) + index)}`;
export const memberDirOf = (layout: StageLayout, member: string): string => path.join(layout.dir, 'members', member);
export const logFileOf = (layout: StageLayout, part: string): string => path.join(layout.logs, `${part}.log`);

export const layoutOf = (dir: string): StageLayout => ({
  dir,
  config: path.join(dir, 'understudy.yaml'),
  socket: path.join(dir, 'stage.sock'),
  secret: path.join(dir, 'tsig.secret'),
  temporalDatabase: path.join(dir, 'temporal.db'),
  dnsState: path.join(dir, 'dns.json'),
  logs: path.join(dir, 'logs'),
});

/**
 * Makes the stage's directory, empty but for its secret. The database's account must be able to reach its own part of it, and only that.
 *
 * @throws UnderstudyError `BadInput` where the directory is not fit, with the next step
 */
export function makeStageDir(given: string | undefined, account: Account | undefined): StageLayout {
  const dir = given === undefined ? mkdtempSync(path.join(tmpdir(), 'understudy-')) : path.resolve(given);
  const layout = layoutOf(dir);
  if (Buffer.byteLength(dir) > MAX_DIR_BYTES) {
    throw new UnderstudyError(
      'BadInput',
      `${dir} is ${Buffer.byteLength(dir)} bytes long, and sockets below it leave room for ${MAX_DIR_BYTES}. Next: choose a shorter --dir`,
    );
  }
  if (given !== undefined && existsSync(dir)) {
    if (existsSync(layout.config))
      throw new UnderstudyError(
        'BadInput',
        `${dir} holds a stage already. Next: "understudy local status --dir ${dir}" shows whether it runs; remove the directory, or choose another`,
      );
    if (readdirSync(dir).length > 0) throw new UnderstudyError('BadInput', `${dir} is not empty, and no stage. Next: choose another --dir`);
  }
  if (account !== undefined) requireReachable(path.dirname(dir), account);
  mkdirSync(layout.logs, { recursive: true });
  chmodSync(dir, 0o755);
  // Processes are known by the directory that they were told of, which may be the one that a link leads to.
  const real = layoutOf(realpathSync(dir));
  if (account !== undefined) requireReachable(path.dirname(real.dir), account);
  writeFileSync(real.secret, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  return real;
}

/** A socket's path may have 107 bytes, and `/members/pg-a/state/` with what stands in it takes the rest. @see unix(7) */
const MAX_DIR_BYTES = 107 - 46;

/** The agents are root and make what is theirs; a database's directory, and a clone beside it, are made by its own account. */
export function makeMemberDirs(layout: StageLayout, member: string, account: Account | undefined): { dataDir: string; stateDir: string } {
  const home = memberDirOf(layout, member);
  const stateDir = path.join(home, 'state');
  mkdirSync(stateDir, { recursive: true, mode: 0o755 });
  if (account !== undefined) chownSync(home, account.uid, account.gid);
  return { dataDir: path.join(home, 'data'), stateDir };
}

/** Every directory above that is there already; what is made below them is open to the account. */
function requireReachable(above: string, account: Account): void {
  for (let at = above; ; at = path.dirname(at)) {
    if (!existsSync(at)) continue;
    const { mode, uid, gid } = statSync(at);
    const may = uid === account.uid ? mode & 0o100 : gid === account.gid ? mode & 0o010 : mode & 0o001;
    if (may === 0)
      throw new UnderstudyError(
        'BadInput',
        `the databases run as ${account.name}, which may not enter ${at}. Next: choose a --dir elsewhere, such as below /var/tmp`,
      );
    if (at === path.dirname(at)) return;
  }
}

/** What an operator may write, as plain values. */
type Written = Record<string, unknown>;
export interface StageConfig {
  readonly temporal: Written;
  readonly providers: Record<string, Written>;
  readonly groups: Record<string, Written & { postgres: Written; members: Record<string, Written> }>;
}

/** The stage's understudy.yaml: what an operator would write, with little held back, so that several faults in a row may be tried. */
export async function writeConfig(
  layout: StageLayout,
  ports: StagePorts,
  options: StageOptions,
  binDir: string,
  account: Account | undefined,
  adjust?: (config: StageConfig) => Promise<void>,
): Promise<void> {
  const network = options.network ?? LOOPBACK;
  const hostOf = (part: string): string => network.hostOf(part);
  const names = ports.members.map((_, index) => memberName(index));
  const members = Object.fromEntries(
    names.map((name, index) => [
      name,
      {
        address: `${hostOf(name)}:${ports.members[index]}`,
        dnsName: `${name}.${ZONE}`,
        ...makeMemberDirs(layout, name, account),
      },
    ]),
  );
  const config: StageConfig = {
    temporal: { address: `${hostOf('temporal')}:${ports.temporal}`, namespace: 'default', ui: `http://${hostOf('temporal')}:${ports.ui}` },
    providers: {
      main: {
        type: 'rfc2136',
        server: `${hostOf('dns')}:${ports.dns}`,
        zone: ZONE,
        tsig: { name: KEY_NAME, algorithm: 'hmac-sha256', secret: { file: layout.secret } },
        timeout: '1s',
      },
    },
    groups: {
      [GROUP]: {
        database: 'postgres',
        lease: `${options.leaseMs}ms`,
        durability: options.durability,
        policy: { minInterval: '0s', maxPerDay: 1000 },
        postgres: { bin: binDir, ...(account === undefined ? {} : { systemUser: account.name }), auth: 'trust', superuser: { user: DATABASE.user } },
        members,
        records: [{ name: RECORD, type: 'SRV', ttl: '1s', provider: 'main' }],
      },
    },
  };
  await adjust?.(config);
  const head = '# Written by "understudy local up": a stage for trying out, on this machine alone. `auth: trust` and the policy are not for production.\n';
  writeFileSync(layout.config, head + stringify(config), { mode: 0o644 });
}
