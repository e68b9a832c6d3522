import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DemoResult } from '../../src/stage/demo.ts';
import { Running, processesAbout, run } from './stage-command.ts';

const LIMIT_MS = 240_000;

describe('the four faults, on real Temporal, PostgreSQL and DNS', () => {
  it(
    'I1, I2: a crash, a dead node, a frozen node and a switchover lose nothing that was acknowledged, and no zombie answers',
    async () => {
      // The exit code is the checker's, which knows only the writers' logs and what the members answer at the end.
      const { code, out, err } = await run(['demo', '--json', '--lease', '3s', '--freeze', '6s']);
      expect(code, err).toBe(0);
      const result = JSON.parse(out) as DemoResult;
      expect(result.broken).toEqual([]);
      expect(result.faults.map(({ kind }) => kind)).toEqual(['S1', 'S2', 'S3', 'S4']);
      expect(result.writes).toMatchObject({ lost: 0 });
      for (const fault of result.faults) {
        expect(fault, fault.kind).toMatchObject({ lost: 0, lateAcknowledgements: 0 });
        expect(fault.to, fault.kind).not.toBe(fault.from);
        expect(fault.gapMs, fault.kind).toBeGreaterThan(0);
        expect(fault.incident, fault.kind).toBe(`${fault.kind === 'S4' ? 'switchover' : 'failover'}/orders/${fault.epoch}`);
        // One after another, by two clocks that are independent of each other: the workflow's and the writer's.
        expect(fault.decidedMs, fault.kind).toBeGreaterThanOrEqual(fault.detectedMs ?? Number.NaN);
        expect(fault.promotedMs, fault.kind).toBeGreaterThanOrEqual(fault.decidedMs ?? Number.NaN);
      }
      const dir = / in (\S+)/.exec(err)?.[1] ?? '';
      expect(existsSync(dir)).toBe(false);
      expect(processesAbout(dir)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'ends in order on Ctrl-C in the midst of it, and leaves nothing',
    async () => {
      const demo = new Running(['demo', '--lease', '3s']);
      await demo.until('the first fault', () => demo.err.includes('has lost its database process'), LIMIT_MS);
      demo.child.kill('SIGINT');
      expect(await demo.ended).toBe(130);
      const dir = / in (\S+)/.exec(demo.err)?.[1] ?? '';
      expect(dir).toMatch(/understudy-/);
      expect(existsSync(dir)).toBe(false);
      expect(processesAbout(dir)).toEqual([]);
    },
    LIMIT_MS,
  );
});
