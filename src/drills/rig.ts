import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Incident } from '../model/incident.ts';
import { groupWorkflowId } from '../model/name.ts';
import type { GroupStatus } from '../model/status.ts';
import { freeze } from '../stage/faults.ts';
import { lookAt } from '../stage/member-answers.ts';
import { descendantsOf, isAlive, signalIfThere } from '../stage/pids.ts';
import { Stage, type StageMember } from '../stage/stage.ts';
import { StageError } from '../stage/stage-error.ts';
import { GROUP, memberName } from '../stage/stage-file.ts';
import { statusOf, whatIsMissing } from '../stage/steady.ts';
import { waitUntil } from '../stage/wait.ts';
import { Disks } from './disks.ts';
import type { Network } from './network.ts';
import { Witnesses } from './witnesses.ts';

export const MEMBERS = [0, 1, 2].map(memberName);
/** What the stage itself starts. */
const STAGE_PARTS = [...MEMBERS, 'temporal', 'worker', 'dns'] as const;
/** Every host of the network. `second` is one more host, for whoever is there twice. */
export const PARTS = [...MEMBERS, 'temporal', 'worker', 'dns', 'client', 'second'] as const;

export interface RigOptions {
  readonly dir: string;
  readonly network: Network;
  readonly leaseMs: number;
  readonly durability: 'sync' | 'async';
  readonly signal: AbortSignal;
  readonly tell: (words: string) => void;
}

/** Who played what when a drill began. A word for a part is one of these, or the name of a part. */
export interface Cast {
  readonly primary: string;
  readonly standby1: string;
  readonly standby2: string;
}

const WAIT_LIMIT_MS = 60_000;
const TAKEOVER_LIMIT_MS = 25_000;

/** One stage in a network that can be cut, on disks that can fill, with its witnesses; and all that can be done to it. */
export class Rig {
  readonly stage: Stage;
  readonly network: Network;
  readonly disks: Disks;
  readonly witnesses: Witnesses;
  readonly options: RigOptions;
  cast: Cast = { primary: 'pg-a', standby1: 'pg-b', standby2: 'pg-c' };
  readonly #frozen = new Set<number>();
  /** What a drill keeps from one step for a later one. */
  readonly notes = new Map<string, unknown>();

  private constructor(stage: Stage, disks: Disks, witnesses: Witnesses, options: RigOptions) {
    this.stage = stage;
    this.network = options.network;
    this.disks = disks;
    this.witnesses = witnesses;
    this.options = options;
  }

  static async start(options: RigOptions): Promise<Rig> {
    let disks: Disks | undefined;
    const { dir, network, leaseMs, durability, signal, tell } = options;
    await network.healAll();
    try {
      const stage = await Stage.start({
        dir,
        members: MEMBERS.length,
        leaseMs,
        durability,
        portBase: 25_400,
        network,
        temporary: false,
        prepare: async (layout) => {
          disks = await Disks.make(layout, MEMBERS);
        },
        tell,
        signal,
      });
      if (disks === undefined) throw new StageError('the stage has no disks');
      return new Rig(stage, disks, await Witnesses.start(stage), options);
    } catch (error) {
      await disks?.remove();
      throw error;
    }
  }

  /** @param keep leave its logs for somebody to read */
  async stop(keep: boolean): Promise<void> {
    await this.network.healAll();
    this.thawAll();
    await this.stage.stop({ keep: true });
    await this.disks.remove();
    if (!keep) rmSync(this.options.dir, { recursive: true, force: true });
  }

  get leaseMs(): number {
    return this.options.leaseMs;
  }

  /** The part that a word of the cast stands for. */
  partOf(word: string): string {
    return (this.cast as unknown as Record<string, string | undefined>)[word] ?? word;
  }

  member(word: string): StageMember {
    const name = this.partOf(word);
    const found = this.stage.members.find((one) => one.name === name);
    if (found === undefined) throw new StageError(`the stage has no member ${name}`);
    return found;
  }

  /**
   * The processes that a target stands for: a part, or one of a member's: `primary.agent`, `.guard`, `.postmaster`, `.backend` (one that serves a client),
   * `.database` (all of it), or the whole member.
   */
  pidsOf(target: string): number[] {
    const [word = '', process] = target.split('.');
    const part = this.partOf(word);
    if (!MEMBERS.includes(part)) return [this.stage.pidOf(part)].filter((pid) => pid !== null);
    const { agent, guard, postmaster } = this.stage.pidsOf(part);
    const below = guard === null ? [] : descendantsOf(guard).map(({ pid }) => pid);
    const database = postmaster === null ? [] : [postmaster, ...descendantsOf(postmaster).map(({ pid }) => pid)];
    switch (process) {
      case undefined:
        return [agent, guard, ...below].filter((pid) => pid !== null);
      case 'agent':
        return agent === null ? [] : [agent];
      case 'guard':
        return guard === null ? [] : [guard];
      case 'postmaster':
        return postmaster === null ? [] : [postmaster];
      case 'database':
        return database;
      case 'backend':
        return database.filter((pid) => /^postgres: .*\d+\.\d+\.\d+\.\d+\(\d+\)/.test(titleOf(pid)) && !titleOf(pid).includes('walsender')).slice(0, 1);
      default:
        throw new StageError(`nothing of a member is called ${process}`);
    }
  }

  #required(target: string): number[] {
    const pids = this.pidsOf(target);
    if (pids.length === 0) throw new StageError(`${target} (${this.partOf(target)}) does not run`);
    return pids;
  }

  /** Returns when they are gone. */
  async kill(target: string): Promise<void> {
    const pids = this.#required(target);
    for (const pid of pids) signalIfThere(pid, 'SIGKILL');
    await this.until(`${target} to be gone`, () => pids.filter((pid) => isAlive(pid) || this.#isPart(pid)).map((pid) => `${pid} lives`), { everyMs: 5 });
  }

  /** The stage has not heard yet that it is gone: until then it starts nothing in its place. */
  #isPart(pid: number): boolean {
    return STAGE_PARTS.some((part) => this.stage.pidOf(part) === pid);
  }

  freeze(target: string): void {
    const [word = '', process] = target.split('.');
    const part = this.partOf(word);
    const { agent, guard } = MEMBERS.includes(part) ? this.stage.pidsOf(part) : { agent: null, guard: null };
    const pids = this.#required(target);
    // What a whole member forks meanwhile is frozen too.
    if (process === undefined && agent !== null && guard !== null) for (const pid of freeze(agent, guard)) this.#frozen.add(pid);
    for (const pid of pids) if (signalIfThere(pid, 'SIGSTOP')) this.#frozen.add(pid);
  }

  thawAll(): void {
    for (const pid of this.#frozen) signalIfThere(pid, 'SIGCONT');
    this.#frozen.clear();
  }

  /** Starts a part again that has ended; one that runs is left alone. */
  async start(word: string): Promise<void> {
    const part = this.partOf(word);
    if (this.stage.pidOf(part) === null) await this.stage.startPart(part);
  }

  until(what: string, missing: () => Promise<readonly string[]> | readonly string[], { limitMs = WAIT_LIMIT_MS, everyMs = 50 } = {}): Promise<void> {
    return waitUntil(what, missing, { limitMs, everyMs, signal: this.options.signal });
  }

  async hold(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.options.signal });
  }

  get group() {
    return this.stage.connected.client.workflow.getHandle(groupWorkflowId(GROUP));
  }

  status(): Promise<GroupStatus> {
    return statusOf(this.stage);
  }

  incident(id: string): Promise<Incident> {
    return this.stage.connected.client.workflow.getHandle(id).query<Incident>('incident');
  }

  /** Who is out of recovery now, by the members' own words. */
  async openMembers(): Promise<StageMember[]> {
    const looks = await Promise.all(this.stage.members.map(async (member) => ({ member, look: await lookAt(member) })));
    return looks.flatMap(({ member, look }) => ('silent' in look || look.inRecovery ? [] : [member]));
  }

  /** Another member has acknowledged a write since then. */
  async untilTakenOver(sinceNs: number, limitMs = TAKEOVER_LIMIT_MS): Promise<void> {
    const { port } = this.member('primary');
    await this.until(
      'another member to take the writes',
      () => {
        const { lastAckNs, lastPort } = this.witnesses.tail.read();
        return lastAckNs > sinceNs && lastPort !== port ? [] : [`${this.cast.primary} was the last`];
      },
      { limitMs },
    );
  }

  async untilSteady(limitMs: number): Promise<void> {
    const dead = (): string[] => STAGE_PARTS.filter((part) => this.stage.pidOf(part) === null).map((part) => `${part} does not run`);
    await this.until('a steady group', async () => [...dead(), ...(await whatIsMissing(this.stage))], { limitMs, everyMs: 100 });
    this.witnesses.requireRunning();
  }

  /** Notes who is what. The group is steady. */
  async takeCast(): Promise<void> {
    const [primary, ...more] = await this.openMembers();
    if (primary === undefined || more.length > 0) throw new StageError('not exactly one member is open');
    const [standby1 = '', standby2 = ''] = MEMBERS.filter((name) => name !== primary.name);
    this.cast = { primary: primary.name, standby1, standby2 };
  }

  fileOf(...names: string[]): string {
    return path.join(this.stage.layout.dir, ...names);
  }
}

function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}
