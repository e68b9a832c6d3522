import { tmpdir } from 'node:os';
import { describe, expect, inject, it } from 'vitest';
import { useStage } from '../support/workflow-stage.ts';
import { runCli } from './run-cli.ts';

const { stage, scene } = useStage();
const temporal = inject('temporal');
const address = 'missing' in temporal ? '127.0.0.1:1' : temporal.address;
const cli = (at: string, ...args: string[]) => runCli(args, { cwd: tmpdir(), env: { TEMPORAL_ADDRESS: at, UNDERSTUDY_TIMEOUT: '1s' } });

describe('I3: where nothing answers, how things are is unknown, which is no failure', () => {
  scene('no worker: the status is the heartbeats that the server holds, and a word may still be heeded later', {}, async (w) => {
    await w.steady();
    await w.until(
      'every role has beaten',
      async () => (await w.handle.describe()).raw.pendingActivities?.every(({ lastHeartbeatTime }) => lastHeartbeatTime !== null) === true,
    );
    await stage.stopWorker();
    const [status, pause] = [await cli(address, 'status', w.group, '-o', 'json'), await cli(address, 'pause', w.group, '--until-resumed', '--reason', 'x')];
    expect([status.code, pause.code]).toEqual([4, 4]);
    expect(JSON.parse(status.stdout)).toMatchObject({
      groups: [{ unseen: expect.any(String) as string, members: [{ member: 'pg-a', heartbeat: { role: 'primary' } }, { member: 'pg-b' }, { member: 'pg-c' }] }],
    });
    expect(pause.stderr).toMatch(/the word may still be heeded/);
    await stage.startWorker();
    await w.untilStatus('the word was heeded', ({ paused }) => paused !== undefined);
  });

  it('no Temporal: the words say where it was looked for, and what to do', async () => {
    const { code, stdout, stderr } = await cli('127.0.0.1:1', 'status');
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/Temporal does not answer at 127\.0\.0\.1:1 .*named by TEMPORAL_ADDRESS[\s\S]*Next: /);
  });
});
