import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import pg from 'pg';
import { groupWorkflowId } from '../../src/model/name.ts';
import type { GroupStatus } from '../../src/model/status.ts';
import { accountOf } from '../../src/stage/account.ts';
import { longestGapMs } from '../../src/stage/checker.ts';
import { descendantsOf, guardOf, postmasterBelow, signalIfThere } from '../../src/stage/pids.ts';
import type { Part } from '../../src/stage/processes.ts';
import { choosePorts } from '../../src/stage/ports.ts';
import type { Stage } from '../../src/stage/stage.ts';
import { DATABASE, layoutOf, makeMemberDirs } from '../../src/stage/stage-file.ts';
import { waitUntil } from '../../src/stage/wait.ts';
import { member as memberSpec } from '../decide/world.ts';
import type { Stage as WorkflowStage } from '../support/workflow-stage.ts';
import { spec, World } from '../support/workflow-world.ts';

/**
 * Fifty groups on one Temporal development server: ten real ones and forty light stand-ins, lease 3 s. Not part of `npm test`: it wants a machine to
 * itself, and some minutes. UNDERSTUDY_FIFTY=1 npx vitest run --project whole test/drills/fifty-groups.test.ts
 */
const WANTED = process.env['UNDERSTUDY_FIFTY'] === '1';
const REAL = 10;
const LIGHT = 40;
const LEASE_MS = 3000;
const LIMIT_MS = 5 * 60_000;
const AWAY_MS = 60_000;
const PERIOD_MS = 100;
const MEMBERS = ['pg-a', 'pg-b'] as const;

interface RealMember {
  readonly name: string;
  readonly port: number;
  readonly stateDir: string;
  agent: Part | undefined;
}

/** A real group of two, beside the stage's own. */
class RealGroup {
  readonly name: string;
  readonly members: readonly RealMember[];
  /** Instants of acknowledgements, performance.now(). */
  readonly acknowledged: number[] = [];
  readonly #stage: Stage;
  readonly #end = new AbortController();
  #writing: Promise<void> | undefined;

  constructor(stage: Stage, name: string, members: readonly RealMember[]) {
    this.#stage = stage;
    this.name = name;
    this.members = members;
  }

  status(): Promise<GroupStatus> {
    return this.#stage.connected.client.workflow.getHandle(groupWorkflowId(this.name)).query<GroupStatus>('status');
  }

  async missing(): Promise<string[]> {
    const { phase, electable } = await this.status().catch((error: Error) => ({ phase: error.message, electable: [] }));
    return phase === 'steady' && electable.length === 1 ? [] : [`${this.name} is ${phase}, ${electable.length} could take over`];
  }

  async start(member: RealMember): Promise<void> {
    const args = ['--config', this.#stage.layout.config, '--group', this.name, '--member', member.name];
    member.agent = await this.#stage.runBeside(`${this.name}-${member.name}`, 'agent', args);
  }

  async primary(): Promise<RealMember> {
    const { primary } = await this.status();
    const found = this.members.find(({ name }) => name === primary);
    if (found === undefined) throw new Error(`${this.name} has no primary`);
    return found;
  }

  pidsOf({ agent, stateDir }: RealMember): { all: number[]; postmaster: number | undefined } {
    const guard = guardOf(stateDir);
    if (agent === undefined || guard === undefined) throw new Error(`not all of ${stateDir} runs`);
    return { all: [agent.pid, guard, ...descendantsOf(guard).map(({ pid }) => pid)], postmaster: postmasterBelow(guard) };
  }

  /** As a client that knows both places writes: whoever takes writes is written to. */
  write(): void {
    this.#writing = (async () => {
      let client: pg.Client | undefined;
      for (let turn = 0; !this.#end.signal.aborted; turn += 1) {
        try {
          if (client === undefined) {
            const { port } = this.members[turn % 2] as RealMember;
            client = new pg.Client({ host: '127.0.0.1', port, ...DATABASE, connectionTimeoutMillis: 300, query_timeout: 500 });
            client.on('error', () => undefined);
            await client.connect();
            await client.query('create table if not exists fifty (at timestamptz not null default clock_timestamp())');
          }
          await client.query('insert into fifty default values');
          this.acknowledged.push(performance.now());
        } catch {
          // Whatever it is, a client goes on to the other place.
          void client?.end().catch(() => undefined);
          client = undefined;
        }
        await pause(PERIOD_MS);
      }
      await client?.end();
    })();
  }

  async stopWriting(): Promise<void> {
    this.#end.abort();
    await this.#writing;
  }

  gapSince(sinceMs: number): number {
    const from = this.acknowledged.findLastIndex((ms) => ms < sinceMs);
    return longestGapMs(this.acknowledged.slice(Math.max(0, from)).map((ms) => ms * 1e6)) ?? Number.POSITIVE_INFINITY;
  }
}

describe.skipIf(!WANTED)('fifty groups on one Temporal server', () => {
  let stage: Stage;
  const real: RealGroup[] = [];
  const light: World[] = [];
  const until = (what: string, missing: () => Promise<readonly string[]> | readonly string[]): Promise<void> =>
    waitUntil(what, missing, { limitMs: LIMIT_MS, everyMs: 100 });

  beforeAll(async () => {
    const compiled = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'stage', 'stage.js');
    const { Stage: Compiled } = (await import(compiled)) as typeof import('../../src/stage/stage.ts');
    const dir = mkdtempSync(path.join(tmpdir(), 'understudy-fifty-'));
    const { members: ports } = await choosePorts(0, 2 * REAL);
    const placed: { group: string; members: RealMember[] }[] = [];
    stage = await Compiled.start({
      dir,
      members: 2,
      leaseMs: LEASE_MS,
      durability: 'sync',
      portBase: 0,
      temporary: true,
      tell: () => undefined,
      signal: AbortSignal.timeout(LIMIT_MS),
      adjust: ({ groups }) => {
        const { orders } = groups;
        if (orders === undefined) throw new Error('the stage has no group');
        for (let index = 0; index < REAL; index += 1) {
          const group = `real-${index}`;
          const members = MEMBERS.map((name, which) => {
            const port = ports[2 * index + which] ?? 0;
            return { name, port, ...makeMemberDirs(layoutOf(dir), `${group}-${name}`, accountOf()), agent: undefined };
          });
          placed.push({ group, members });
          groups[group] = {
            ...orders,
            // Of two members one is left: nobody could confirm its commits.
            durability: 'async',
            records: [],
            members: Object.fromEntries(members.map(({ name, port, dataDir, stateDir }) => [name, { address: `127.0.0.1:${port}`, dataDir, stateDir }])),
          };
        }
        return Promise.resolve();
      },
    });
    for (const { group, members } of placed) {
      const one = new RealGroup(stage, group, members);
      real.push(one);
      for (const member of members) await one.start(member);
      await until(`${group} to be steady`, () => one.missing());
      one.write();
    }
    const { connection, client } = stage.connected;
    for (let index = 0; index < LIGHT; index += 1) {
      const members = MEMBERS.map((name, which) => memberSpec(name, { port: which + 1, priority: 2 - which }));
      const world = new World({ connection, client } as unknown as WorkflowStage, { ...spec(), leaseMs: LEASE_MS, members, name: `light-${index}` });
      for (const name of MEMBERS) world.member(name).secondLease = true;
      light.push(world);
      await world.steady();
    }
    process.stderr.write(`${real.length} real groups and ${light.length} light ones are steady\n`);
  }, LIMIT_MS);

  afterAll(async () => {
    await Promise.all(real.map((one) => one.stopWriting()));
    for (const world of light) {
      world.closed = true;
      for (const name of MEMBERS) world.member(name).close();
    }
    await stage.stop({ keep: false });
  }, LIMIT_MS);

  const steady = async (): Promise<void> => {
    await until('every real group to be steady', async () => (await Promise.all(real.map((one) => one.missing()))).flat());
    for (const world of light) await world.untilStatus('steady', ({ phase, electable }) => phase === 'steady' && electable.length === 1, LIMIT_MS);
  };

  /** Kills the primaries of these groups at one moment, as the end of the node that held them; answers when each wrote again, and starts them anew. */
  async function killNode(groups: readonly RealGroup[]): Promise<number[]> {
    const victims = await Promise.all(groups.map(async (one) => ({ one, victim: await one.primary() })));
    const pids = victims.flatMap(({ one, victim }) => one.pidsOf(victim).all);
    const sinceMs = performance.now();
    for (const pid of pids) signalIfThere(pid, 'SIGKILL');
    // A killed primary acknowledges nothing more, and nobody takes over before the lease is over.
    await until('every group to write again', () => groups.filter((one) => (one.acknowledged.at(-1) ?? 0) < sinceMs + LEASE_MS / 2).map((one) => one.name));
    const gaps = groups.map((one) => one.gapSince(sinceMs));
    for (const { one, victim } of victims) await one.start(victim);
    await steady();
    return gaps;
  }

  it(
    'a node that holds ten primaries dies: all ten write again within twice the time of one',
    async () => {
      await steady();
      const [first] = real;
      if (first === undefined) throw new Error('no group');
      const one = [await killNode([first]), await killNode([first]), await killNode([first])].flat().toSorted((a, b) => a - b);
      const ten = await killNode(real);
      process.stderr.write(`one: ${one.map(Math.round).join(', ')} ms; ten at once: ${ten.map(Math.round).join(', ')} ms\n`);
      expect(Math.max(...ten)).toBeLessThan(2 * (one[1] ?? 0));
      for (const world of light) expect((await world.status()).epoch).toBe(1);
    },
    LIMIT_MS,
  );

  it(
    'I10: Temporal frozen for a minute and back: no promotion, no fence',
    async () => {
      const before = await Promise.all(
        real.map(async (one) => ({ epoch: (await one.status()).epoch, postmaster: one.pidsOf(await one.primary()).postmaster })),
      );
      const { temporal } = (await stage.describe()).pids;
      if (temporal === null) throw new Error('Temporal does not run');
      const sinceMs = performance.now();
      signalIfThere(temporal, 'SIGSTOP');
      try {
        await until('a minute to pass', () => (performance.now() - sinceMs > AWAY_MS ? [] : ['not yet']));
      } finally {
        signalIfThere(temporal, 'SIGCONT');
      }
      await until('every incident to be over', async () => {
        const all = await Promise.all([...real, ...light].map((one) => one.status()));
        return all.filter(({ incidents }) => incidents.some(({ endedAtMs }) => endedAtMs === undefined)).map(({ group }) => group);
      });
      await steady();
      const backMs = performance.now();
      const after = await Promise.all(real.map(async (one) => ({ epoch: (await one.status()).epoch, postmaster: one.pidsOf(await one.primary()).postmaster })));
      const gaps = real.map((one) => one.gapSince(sinceMs));
      process.stderr.write(
        `all steady ${Math.round(backMs - sinceMs - AWAY_MS)} ms after Temporal was back; the longest write gaps: ${gaps.map(Math.round).join(', ')} ms\n`,
      );
      expect(after).toEqual(before);
      for (const world of light) {
        expect(await world.status()).toMatchObject({ epoch: 1, primary: 'pg-a' });
        expect(world.violations).toEqual([]);
      }
      expect(Math.max(...gaps)).toBeLessThan(LEASE_MS);
    },
    LIMIT_MS,
  );
});
