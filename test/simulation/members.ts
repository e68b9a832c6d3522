import { WorkflowNotFoundError } from '@temporalio/common';
import type { Client, Connection } from '@temporalio/client';
import type { Logger } from 'pino';
import { Agent } from '../../src/agent/agent.ts';
import { Member } from '../../src/agent/member.ts';
import { StateFile } from '../../src/agent/state-file.ts';
import type { GroupSpec, MemberSpec } from '../../src/model/group.ts';
import { Database } from './database.ts';
import { Directory } from './directory.ts';
import { SimulatedDriver } from './driver.ts';
import { Machine, Proc } from './engine.ts';
import { me } from './globals.ts';
import { runningGuard } from './guard-process.ts';
import { diskOf } from './machines.ts';
import { copied } from './run.ts';
import type { Server } from './server.ts';
import type { World } from './world-types.ts';

interface Surroundings extends World {
  readonly server: Server;
  readonly spec: GroupSpec;
  note(who: string, words: () => string): void;
}

const hosts = new WeakMap<Machine, MemberHost>();

export function startDatabase(machine: Machine): Database {
  const host = hosts.get(machine);
  if (host === undefined) throw new Error(`${machine.name} is no member's host`);
  return host.startDatabase();
}

/** One member's host: its agent (the real one), its guard (the real one), its database, and whoever starts them again. */
export class MemberHost {
  readonly name: string;
  readonly machine: Machine;
  readonly directory = new Directory();
  readonly #world: Surroundings;
  readonly #spec: MemberSpec;
  agent: Proc | undefined;
  database: Database | undefined;
  /** Whether a dead agent is started again by itself, as systemd does. */
  supervised = true;
  restartAgentMs = 300;

  constructor(world: Surroundings, spec: MemberSpec, drift: number) {
    this.#world = world;
    this.#spec = spec;
    this.name = spec.name;
    this.machine = new Machine(spec.name, drift, 1_000_000 + world.engine.random.below(1_000_000));
    hosts.set(this.machine, this);
  }

  startDatabase(): Database {
    this.database = new Database(this.#world, this.name, this.machine, this.directory);
    this.#world.note(this.name, () => `database starts as ${this.directory.standby ? 'standby' : 'primary'}`);
    return this.database;
  }

  startAgent(): void {
    if (!this.machine.up || this.agent?.alive === true) return;
    const { engine } = this.#world;
    const agent = new Proc(`${this.name}/agent`, this.machine, engine.nowMs);
    this.agent = agent;
    agent.onDeath.push(() => {
      if (this.supervised && this.machine.up) engine.at(this.restartAgentMs, undefined, () => this.startAgent());
    });
    engine.at(engine.random.between(20, 60), agent, () => {
      this.#runAgent().catch((error: unknown) => {
        this.#world.note(this.name, () => `agent ends: ${error instanceof Error ? error.message : String(error)}`);
        engine.kill(agent);
      });
    });
  }

  async #runAgent(): Promise<void> {
    const { spec } = this.#world;
    const log = logger((words) => this.#world.note(this.name, words));
    const member = await Member.open({
      group: spec.name,
      spec: this.#spec,
      driver: new SimulatedDriver(this.#world, this.name, this.directory),
      openState: () => StateFile.open('/state', 'here/default', false),
      guard: { stateDir: '/state', logFile: '', spawn: true },
      log,
    });
    const { connection, client } = connect(this.#world.server);
    await new Agent(member, { connection, client, namespace: 'default' }, log).run();
  }

  /** Agent, guard and database: whichever of them live. */
  get procs(): Proc[] {
    return [this.agent, runningGuard(this.machine)?.proc, this.database?.proc].filter((proc) => proc?.alive === true) as Proc[];
  }

  /** The power goes: nothing is said to anybody, and what was not synced is gone. */
  losePower(): void {
    const { engine } = this.#world;
    this.machine.up = false;
    for (const proc of Array.from(this.machine.procs)) engine.kill(proc);
    diskOf(this.machine).losePower(engine.random);
  }

  boot(): void {
    if (this.machine.up) return;
    this.machine.up = true;
    this.startAgent();
  }
}

/** Temporal's client and connection as the agent's own code uses them. */
function connect(server: Server): { connection: Connection; client: Client } {
  let deadlineMs = 10_000;
  let signal: AbortSignal | undefined;
  const proc = me();
  const service = {
    pollActivityTaskQueue: async ({ taskQueue }: { taskQueue: { name: string } }) => {
      const activity = await server.poll(proc, taskQueue.name, deadlineMs, signal as AbortSignal);
      if (activity === undefined) return { taskToken: new Uint8Array() };
      return {
        taskToken: Buffer.from(activity.token),
        activityType: { name: activity.type },
        activityId: activity.id,
        workflowExecution: { workflowId: activity.run.id, runId: '' },
        input: { payloads: [copied(activity.input)] },
      };
    },
    recordActivityTaskHeartbeat: ({ taskToken, details }: { taskToken: Uint8Array; details: { payloads: unknown[] } }) =>
      server.call(proc, deadlineMs, undefined, (answer, refuse) => {
        const told = server.beat(Buffer.from(taskToken).toString(), details.payloads[0]);
        if (told === undefined) refuse(server.notFound());
        else answer({ activityPaused: told.paused, cancelRequested: told.cancelRequested, activityReset: false });
      }),
    respondActivityTaskCompleted: ({ taskToken, result }: { taskToken: Uint8Array; result: { payloads: unknown[] } }) =>
      server.call(proc, deadlineMs, undefined, (answer, refuse) => {
        if (server.complete(Buffer.from(taskToken).toString(), copied(result.payloads[0]))) answer({});
        else refuse(server.notFound());
      }),
    respondActivityTaskFailed: ({ taskToken, failure }: { taskToken: Uint8Array; failure: unknown }) =>
      server.call(proc, deadlineMs, undefined, (answer, refuse) => {
        if (server.fail(Buffer.from(taskToken).toString(), failure)) answer({});
        else refuse(server.notFound());
      }),
  };
  const connection = {
    workflowService: service,
    withAbortSignal: (of: AbortSignal, act: () => unknown) => {
      signal = of;
      return act();
    },
    withDeadline: (untilMs: number, act: () => unknown) => {
      deadlineMs = untilMs - Date.now();
      return act();
    },
  };
  const client = {
    connection,
    workflow: {
      getHandle: (id: string) => ({
        signal: (name: string, word: unknown) =>
          server.call(proc, deadlineMs, undefined, (answer, refuse) => {
            if (server.signal(id, name, [word])) answer(undefined);
            else refuse(new WorkflowNotFoundError('not found', id, undefined));
          }),
      }),
    },
  };
  return { connection: connection as unknown as Connection, client: client as unknown as Client };
}

function logger(note: (words: () => string) => void): Logger {
  const tell = (fields: unknown, words?: string): void =>
    note(() => {
      if (typeof fields === 'string') return fields;
      const { err, ...more } = fields as { err?: Error };
      return `${words ?? ''} ${err === undefined ? '' : `(${err.message}) `}${JSON.stringify(more)}`;
    });
  return { info: tell, warn: tell, error: tell, debug: () => {} } as unknown as Logger;
}
