import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { POSTGRES_PROGRAMS } from '../../src/runtime/tools/postgres.ts';
import { runCli } from './run-cli.ts';

interface Told {
  readonly usable: boolean;
  readonly findings: readonly { subject: string; verdict: string; words: string; next?: string }[];
}

describe('understudy doctor', () => {
  let scratch: string;
  let bin: string;
  beforeAll(() => {
    scratch = mkdtempSync(path.join(tmpdir(), 'understudy-doctor-'));
    bin = path.join(scratch, 'pg');
    for (const name of POSTGRES_PROGRAMS) tool(name, 'postgres (PostgreSQL) 17.6');
    tool('temporal', 'temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)');
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  function tool(name: string, says: string): void {
    const file = path.join(scratch, name);
    writeFileSync(file, `#!/bin/sh\necho '${says}'\n`);
    chmodSync(file, 0o755);
    bin = scratch;
  }

  const ask = async (env: Record<string, string>, ...args: string[]): Promise<Told & { code: number | null }> => {
    const { code, stdout } = await runCli(['doctor', '-o', 'json', ...args], { cwd: scratch, env });
    return { code, ...(JSON.parse(stdout) as Told) };
  };
  const of = (told: Told, subject: string): string[] =>
    told.findings.filter((finding) => finding.subject === subject).map(({ verdict, words }) => `${verdict}: ${words}`);

  it('a machine with its tools is usable: versions, where they were found, and who holds the lease', async () => {
    const told = await ask({ UNDERSTUDY_PG_BIN: bin, UNDERSTUDY_TEMPORAL: path.join(scratch, 'temporal'), TEMPORAL_CONFIG_FILE: '' });
    expect(told).toMatchObject({ code: 0, usable: true });
    expect(of(told, 'Node')).toEqual([`ok: ${process.version}`]);
    expect(of(told, 'PostgreSQL')[0]).toBe(`ok: 17.6, named by UNDERSTUDY_PG_BIN: ${bin}`);
    expect(of(told, 'Temporal CLI')).toEqual([`ok: 1.9.1, named by UNDERSTUDY_TEMPORAL: ${path.join(scratch, 'temporal')}`]);
    expect(of(told, 'lease')[0]).toMatch(/^ok: held by the kernel|^note: held by the guard's own clock only \(fence: process\), since ./);
  });

  it('a server that was named and does not answer makes it unusable; one that nobody named does not', async () => {
    const told = await ask({ UNDERSTUDY_PG_BIN: bin, TEMPORAL_ADDRESS: '127.0.0.1:1' });
    expect(told).toMatchObject({ code: 1, usable: false });
    expect(of(told, 'Temporal')).toEqual(['bad: no answer from 127.0.0.1:1 (named by TEMPORAL_ADDRESS)']);
  });

  it('PostgreSQL that is asked for and not there makes it unusable, with the next step', async () => {
    const told = await ask({ UNDERSTUDY_PG_BIN: '/nowhere', UNDERSTUDY_OFFLINE: '1' });
    expect(told.code).toBe(1);
    expect(told.findings.find(({ subject }) => subject === 'PostgreSQL')).toMatchObject({
      verdict: 'bad',
      next: expect.stringContaining('apt install postgresql'),
    });
  });

  it('a configuration with mistakes is pointed to', async () => {
    writeFileSync(path.join(scratch, 'broken.yaml'), 'groups: {}\n');
    const told = await ask({ UNDERSTUDY_PG_BIN: bin }, '--config', 'broken.yaml');
    expect(told.findings.find(({ subject }) => subject === 'configuration')).toEqual({
      subject: 'configuration',
      verdict: 'bad',
      words: 'broken.yaml has one mistake',
      next: 'understudy validate broken.yaml',
    });
  });
});
