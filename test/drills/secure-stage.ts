import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { descendantsOf, guardOf, listProcesses } from '../../src/stage/pids.ts';
import type { Stage, StartOptions } from '../../src/stage/stage.ts';
import { layoutOf, memberDirOf } from '../../src/stage/stage-file.ts';
import { Authority } from '../support/certificates.ts';
import { SecureTemporal } from '../support/secure-temporal.ts';

/** The agents alone need it, and are given it by their environment. */
export const SUPERUSER_VARIABLE = 'UNDERSTUDY_DRILL_SUPERUSER';

/**
 * A stage with everything closed: mutual TLS and an API key before Temporal, encrypted histories, passwords between the members. Each secret is one that
 * nothing else could be taken for.
 */
export class SecureStage {
  readonly stage: Stage;
  readonly secure: SecureTemporal;
  /** By what it is for. */
  readonly secrets: Record<string, string>;
  readonly metricsPorts: readonly number[];
  /** What the server lets in. */
  readonly accepted: string[];
  readonly #dir: string;
  readonly #seen = new Map<string, string>();
  readonly #watch: NodeJS.Timeout;

  private constructor(stage: Stage, secure: SecureTemporal, secrets: Record<string, string>, metricsPorts: readonly number[], accepted: string[], dir: string) {
    this.accepted = accepted;
    this.stage = stage;
    this.secure = secure;
    this.secrets = secrets;
    this.metricsPorts = metricsPorts;
    this.#dir = dir;
    this.#watch = setInterval(() => this.#look(), 100);
  }

  static async start(): Promise<SecureStage> {
    const dir = mkdtempSync(path.join(tmpdir(), 'understudy-secure-'));
    const authority = new Authority(dir);
    const [server, client] = [authority.issue('server'), authority.issue('client', 'understudy')];
    const unmistakable = (name: string): string => `${name}-${randomBytes(12).toString('hex')}`;
    const secrets: Record<string, string> = {
      superuser: unmistakable('superuser'),
      replication: unmistakable('replication'),
      'API key': unmistakable('api'),
      'codec key': randomBytes(32).toString('base64'),
      'earlier codec key': randomBytes(32).toString('base64'),
      'client key': (readFileSync(client.key, 'utf8').split('\n')[1] ?? '').slice(0, 40),
    };
    const file = (name: string): { file: string } => {
      const at = path.join(dir, `${name.replaceAll(' ', '-')}.secret`);
      writeFileSync(at, `${secrets[name]}\n`, { mode: 0o600 });
      return { file: at };
    };
    const metricsPorts = [await freePort(), await freePort(), await freePort()];
    const accepted = [secrets['API key'] ?? ''];
    let secure: SecureTemporal | undefined;
    // The stage asks the members as any client does.
    process.env['PGPASSWORD'] = secrets['superuser'] ?? '';
    const compiled = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'stage', 'stage.js');
    const { Stage: Compiled } = (await import(compiled)) as typeof import('../../src/stage/stage.ts');
    const options: StartOptions = {
      members: 3,
      leaseMs: 3000,
      durability: 'sync',
      portBase: 0,
      temporary: true,
      tell: () => undefined,
      signal: AbortSignal.timeout(120_000),
      env: { PGPASSWORD: undefined, [SUPERUSER_VARIABLE]: secrets['superuser'], UNDERSTUDY_LOG_LEVEL: 'trace' },
      adjust: async ({ temporal, groups }) => {
        secure = await SecureTemporal.start({ target: String(temporal['address']), ca: authority.ca, ...server, apiKey: () => accepted });
        Object.assign(temporal, {
          address: secure.address,
          tls: { ca: authority.ca, ...client },
          apiKey: file('API key'),
          codec: { encodeWith: 'new', keys: { new: file('codec key'), old: file('earlier codec key') } },
        });
        const { orders } = groups;
        if (orders === undefined) throw new Error('the stage has no group orders');
        Object.assign(orders.postgres, {
          auth: 'scram-sha-256',
          superuser: { user: 'postgres', password: { env: SUPERUSER_VARIABLE } },
          replication: { user: 'replicator', password: file('replication') },
        });
        for (const [index, member] of Object.values(orders.members).entries()) member['metrics'] = { listen: `127.0.0.1:${metricsPorts[index]}` };
      },
    };
    const stage = await Compiled.start(options);
    if (secure === undefined) throw new Error('the configuration was not adjusted');
    return new SecureStage(stage, secure, { ...secrets, TSIG: readFileSync(layoutOf(stage.layout.dir).secret, 'utf8').trim() }, metricsPorts, accepted, dir);
  }

  async stop(keep: boolean): Promise<void> {
    clearInterval(this.#watch);
    await this.stage.stop({ keep });
    await this.secure.close();
    delete process.env['PGPASSWORD'];
    if (!keep) rmSync(this.#dir, { recursive: true, force: true });
  }

  /** Another API key in the file that the configuration names, as an operator's tool would put it there. */
  replaceApiKey(): string {
    const key = `api-${randomBytes(12).toString('hex')}`;
    this.accepted.push(key);
    Object.assign(this.secrets, { 'API key': key, 'replaced API key': this.secrets['API key'] });
    writeFileSync(path.join(this.#dir, 'API-key.secret'), `${key}\n`);
    return key;
  }

  /** The forms that a secret could be written in. */
  forms(name: string): string[] {
    const secret = this.secrets[name] ?? '';
    const forms = [secret, Buffer.from(secret).toString('base64').replace(/=+$/, ''), Buffer.from(secret).toString('hex')];
    // What is base64 already may be written as the bytes that it stands for.
    return /codec|TSIG/.test(name) ? [...forms, Buffer.from(secret, 'base64').toString('hex')] : forms;
  }

  /** The names of the secrets that stand in a text. */
  secretsIn(text: string): string[] {
    return Object.keys(this.secrets).filter((name) => this.forms(name).some((form) => text.includes(form)));
  }

  /** Files below a directory that hold one of the secrets, in whatever form. */
  filesWithSecrets(directory: string): string[] {
    const patterns = path.join(this.#dir, 'patterns');
    writeFileSync(
      patterns,
      `${Object.keys(this.secrets)
        .flatMap((name) => this.forms(name))
        .join('\n')}\n`,
    );
    try {
      return execFileSync('grep', ['-rlaF', '-f', patterns, directory], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
        .trim()
        .split('\n');
    } catch (error) {
      // 1: nothing was found. 2: files came and went meanwhile, and it says what it found all the same.
      const { status, stdout } = error as { status: number | null; stdout: string };
      if (status === 1 || status === 2) return stdout.split('\n').filter((line) => line !== '');
      throw error;
    }
  }

  /** Every command line with a secret that was seen since the stage is up. */
  get commandLinesWithSecrets(): string[] {
    return [...this.#seen].map(([line, secret]) => `${secret} in ${line}`);
  }

  #look(): void {
    for (const { pid } of listProcesses()) {
      const line = readProc(pid, 'cmdline').replaceAll('\0', ' ');
      const [secret] = this.secretsIn(line);
      if (secret !== undefined) this.#seen.set(line, secret);
    }
  }

  /** The environment of a member's guard and of everything below it, by process. */
  environments(member: string): { name: string; text: string }[] {
    const guard = guardOf(path.join(memberDirOf(this.stage.layout, member), 'state'));
    if (guard === undefined) throw new Error(`${member} has no guard`);
    return [{ pid: guard, name: 'guard' }, ...descendantsOf(guard)].map(({ pid, name }) => ({ name: `${member} ${name}`, text: readProc(pid, 'environ') }));
  }

  /** Every run of every workflow, as it is stored. */
  async histories(): Promise<{ id: string; json: string }[]> {
    const { client } = this.stage.connected;
    const found: { id: string; json: string }[] = [];
    for await (const { workflowId, runId } of client.workflow.list())
      found.push({ id: workflowId, json: historyToJSON(await client.workflow.getHandle(workflowId, runId).fetchHistory()) });
    return found;
  }

  /** A directory beside the stage. */
  folder(name: string): string {
    const at = path.join(this.#dir, name);
    mkdirSync(at);
    chmodSync(at, 0o700);
    return at;
  }
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
