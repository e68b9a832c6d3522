import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from './run-cli.ts';

describe('a support bundle where Temporal does not answer', () => {
  let dir: string;
  const at = (...names: string[]): string => path.join(dir, ...names);
  beforeAll(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'understudy-support-test-'));
    mkdirSync(at('state'), { mode: 0o700 });
    writeFileSync(at('state', 'agent.json'), JSON.stringify({ cluster: 'c/default', highestEpoch: 7, held: { kind: 'primary', token: 'unmistakable-token' } }));
    writeFileSync(at('state', 'guard.log'), `${'x'.repeat(99)}\n`.repeat(10_000));
    writeFileSync(at('password'), 'unmistakable-password');
    writeFileSync(
      at('understudy.yaml'),
      JSON.stringify({
        temporal: { address: '127.0.0.1:1' },
        groups: {
          orders: {
            durability: 'async',
            postgres: { auth: 'trust', superuser: { password: { file: at('password') } } },
            members: {
              'pg-a': { address: '127.0.0.1:5432', dataDir: at('data'), stateDir: at('state') },
              'pg-b': { address: '127.0.0.2:5432', dataDir: at('data-b'), stateDir: at('elsewhere') },
            },
          },
        },
      }),
    );
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const bundle = (...args: string[]) => runCli(['support', 'bundle', '--config', at('understudy.yaml'), '-o', 'json', ...args], { cwd: dir });

  it('has what is here, and says what is missing and why', async () => {
    writeFileSync(at('worker.log'), 'connecting as postgres with unmistakable-password\n');
    const ran = await bundle('--to', at('b.tar.gz'), '--log', at('worker.log'), at('none.log'));
    expect(ran.code, ran.stderr).toBe(0);
    const { files, missing } = JSON.parse(ran.stdout) as { files: string[]; missing: { what: string; why: string }[] };
    expect(files).toEqual(
      expect.arrayContaining([
        'manifest.json',
        'config.json',
        'doctor.json',
        'members/orders-pg-a/agent.json',
        'members/orders-pg-a/guard.json',
        'logs/worker.log',
      ]),
    );
    expect(missing).toEqual([
      { what: 'what Temporal knows', why: expect.stringMatching(/does not answer at 127.0.0.1:1/) },
      { what: 'members/orders-pg-b', why: expect.stringMatching(/ENOENT/) },
      { what: 'logs/none.log', why: expect.stringMatching(/ENOENT/) },
    ]);
    expect(statSync(at('b.tar.gz')).mode & 0o777).toBe(0o600);
    mkdirSync(at('opened'));
    execFileSync('tar', ['-xzf', at('b.tar.gz'), '-C', at('opened'), '--strip-components=1']);
    expect(JSON.parse(readFileSync(at('opened', 'members', 'orders-pg-a', 'agent.json'), 'utf8'))).toMatchObject({
      highestEpoch: 7,
      held: { kind: 'primary', token: '(redacted)' },
    });
    expect(readFileSync(at('opened', 'logs', 'worker.log'), 'utf8')).toBe('connecting as postgres with (redacted)\n');
    expect(JSON.parse(readFileSync(at('opened', 'config.json'), 'utf8'))).toMatchObject({
      groups: { orders: { postgres: { superuser: { password: { file: at('password') } } } } },
    });
    // The end of a long log, from the beginning of a line.
    const log = readFileSync(at('opened', 'members', 'orders-pg-a', 'guard.log'), 'utf8');
    expect(log.length).toBeLessThanOrEqual(512 * 1024);
    expect(
      log
        .split('\n')
        .slice(0, -1)
        .every((line) => line.length === 99),
    ).toBe(true);
  });

  it('overwrites nothing, and leaves nothing half made', async () => {
    writeFileSync(at('there.tar.gz'), 'mine');
    expect(await bundle('--to', at('there.tar.gz'))).toMatchObject({ code: 1, stderr: expect.stringMatching(/is there already, and nothing is overwritten/) });
    expect(readFileSync(at('there.tar.gz'), 'utf8')).toBe('mine');
    expect(await bundle('--to', at('no', 'such', 'folder.tar.gz'))).toMatchObject({ code: 1, stderr: expect.stringMatching(/could not be written/) });
    expect(existsSync(at('no'))).toBe(false);
  });
});
