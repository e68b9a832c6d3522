import { randomBytes } from 'node:crypto';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Published } from '../../src/model/act.ts';
import type { GroupSpec } from '../../src/model/group.ts';
import type { Incident } from '../../src/model/incident.ts';
import type { MemberReport } from '../../src/model/member.ts';
import { CONTROL_QUEUE, memberQueue } from '../../src/model/name.ts';
import type { FailoverInput } from '../../workflows/failover.ts';
import { frozen, reportOf } from '../decide/world.ts';
import { findTestServer } from '../support/test-server.ts';
import { spec } from '../support/workflow-world.ts';

/**
 * One incident by itself, on a server that skips the time in which nothing runs: hours of waiting take none. A whole group cannot be tried so, since its open
 * roles hold the clock.
 */
const found = inject('temporal');
const server = await findTestServer();
const missing = 'missing' in found ? found.missing : 'missing' in server ? server.missing : undefined;
const GROUP = `t${randomBytes(4).toString('hex')}`;

interface Told {
  fit: boolean;
  publish: () => Published;
  asked: string[];
}

const told: Told = { fit: true, publish: () => ({ outcome: 'applied', words: 'ok', publishedAtMs: 1, verifiedAtMs: 1 }), asked: [] };

function report(name: string): MemberReport {
  return reportOf(frozen(name, '0/5000000', { epoch: 1 }, told.fit ? {} : { replayPaused: true }));
}

describe.skipIf(missing !== undefined && process.env['CI'] !== 'true')(
  `an incident that waits for long${missing === undefined ? '' : ` (skipped: ${missing.split('\n')[0]})`}`,
  () => {
    let environment: TestWorkflowEnvironment | undefined;
    const workers: Worker[] = [];
    const running: Promise<void>[] = [];

    beforeAll(async () => {
      if (!('program' in server) || !('bundle' in found)) throw new Error(missing);
      Runtime.install({ logger: new DefaultLogger('ERROR') });
      environment = await TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path: server.program } } });
      const { nativeConnection: connection } = environment;
      workers.push(
        await Worker.create({
          connection,
          taskQueue: CONTROL_QUEUE,
          workflowBundle: { codePath: found.bundle },
          activities: { publishRecord: () => told.publish() },
        }),
      );
      for (const name of ['pg-b', 'pg-c']) {
        const activities = {
          inspect: () => {
            told.asked.push(name);
            return report(name);
          },
          promote: () => ({ outcome: 'promoted', timeline: 2, lsn: '0/5000000', quarantineMs: 0, promoteMs: 1, openedAtMs: Date.now() }),
          firstWrite: () => ({ lsn: '0/5000001', tookMs: 1 }),
        };
        workers.push(await Worker.create({ connection, taskQueue: memberQueue(GROUP, name), activities }));
      }
      running.push(...workers.map((worker) => worker.run()));
    });

    afterAll(async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await environment?.teardown();
    });

    async function play(id: string, more: Partial<GroupSpec> = {}): Promise<{ incident: Incident; tookMs: number }> {
      const input: FailoverInput = {
        spec: { ...spec(), ...more, name: GROUP },
        owner: `default/${GROUP}`,
        epoch: 2,
        cause: { kind: 'crashed', words: 'the process ended', knownAtMs: 0 },
        actor: { kind: 'policy' },
        before: { primary: 'pg-a', epoch: 1, rule: { names: ['pg-b', 'pg-c'], count: 1 }, last: { timeline: 1, lsn: '0/5000000' } },
        fencedBy: 'agent',
        electable: ['pg-b', 'pg-c'],
        excluded: [],
        restartsTried: 1,
        attributes: false,
      };
      if (environment === undefined) throw new Error('no server');
      told.asked = [];
      const begunMs = await environment.currentTimeMs();
      const incident = (await environment.client.workflow.execute('failover', {
        workflowId: `failover/${GROUP}/${id}`,
        taskQueue: CONTROL_QUEUE,
        args: [input],
      })) as Incident;
      return { incident, tookMs: (await environment.currentTimeMs()) - begunMs };
    }

    it('I2: where nobody becomes fit, it asks twelve times, later each time, and then says that nobody is', async () => {
      told.fit = false;
      const { incident, tookMs } = await play('nobody');
      expect(incident.outcome).toMatchObject({ outcome: 'nobody-fit' });
      expect(incident.elections).toHaveLength(12);
      expect(told.asked.filter((name) => name === 'pg-b')).toHaveLength(12);
      expect(tookMs).toBeGreaterThan(90_000);
    });

    it('nobody answers the question for approval: after its hour that is a no', async () => {
      told.fit = true;
      const { incident, tookMs } = await play('approval', { policy: { ...spec().policy, approval: 'required', approvalWithinMs: 3_600_000 } });
      expect(incident.outcome).toMatchObject({ outcome: 'not-approved', words: 'nobody approved within 3600 s' });
      expect(tookMs).toBeGreaterThanOrEqual(3_600_000);
      expect(incident.steps.map(({ name }) => name)).not.toContain('promote');
    });

    it('DNS that fails for longer than ten minutes is left to the group: the incident ends with its promotion, and says what is missing', async () => {
      told.fit = true;
      told.publish = () => ({ outcome: 'unreachable', words: 'no answer' });
      const { incident, tookMs } = await play('dns', { records: [{ name: 'db.test.', type: 'A', ttlSeconds: 5, provider: 'dns' }] });
      expect(incident.outcome).toMatchObject({ outcome: 'done' });
      expect(incident.records).toMatchObject([{ outcome: 'unreachable' }]);
      expect(incident.steps.find(({ name }) => name === 'publish')?.outcome).toBe('failed');
      expect(tookMs).toBeGreaterThan(600_000);
      // Nobody heard of it: there is no group here. That is evidence, and stops nothing.
      expect(incident.evidence.map(({ words }) => words).join()).toContain('did not hear "promoted"');
    });
  },
);
