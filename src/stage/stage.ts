import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { applyConfig } from '../client/apply.ts';
import { GuardClient } from '../guard/client.ts';
import { UnderstudyError } from '../model/error.ts';
import { loadConfig } from '../runtime/config.ts';
import { type Connected, connect } from '../runtime/connection.ts';
import { findPostgres } from '../runtime/tools/postgres.ts';
import { findTemporal } from '../runtime/tools/temporal.ts';
import { accountOf } from './account.ts';
import { type PartsContext, STAGE_RECORD, agentPart, besidePart, dnsPart, temporalPart, workerPart } from './parts.ts';
import { STAGE_VARIABLE, guardOf, killRemains, postmasterBelow, signalIfThere } from './pids.ts';
import type { Config, HostPort } from '../model/config.ts';
import { LOOPBACK } from './network.ts';
import { choosePorts } from './ports.ts';
import { type Part, type PartOptions, startPart } from './processes.ts';
import {
  DATABASE,
  GROUP,
  type StageConfig,
  type StageLayout,
  type StageOptions,
  logFileOf,
  makeStageDir,
  memberDirOf,
  memberName,
  writeConfig,
} from './stage-file.ts';
import type { MemberLine, MemberPids, StageLine } from './stage-line.ts';
import { lookAt } from './member-answers.ts';
import { waitUntilSteady } from './steady.ts';

export interface StartOptions extends StageOptions {
  /** What is being done, a short line at a time. */
  readonly tell: (words: string) => void;
  readonly signal: AbortSignal;
  /** Remove the directory at the end. */
  readonly temporary: boolean;
  /** Called once the directory is there and nothing is in it: to lay disks below it. */
  readonly prepare?: (layout: StageLayout) => Promise<void>;
  /** Changes the configuration before anything starts: a test's stage may want passwords, TLS or a codec. */
  readonly adjust?: (config: StageConfig) => Promise<void>;
  /** For every process of the stage, on top of our own environment; undefined takes a variable away. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface StageMember extends HostPort {
  readonly name: string;
}

const STEADY_LIMIT_MS = 60_000;
const GRACE_MS = 3_000;
const STOP_LIMIT_MS = 2_000;
const START_FIRST = ['temporal', 'dns'] as const;

/** Everything that failover needs, on this machine: a Temporal server, DNS, a worker, and agents with their databases. */
export class Stage {
  readonly layout: StageLayout;
  readonly config: Config;
  readonly connected: Connected;
  readonly postgresVersion: string;
  readonly options: StageOptions;
  readonly members: readonly StageMember[];
  readonly #crew: Crew;

  private constructor(crew: Crew, config: Config, connected: Connected, postgresVersion: string, options: StageOptions) {
    this.#crew = crew;
    this.layout = crew.context.layout;
    this.config = config;
    this.connected = connected;
    this.postgresVersion = postgresVersion;
    this.options = options;
    this.members = crew.context.ports.members.map((port, index) => ({ name: memberName(index), host: crew.context.network.hostOf(memberName(index)), port }));
  }

  get dnsPort(): number {
    return this.dns.port;
  }

  get dns(): HostPort {
    return { host: this.#crew.context.network.hostOf('dns'), port: this.#crew.context.ports.dns };
  }

  /**
   * Starts all of it, and returns when the group is steady: one primary open, every standby streaming, the commit rule in force, the record published.
   *
   * @throws StageError, UnderstudyError; whatever was started has been ended again
   */
  static async start(options: StartOptions): Promise<Stage> {
    const account = accountOf();
    const [temporal, postgres, ports] = await Promise.all([
      findTemporal({ fetch: true }),
      findPostgres({ fetch: true }),
      choosePorts(options.portBase, options.members),
    ]);
    options.signal.throwIfAborted();
    const layout = makeStageDir(options.dir, account);
    await options.prepare?.(layout);
    const network = options.network ?? LOOPBACK;
    const crew = new Crew(layout, { layout, ports, network, temporalPath: temporal.path, env: options.env ?? {} }, options.temporary);
    let connected: Connected | undefined;
    try {
      await writeConfig(layout, ports, options, postgres.binDir, account, options.adjust);
      const config = await loadConfig(layout.config);
      options.tell(`Temporal ${temporal.version} and PostgreSQL ${postgres.version}, in ${layout.dir}`);
      await unlessAborted(options.signal, Promise.all(START_FIRST.map((name) => crew.start(name))));
      options.tell(`starting a worker and ${options.members} agents`);
      connected = await connect({ temporal: config.temporal, purpose: 'cli' });
      await unlessAborted(options.signal, Promise.all(['worker', ...ports.members.map((_, index) => memberName(index))].map((name) => crew.start(name))));
      await applyConfig(connected.client, config);
      const stage = new Stage(crew, config, connected, postgres.version, options);
      options.tell('waiting for the group: one primary, every standby streaming');
      await waitUntilSteady(stage, { limitMs: STEADY_LIMIT_MS, signal: options.signal });
      return stage;
    } catch (error) {
      await connected?.connection.close();
      await crew.endAll(!options.signal.aborted);
      throw error;
    }
  }

  /** The stage as it is now. */
  async describe(): Promise<StageLine> {
    const { temporal } = this.config;
    return {
      temporal: { address: temporal.address ?? '', ui: temporal.ui ?? '', namespace: this.connected.namespace },
      group: GROUP,
      dns: { address: `${this.dns.host}:${this.dns.port}` },
      record: STAGE_RECORD,
      ...DATABASE,
      config: this.layout.config,
      dir: this.layout.dir,
      pids: { stage: process.pid, temporal: this.#crew.pidOf('temporal'), dns: this.#crew.pidOf('dns'), worker: this.#crew.pidOf('worker') },
      members: await Promise.all(this.members.map((member) => this.#describeMember(member))),
    };
  }

  async #describeMember(member: StageMember): Promise<MemberLine> {
    const { name, port } = member;
    const home = memberDirOf(this.layout, name);
    const look = await lookAt(member);
    return {
      name,
      role: 'silent' in look ? 'none' : look.inRecovery ? 'standby' : 'primary',
      port,
      dataDir: path.join(home, 'data'),
      stateDir: path.join(home, 'state'),
      logFile: logFileOf(this.layout, name),
      databaseLogFile: path.join(home, 'state', 'postgres.log'),
      pids: this.pidsOf(name),
    };
  }

  /** As seen from outside; null where it does not run. The kernel is asked, not the guard: one that is frozen could not answer. */
  pidsOf(member: string): MemberPids {
    const agent = this.#crew.pidOf(member);
    const guard = guardOf(path.join(memberDirOf(this.layout, member), 'state'));
    return { agent, guard: guard ?? null, postmaster: (guard === undefined ? undefined : postmasterBelow(guard)) ?? null };
  }

  /**
   * Starts a part again that has ended: a member's agent, or `temporal`, `dns`, `worker`.
   *
   * @throws UnderstudyError `BadInput` where there is no such part, or it runs
   */
  async startPart(name: string): Promise<number> {
    return this.#crew.start(name);
  }

  /** The process id of a part that runs: a member's agent, or `temporal`, `dns`, `worker`. */
  pidOf(name: string): number | null {
    return this.#crew.pidOf(name);
  }

  /**
   * Runs a program of ours beside the stage; it is ended with it, first of all.
   *
   * @param at the part that it runs beside
   */
  async runBeside(name: string, program: string, args: readonly string[], at = 'client'): Promise<Part> {
    return this.#crew.runBeside(name, program, args, at);
  }

  /** @param keep leave its directory, temporary or not, for somebody to read the logs */
  async stop({ keep }: { readonly keep: boolean } = { keep: false }): Promise<void> {
    await this.connected.connection.close();
    await this.#crew.endAll(keep);
  }
}

/** The stage's own children, and the watchdog over what they leave behind. */
class Crew {
  readonly context: PartsContext;
  readonly #id = randomUUID();
  readonly #parts = new Map<string, Part>();
  readonly #starting = new Set<string>();
  readonly #beside: Part[] = [];
  readonly #temporary: boolean;
  readonly #watchdog: ChildProcess;

  constructor(layout: StageLayout, context: PartsContext, temporary: boolean) {
    this.context = { ...context, env: { ...withoutTemporal(process.env), ...context.env, [STAGE_VARIABLE]: this.#id } };
    this.#temporary = temporary;
    const program = path.join(path.dirname(fileURLToPath(import.meta.url)), 'watchdog.js');
    this.#watchdog = spawn(process.execPath, [program, this.#id, layout.dir, ...(temporary ? ['remove'] : [])], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
      cwd: '/',
    });
  }

  pidOf(name: string): number | null {
    const part = this.#parts.get(name);
    return part === undefined || part.hasEnded() ? null : part.pid;
  }

  async start(name: string): Promise<number> {
    const running = this.pidOf(name);
    if (running !== null || this.#starting.has(name))
      throw new UnderstudyError('BadInput', `${name} runs already${running === null ? '' : ` (process ${running})`}: nothing was started`, { name });
    const options = this.#optionsOf(name);
    this.#starting.add(name);
    try {
      const part = await startPart(options);
      this.#parts.set(name, part);
      return part.pid;
    } finally {
      this.#starting.delete(name);
    }
  }

  async runBeside(name: string, program: string, args: readonly string[], at: string): Promise<Part> {
    const part = await startPart(besidePart(this.context, name, program, args, at));
    this.#beside.push(part);
    return part;
  }

  #optionsOf(name: string): PartOptions {
    if (name === 'temporal') return temporalPart(this.context);
    if (name === 'dns') return dnsPart(this.context);
    if (name === 'worker') return workerPart(this.context);
    const members = this.context.ports.members.map((_, index) => memberName(index));
    if (members.includes(name)) return agentPart(this.context, name);
    throw new UnderstudyError(
      'BadInput',
      `the stage has no part ${JSON.stringify(name)}. Next: name one of ${[...members, 'worker', 'dns', 'temporal'].join(', ')}`,
      { name },
    );
  }

  /** Nobody decides while the rest is being ended; databases stop before what they lean on; and then nothing is left. */
  async endAll(keep: boolean): Promise<void> {
    const { layout, ports } = this.context;
    const members = ports.members.map((_, index) => memberName(index));
    await Promise.all(this.#beside.map((part) => part.end(GRACE_MS)));
    await this.#end('worker');
    await Promise.all(
      members.map(async (member) => {
        await this.#end(member);
        await endGuard(path.join(memberDirOf(layout, member), 'state'));
      }),
    );
    await Promise.all([this.#end('dns'), this.#end('temporal')]);
    const except = this.#watchdog.pid === undefined ? [] : [this.#watchdog.pid];
    while (killRemains(this.#id, layout.dir, except).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    rmSync(layout.socket, { force: true });
    const gone = new Promise((resolve) => this.#watchdog.once('exit', resolve));
    const { exitCode, signalCode } = this.#watchdog;
    this.#watchdog.stdin?.end(keep ? 'keep' : 'done');
    if (exitCode === null && signalCode === null) await gone;
    else if (this.#temporary && !keep) rmSync(layout.dir, { recursive: true, force: true });
  }

  async #end(name: string): Promise<void> {
    await this.#parts.get(name)?.end(GRACE_MS);
  }
}

/** Stops its database in order. A guard that does not answer, or does not obey, is killed with the rest, and takes its database with it. */
async function endGuard(stateDir: string): Promise<void> {
  const pid = guardOf(stateDir);
  if (pid === undefined) return;
  try {
    const guard = await GuardClient.connect({ stateDir, own: true });
    await guard.fence('fast', STOP_LIMIT_MS, 'the stage ends');
    guard.close();
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
  }
  signalIfThere(pid, 'SIGTERM');
}

/** Whoever waits for a part need not wait for it any longer than the person who said stop. */
async function unlessAborted<T>(signal: AbortSignal, waiting: Promise<T>): Promise<T> {
  signal.throwIfAborted();
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([waiting, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Nobody's Temporal but ours. */
const withoutTemporal = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_') && name !== 'UNDERSTUDY_CONFIG'));
