import { randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, inject, it } from 'vitest';
import type { ControlActs } from '../../src/model/act.ts';
import type { GroupSpec } from '../../src/model/group.ts';
import { CONTROL_QUEUE } from '../../src/model/name.ts';
import { formerIncidents } from '../../src/runtime/running-incidents.ts';
import { askAgain } from '../../src/runtime/ask-again.ts';
import { spec, World } from './workflow-world.ts';

/** The server and the worker that the worlds of one test file share. */
export class Stage {
  readonly #worlds = new Map<string, World>();
  #connection: Connection | undefined;
  #native: NativeConnection | undefined;
  #client: Client | undefined;
  #worker: Worker | undefined;
  #running: Promise<void> | undefined;
  #bundle = '';

  get client(): Client {
    if (this.#client === undefined) throw new Error('the stage is not up');
    return this.#client;
  }

  get connection(): Connection {
    if (this.#connection === undefined) throw new Error('the stage is not up');
    return this.#connection;
  }

  async open({ address, bundle }: { address: string; bundle: string }): Promise<void> {
    this.#bundle = bundle;
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    [this.#connection, this.#native] = await Promise.all([Connection.connect({ address }), NativeConnection.connect({ address })]);
    this.#client = new Client({ connection: this.#connection, interceptors: { workflow: [askAgain] } });
    await this.startWorker();
  }

  async startWorker(): Promise<void> {
    if (this.#native === undefined) throw new Error('the stage is not up');
    const worlds = this.#worlds;
    const { client } = this;
    const control: Pick<ControlActs, 'publishRecord' | 'formerIncidents'> = {
      formerIncidents: ({ group }) => formerIncidents(client, group),
      publishRecord: (ask) => {
        const world = worlds.get(ask.record.owner.split('/')[1] ?? '');
        if (world === undefined) throw new Error(`nobody owns ${ask.record.name}`);
        return Promise.resolve(world.publish(ask));
      },
    };
    this.#worker = await Worker.create({
      connection: this.#native,
      namespace: 'default',
      taskQueue: CONTROL_QUEUE,
      workflowBundle: { codePath: this.#bundle },
      activities: control,
      stickyQueueScheduleToStartTimeout: '500ms',
      shutdownGraceTime: '1s',
    });
    this.#running = this.#worker.run();
  }

  async stopWorker(): Promise<void> {
    this.#worker?.shutdown();
    await this.#running;
    this.#worker = undefined;
  }

  async close(): Promise<void> {
    await this.stopWorker();
    await Promise.all([this.#native?.close(), this.#connection?.close()]);
  }

  /** A group of its own, with members of its own, whose agents run. */
  world(more: Partial<GroupSpec> & { members?: GroupSpec['members'] } = {}): World {
    const world = new World(this, { ...spec(), ...more, name: `g${randomBytes(5).toString('hex')}` });
    this.#worlds.set(world.group, world);
    return world;
  }
}

export interface Scenes {
  readonly stage: Stage;
  /** A test with a group of its own, side by side with the others of its file. I1 is judged at its end, whatever it is about. */
  readonly scene: (name: string, more: Parameters<Stage['world']>[0], play: (world: World) => Promise<void>) => void;
}

/** The stage of one test file, up before its tests and down after them. Where there is no server to be had they are skipped with the reason. */
export function useStage(): Scenes {
  const found = inject('temporal');
  const stage = new Stage();
  beforeAll(async () => {
    if (!('missing' in found)) await stage.open(found);
  });
  afterAll(async () => {
    if (!('missing' in found)) await stage.close();
  });
  const scene: Scenes['scene'] = (name, more, play) => {
    if ('missing' in found) {
      if (process.env['CI'] !== 'true') it.skip(`${name} (skipped: ${found.missing.split('\n')[0]})`, () => undefined);
      else
        it(name, () => {
          throw new Error(`${found.missing}; with CI=true every part must be there`);
        });
      return;
    }
    it.concurrent(name, async () => {
      const world = stage.world(more);
      try {
        await play(world);
      } catch (error) {
        await world.end();
        throw error;
      }
      await world.close();
    });
  };
  return { stage, scene };
}
