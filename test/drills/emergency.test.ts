import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { findTemporal } from '../../src/runtime/tools/temporal.ts';
import { begin, describeDrill, LIMIT_MS, type Drill } from './drill.ts';

describeDrill("with Temporal's own command line alone", { members: 3, leaseMs: 3000, durability: 'sync' }, (drill) => {
  it(
    'a signal "switchover" swaps the roles',
    async () => {
      const { epoch, name } = await begin(drill);
      drill.mark('switchover by signal', name);
      const { code } = await temporal(drill, [
        'workflow',
        'signal',
        '--workflow-id',
        'group/orders',
        '--name',
        'switchover',
        '--input',
        '{"by":"me","reason":"drill"}',
      ]);
      expect(code).toBe(0);
      await drill.until('another primary', async () => ((await drill.status()).epoch > epoch ? [] : [`still epoch ${epoch}`]));
      await drill.untilSteady();
      await drill.untilFlowing();
      const after = await drill.status();
      expect(after.primary).not.toBe(name);
      expect(after.epoch).toBe(epoch + 1);
      expect(await drill.incident(`switchover/orders/${epoch + 1}`)).toMatchObject({
        actor: { kind: 'person', name: 'me', reason: 'drill' },
        outcome: { outcome: 'done' },
      });
      await drill.expectNothingBroken();
    },
    LIMIT_MS,
  );

  it(
    'an update "pause" without an end is refused, with the rule and the next step in words',
    async () => {
      const { code, words } = await temporal(drill, [
        'workflow',
        'update',
        'execute',
        '--workflow-id',
        'group/orders',
        '--name',
        'pause',
        '--input',
        '{"by":"me","reason":"drill"}',
      ]);
      expect(code).not.toBe(0);
      expect(words).toContain('a pause needs an end, so that it is not forgotten');
      expect(await drill.status()).toMatchObject({ phase: 'steady' });
    },
    LIMIT_MS,
  );

  it(
    'an update without a name is refused in words, too',
    async () => {
      const { code, words } = await temporal(drill, [
        'workflow',
        'update',
        'execute',
        '--workflow-id',
        'group/orders',
        '--name',
        'switchover',
        '--input',
        '{}',
      ]);
      expect(code).not.toBe(0);
      expect(words).toContain('say who you are and why');
    },
    LIMIT_MS,
  );

  it(
    'updates "pause" and "resume" work, and a switchover is refused meanwhile; a signal that is refused shows why',
    async () => {
      const input = '{"by":"me","reason":"drill","untilResumed":true}';
      const paused = await temporal(drill, ['workflow', 'update', 'execute', '--workflow-id', 'group/orders', '--name', 'pause', '--input', input]);
      expect(paused.words).toContain('paused by me');
      expect(await drill.status()).toMatchObject({ phase: 'paused', paused: { by: 'me', reason: 'drill' } });

      const { epoch, primary } = await drill.status();
      await temporal(drill, ['workflow', 'signal', '--workflow-id', 'group/orders', '--name', 'switchover', '--input', '{"by":"me","reason":"drill"}']);
      await drill.until('the refusal to be shown', async () => ((await drill.status()).words?.includes('switchover refused') === true ? [] : ['it is not']));
      const shown = await temporal(drill, ['workflow', 'query', '--workflow-id', 'group/orders', '--type', 'status']);
      expect(shown.words).toContain('signal switchover refused (paused)');
      expect(await drill.status()).toMatchObject({ epoch, primary });

      const resumed = await temporal(drill, [
        'workflow',
        'update',
        'execute',
        '--workflow-id',
        'group/orders',
        '--name',
        'resume',
        '--input',
        '{"by":"me","reason":"drill"}',
      ]);
      expect(resumed.words).toContain('resumed by me');
      await drill.untilSteady();
      await drill.untilFlowing();
      await drill.expectNothingBroken();
    },
    LIMIT_MS,
  );
});

/** Temporal's command line as an operator has it. */
async function temporal(drill: Drill, args: readonly string[]): Promise<{ code: number; words: string }> {
  const { path } = await findTemporal({ fetch: true });
  const { temporal: server } = await drill.stage.describe();
  const command = [...args, '--address', server.address, '--namespace', server.namespace];
  try {
    const { stdout, stderr } = await promisify(execFile)(path, command, { encoding: 'utf8' });
    return { code: 0, words: `${stdout}${stderr}` };
  } catch (error) {
    const failed = error as { code?: unknown; stdout?: string; stderr?: string };
    if (typeof failed.code !== 'number') throw error;
    return { code: failed.code, words: `${failed.stdout ?? ''}${failed.stderr ?? ''}` };
  }
}
