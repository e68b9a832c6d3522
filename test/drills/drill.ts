import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import type { Incident } from '../../src/model/incident.ts';
import { groupWorkflowId } from '../../src/model/name.ts';
import type { GroupStatus } from '../../src/model/status.ts';
import { findPostgres } from '../../src/runtime/tools/postgres.ts';
import { findTemporal } from '../../src/runtime/tools/temporal.ts';
import { type FaultMark, type FaultVerdict, findDuplicates, findLost, judgeFaults, judgeMembers, longestGapMs } from '../../src/stage/checker.ts';
import { endOfLog, finalAnswer, hasReplayed, rowsOf } from '../../src/stage/member-answers.ts';
import { descendantsOf, signalIfThere } from '../../src/stage/pids.ts';
import type { Stage, StartOptions } from '../../src/stage/stage.ts';
import { GROUP, type StageOptions } from '../../src/stage/stage-file.ts';
import type { MemberPids } from '../../src/stage/stage-line.ts';
import { statusOf, waitUntilSteady } from '../../src/stage/steady.ts';
import { waitUntil } from '../../src/stage/wait.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { Writers } from '../../src/stage/writers.ts';
import { type Part, describeWithPart } from '../support/part.ts';

/** What a whole stage needs besides itself, found or fetched as `npm start` does it. */
async function partOf(name: string, debianPackage: string, find: () => Promise<string>): Promise<Part> {
  try {
    const found = await find();
    return { name, package: debianPackage, find: () => found };
  } catch (error) {
    if (!(error instanceof UnderstudyError) || error.code !== 'ToolMissing') throw error;
    return { name, package: debianPackage, find: () => undefined };
  }
}

export const PARTS = await Promise.all([
  partOf('temporal', 'temporal-cli', async () => (await findTemporal({ fetch: true })).path),
  partOf('postgres', 'postgresql', async () => (await findPostgres({ fetch: true })).binDir),
]);

const MINUTE_MS = 60_000;
/** What a test may take on a machine that is busy with other things: no promise of Understudy. */
export const LIMIT_MS = 2 * MINUTE_MS;
const WAIT_LIMIT_MS = MINUTE_MS;

export type DrillOptions = Omit<StageOptions, 'portBase'> & Pick<StartOptions, 'adjust' | 'env'>;

interface MemberPlace {
  readonly name: string;
  readonly port: number;
}

/** Programs run compiled, so the class that starts them is the compiled one, too: it finds them beside itself. */
async function startStage(options: DrillOptions): Promise<Stage> {
  const compiled = path.join(import.meta.dirname, '..', '..', 'dist', 'src', 'stage', 'stage.js');
  const { Stage: Compiled } = (await import(compiled)) as typeof import('../../src/stage/stage.ts');
  return Compiled.start({ ...options, portBase: 0, temporary: true, tell: () => undefined, signal: AbortSignal.timeout(WAIT_LIMIT_MS) });
}

/**
 * One real stage with its writers, for the tests of one file, which run one after another on it. Each judges what it did by the writers' logs
 * and the members' answers alone.
 */
export class Drill {
  #stage: Stage | undefined;
  #writers: Writers | undefined;
  readonly #faults: FaultMark[] = [];

  get stage(): Stage {
    if (this.#stage === undefined) throw new Error('the stage has not been started');
    return this.#stage;
  }

  get writers(): Writers {
    if (this.#writers === undefined) throw new Error('no writer has been started');
    return this.#writers;
  }

  async start(options: DrillOptions): Promise<void> {
    this.#stage = await startStage(options);
    this.#writers = await Writers.start(this.#stage);
  }

  async stop(keep: boolean): Promise<void> {
    if (keep) process.stderr.write(`The logs are kept in ${this.stage.layout.dir}\n`);
    await this.#stage?.stop({ keep });
  }

  status(): Promise<GroupStatus> {
    return statusOf(this.stage);
  }

  place(name: string): MemberPlace {
    const member = this.stage.members.find((one) => one.name === name);
    if (member === undefined) throw new Error(`the stage has no member ${name}`);
    return member;
  }

  /** Who is the primary, by the group's word; the stage being steady, the members and the record say the same. */
  async primary(): Promise<MemberPlace> {
    return this.place((await this.status()).primary ?? 'nobody');
  }

  async standbys(): Promise<MemberPlace[]> {
    const { name } = await this.primary();
    return this.stage.members.filter((member) => member.name !== name);
  }

  /** Its three processes, each of them there. */
  running(member: string): { readonly [K in keyof MemberPids]: number } {
    const { agent, guard, postmaster } = this.stage.pidsOf(member);
    if (agent === null || guard === null || postmaster === null) throw new Error(`not all of ${member} runs: ${JSON.stringify(this.stage.pidsOf(member))}`);
    return { agent, guard, postmaster };
  }

  /** The processes of the stage that belong to no member. */
  async parts(): Promise<{ worker: number; dns: number }> {
    const { worker, dns } = (await this.stage.describe()).pids;
    if (worker === null || dns === null) throw new Error(`not all of the stage runs: ${JSON.stringify({ worker, dns })}`);
    return { worker, dns };
  }

  /** Notes that a fault is being made now, on whoever takes the writes. */
  mark(name: string, oldPrimary: string): FaultMark {
    return this.note({ name, t0Ns: monotonicNs(), oldPort: this.place(oldPrimary).port });
  }

  note(mark: FaultMark): FaultMark {
    this.#faults.push(mark);
    return mark;
  }

  killNode(name: string): void {
    const { agent, guard } = this.running(name);
    for (const pid of [agent, guard, ...descendantsOf(guard).map((entry) => entry.pid)]) signalIfThere(pid, 'SIGKILL');
  }

  until(what: string, missing: () => Promise<readonly string[]> | readonly string[], { limitMs = WAIT_LIMIT_MS, everyMs = 50 } = {}): Promise<void> {
    return waitUntil(what, missing, { limitMs, everyMs });
  }

  async untilSteady(): Promise<void> {
    await waitUntilSteady(this.stage, { limitMs: WAIT_LIMIT_MS });
    this.writers.requireRunning();
  }

  untilFlowing(count = 50): Promise<void> {
    return this.writers.untilFlowing(count, WAIT_LIMIT_MS, AbortSignal.timeout(WAIT_LIMIT_MS));
  }

  incident(id: string): Promise<Incident> {
    return this.stage.connected.client.workflow.getHandle(id).query<Incident>('incident');
  }

  get group() {
    return this.stage.connected.client.workflow.getHandle(groupWorkflowId(GROUP));
  }

  /** The longest pause between two acknowledgements from then until now. */
  gapSince(ns: number): number {
    const { acknowledged } = this.writers.read().writer;
    const from = acknowledged.findLastIndex((write) => write.ns < ns);
    return longestGapMs(acknowledged.slice(Math.max(0, from)).map((write) => write.ns)) ?? Number.POSITIVE_INFINITY;
  }

  /** What the faults so far have done. The logs are read before the rows, so whatever they hold must be there. */
  async judge(): Promise<{ faults: readonly FaultVerdict[]; lost: number; duplicates: number; acknowledged: number }> {
    this.writers.requireRunning();
    const { writer, pinned } = this.writers.read();
    const ofPinned = pinned.flatMap((log) => log.acknowledged);
    const rows = await rowsOf((await this.primary()).port);
    const lost = findLost([...writer.acknowledged, ...ofPinned], rows);
    return {
      faults: judgeFaults(this.#faults, writer.acknowledged, ofPinned, lost),
      lost: lost.length,
      duplicates: findDuplicates(rows).length,
      acknowledged: writer.acknowledged.length,
    };
  }

  /** I1 and I2, by the checker. Answers what the last fault did. */
  async expectNothingBroken(): Promise<FaultVerdict> {
    const { faults, lost, duplicates } = await this.judge();
    expect({ lost, duplicates }).toEqual({ lost: 0, duplicates: 0 });
    for (const fault of faults) expect(fault).toMatchObject({ lost: 0, lateAcknowledgements: 0, gapMs: expect.any(Number) });
    const last = faults.at(-1);
    if (last === undefined) throw new Error('no fault has been noted');
    return last;
  }

  /** Ends the writers, and compares the members with each other. */
  async expectAllAlike(): Promise<void> {
    await this.untilSteady();
    await this.writers.stop();
    const { port } = await this.primary();
    const end = await endOfLog(port);
    await this.until('every member to have replayed the same log', async () => {
      const there = await Promise.all(
        this.stage.members.map(async (member) => ((await hasReplayed(member.port, end)) ? [] : [`${member.name} has not replayed ${end}`])),
      );
      return there.flat();
    });
    const answers = await Promise.all(this.stage.members.map((member) => finalAnswer(member.name, member.port)));
    expect(judgeMembers(answers)).toEqual([]);
    const { writer, pinned } = this.writers.read();
    const acknowledged = [...writer.acknowledged, ...pinned.flatMap((log) => log.acknowledged)];
    expect(acknowledged.length).toBeGreaterThan(0);
    for (const member of this.stage.members) {
      const rows = await rowsOf(member.port);
      expect({ member: member.name, lost: findLost(acknowledged, rows).length, duplicates: findDuplicates(rows).length }).toEqual({
        member: member.name,
        lost: 0,
        duplicates: 0,
      });
    }
  }

  async timeline(): Promise<number> {
    const { name, port } = await this.primary();
    return (await finalAnswer(name, port)).timeline;
  }
}

/** The tests of one file on one real stage; skipped with the reason where a part is missing, which CI=true makes a failure. */
export function describeDrill(title: string, options: DrillOptions, define: (drill: Drill) => void): void {
  describeWithPart(PARTS, title, () => {
    const drill = new Drill();
    let failed = false;
    beforeAll(() => drill.start(options), LIMIT_MS);
    beforeEach(({ skip }) => {
      // They share the stage: what follows a failure would fail for that reason alone, each after its limit.
      if (failed) skip('a drill before this one on the same stage failed');
    });
    afterEach(({ task }) => {
      failed ||= task.result?.state === 'fail';
    });
    // Where a test failed, its logs are what tells why.
    afterAll(() => drill.stop(failed), LIMIT_MS);
    define(drill);
  });
}

/** Waits until all is well, and says who is the primary, and of which epoch. */
export async function begin(drill: Drill): Promise<{ epoch: number; name: string }> {
  await drill.untilSteady();
  await drill.untilFlowing();
  const { epoch } = await drill.status();
  return { epoch, name: (await drill.primary()).name };
}

/** The last test of a drill. */
export function itEndsAlike(drill: Drill): void {
  it(
    'I2: after all that all members are alike, exactly one of them writable',
    async () => {
      await drill.expectAllAlike();
    },
    LIMIT_MS,
  );
}

export async function killAgent(drill: Drill, name: string): Promise<void> {
  signalIfThere(drill.running(name).agent, 'SIGKILL');
  await drill.until('the agent to be gone', () => (drill.stage.pidsOf(name).agent === null ? [] : ['it runs']), { everyMs: 5 });
}
