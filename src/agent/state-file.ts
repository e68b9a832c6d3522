import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommitRule } from '../model/group.ts';
import { mayAct } from '../model/epoch.ts';
import { UnderstudyError } from '../model/error.ts';
import type { PrimaryRole, StandbyRole } from '../model/role.ts';
import { writeDurably } from '../runtime/durable-file.ts';

/** The role in hand, with the token that renews it: a token is bound to no process, so a restarted agent goes on (protocol 1.6). */
export type HeldRole =
  | { readonly kind: 'primary'; readonly order: PrimaryRole; readonly token: string; readonly workflowId: string }
  | { readonly kind: 'standby'; readonly order: StandbyRole; readonly token: string; readonly workflowId: string };

export interface AgentState {
  /** The Temporal cluster and namespace that this member belongs to (protocol 1.7). */
  readonly cluster: string;
  /** The highest epoch that this member has acted on: a lower one is refused (I5, protocol 4.2). */
  readonly highestEpoch: number;
  readonly held?: HeldRole;
  /** The last epoch at which this member may have been opened by a promotion: noted before it opens, and taken back where it surely did not. */
  readonly opened?: number;
  /** As the primary last put it in force, so that a restart does not loosen it. */
  readonly rule?: CommitRule | undefined;
  /** Of the last `govern` that was begun. */
  readonly governed?: number;
  readonly electable?: readonly string[] | undefined;
}

/** `held: undefined`: no role is held any more. */
export type StateChange = Partial<Omit<AgentState, 'held'>> & { readonly held?: HeldRole | undefined };

/** What an agent must remember across its own death. Every change is on the disk before anything acts on it. */
export class StateFile {
  readonly #path: string;
  #state: AgentState;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, state: AgentState) {
    this.#path = path;
    this.#state = state;
  }

  /** @throws UnderstudyError `WrongCluster` where this member was claimed by another Temporal cluster or namespace */
  static async open(stateDir: string, cluster: string, claimAnew: boolean): Promise<StateFile> {
    const path = join(stateDir, 'agent.json');
    const found = await readState(path);
    if (found !== undefined && !claimAnew) refuseOtherCluster(found.cluster, cluster);
    const file = new StateFile(path, { highestEpoch: 0, ...found, cluster });
    await file.change({});
    return file;
  }

  /** What an agent before this one left here, without claiming anything; undefined where there was none. */
  static peek(stateDir: string): Promise<AgentState | undefined> {
    return readState(join(stateDir, 'agent.json'));
  }

  get state(): AgentState {
    return this.#state;
  }

  /** @throws UnderstudyError `EpochStale` where a higher epoch has been seen */
  async accept(epoch: number, member: string, also: StateChange = {}): Promise<void> {
    const highest = this.#state.highestEpoch;
    this.refuseStale(epoch, member);
    if (epoch > highest || Object.keys(also).length > 0) await this.change({ ...also, highestEpoch: epoch });
  }

  /** @throws UnderstudyError `EpochStale` where a higher epoch has been seen; notes nothing */
  refuseStale(epoch: number, member: string): void {
    const highest = this.#state.highestEpoch;
    if (!mayAct(epoch, highest)) {
      throw new UnderstudyError('EpochStale', `epoch ${epoch} is over: ${member} has acted on epoch ${highest}`, { epoch, highest });
    }
  }

  async change(part: StateChange): Promise<void> {
    const next = { ...this.#state, ...part };
    if ('held' in part && part.held === undefined) delete next.held;
    this.#state = next as AgentState;
    const text = `${JSON.stringify(this.#state)}\n`;
    this.#writing = this.#writing.then(() => writeDurably(this.#path, text));
    await this.#writing;
  }
}

/** @throws UnderstudyError `WrongCluster` */
export function refuseOtherCluster(belongsTo: string, connectedTo: string): void {
  if (belongsTo === connectedTo) return;
  throw new UnderstudyError(
    'WrongCluster',
    `this member belongs to Temporal ${belongsTo}, and this agent is connected to ${connectedTo}. Connect it to the first, or, when that one is gone for good, start the agent once with --claim-anew`,
    { belongsTo, connectedTo },
  );
}

async function readState(path: string): Promise<AgentState | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as AgentState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
