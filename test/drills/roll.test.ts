import { mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { signalIfThere } from '../../src/stage/pids.ts';
import { GROUP, type StageConfig } from '../../src/stage/stage-file.ts';
import { monotonicNs } from '../../src/stage/writer-log.ts';
import { runCli } from '../cli/run-cli.ts';
import { LIMIT_MS, describeDrill, type Drill } from './drill.ts';

/** An agent is restarted within it, on a busy machine too. */
const LEASE_MS = 10_000;

async function roll(drill: Drill, ...more: string[]) {
  const { config, dir } = drill.stage.layout;
  const ran = await runCli(['roll', GROUP, '--reason', 'a minor upgrade', '--yes', '--config', config, ...more], { cwd: dir });
  process.stderr.write(ran.stderr);
  return ran;
}

/** The same programs at another place, as a package of another version would bring them; and the agents are told of it. */
async function moveBinaries(drill: Drill): Promise<string> {
  const { config: file, dir } = drill.stage.layout;
  const config = parse(readFileSync(file, 'utf8')) as StageConfig;
  const postgres = config.groups[GROUP]?.postgres;
  const from = String(postgres?.['bin']);
  const to = path.join(dir, 'programs', 'bin');
  mkdirSync(to, { recursive: true, mode: 0o755 });
  for (const name of readdirSync(from)) symlinkSync(path.join(from, name), path.join(to, name));
  rmSync(path.join(to, 'postgres'));
  writeFileSync(path.join(to, 'postgres'), `#!/bin/sh\nexec ${from}/postgres "$@"\n`, { mode: 0o755 });
  Object.assign(postgres ?? {}, { bin: to });
  writeFileSync(file, stringify(config));
  return to;
}

describeDrill('every database is restarted in turn while it is written to', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  it(
    'standbys first, then a switchover: one epoch more, one short gap, every database another process',
    async () => {
      await drill.untilSteady();
      await drill.untilFlowing();
      const before = { status: await drill.status(), pids: drill.stage.members.map(({ name }) => drill.running(name)) };
      const sinceNs = monotonicNs();
      const ran = await roll(drill);
      expect(ran, ran.stderr).toMatchObject({ code: 0 });
      await drill.untilSteady();
      await drill.untilFlowing();
      const after = { status: await drill.status(), pids: drill.stage.members.map(({ name }) => drill.running(name)) };
      expect(after.status.roll).toMatchObject({ left: [], ended: { outcome: 'done' } });
      expect(after.status).toMatchObject({ epoch: before.status.epoch + 1, phase: 'steady' });
      expect(after.status.primary).not.toBe(before.status.primary);
      for (const [index, pids] of after.pids.entries()) {
        expect(pids.postmaster).not.toBe(before.pids[index]?.postmaster);
        // Agent and guard stay: the database alone is another.
        expect(pids).toMatchObject({ agent: before.pids[index]?.agent, guard: before.pids[index]?.guard });
      }
      const gapMs = drill.gapSince(sinceNs);
      process.stderr.write(`a roll: the longest write gap was ${gapMs.toFixed(0)} ms\n`);
      expect(gapMs).toBeLessThan(LEASE_MS / 2);
      expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
    },
    LIMIT_MS,
  );

  it(
    'with the programs at another place: agents are restarted first, and nothing happens; then the roll takes the new ones',
    async () => {
      const { epoch } = await drill.status();
      await moveBinaries(drill);
      const sinceNs = monotonicNs();
      for (const { name } of drill.stage.members) {
        signalIfThere(drill.running(name).agent, 'SIGTERM');
        await drill.until('the agent to be gone', () => (drill.stage.pidsOf(name).agent === null ? [] : ['it runs']), { everyMs: 5 });
        await drill.stage.startPart(name);
        await drill.untilSteady();
      }
      await drill.untilFlowing();
      const gapMs = drill.gapSince(sinceNs);
      process.stderr.write(`three agents restarted: the longest write gap was ${gapMs.toFixed(1)} ms\n`);
      expect(await drill.status()).toMatchObject({ epoch, phase: 'steady' });
      const ran = await roll(drill);
      expect(ran, ran.stderr).toMatchObject({ code: 0 });
      expect((await drill.status()).roll).toMatchObject({ ended: { outcome: 'done' } });
      await drill.untilSteady();
      expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
    },
    LIMIT_MS,
  );

  it(
    'programs that do not start stop the roll at the first member; it is brought back with the old ones, and nobody else is touched',
    async () => {
      const before = await drill.status();
      const config = parse(readFileSync(drill.stage.layout.config, 'utf8')) as StageConfig;
      const program = path.join(String(config.groups[GROUP]?.postgres['bin']), 'postgres');
      const good = readFileSync(program, 'utf8');
      writeFileSync(program, '#!/bin/sh\necho "these programs are for another machine" >&2\nexit 1\n');
      const ran = await roll(drill);
      expect(ran).toMatchObject({ code: 1 });
      const stopped = await drill.status();
      expect(stopped.roll).toMatchObject({ done: [], ended: { outcome: 'stopped' } });
      expect(stopped).toMatchObject({ epoch: before.epoch, primary: before.primary });
      writeFileSync(program, good);
      await drill.untilSteady();
      // The member that is back may still be catching up: until it follows, the roll is refused, as it should be.
      let again = await roll(drill, '--members', stopped.roll?.left[0] ?? '');
      await drill.until('the roll to be taken', async () => {
        if (again.code === 3) again = await roll(drill, '--members', stopped.roll?.left[0] ?? '');
        return again.code === 3 ? [again.stderr] : [];
      });
      expect(again, again.stderr).toMatchObject({ code: 0 });
      expect(await drill.judge()).toMatchObject({ lost: 0, duplicates: 0 });
    },
    LIMIT_MS,
  );

  it(
    'I2: after all that all members are alike, exactly one of them writable',
    async () => {
      await drill.expectAllAlike();
    },
    LIMIT_MS,
  );
});
