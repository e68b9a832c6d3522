import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { CommandProbeConfig } from '../../src/model/probe.ts';
import { openProbe } from '../../src/probes/index.ts';
import type { Look } from '../../src/probes/probe.ts';
import { until } from '../support/postgres.ts';

const never = new AbortController().signal;
const dir = mkdtempSync(path.join(tmpdir(), 'understudy-probe-'));

const look = (script: string, values: Partial<CommandProbeConfig> = {}, signal = never): Promise<Look> =>
  openProbe({ type: 'command', argv: ['sh', '-c', script], timeoutMs: 10_000, ...values }, () => '').look(signal);

/** The pid that a script has written, once it has; and whether that process is there still (a zombie is not). */
const pidIn = (file: string): Promise<number> => until('a pid', () => existsSync(file) && Number(readFileSync(file, 'utf8').trim()));
const isGone = (pid: number): boolean => !existsSync(`/proc/${pid}`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

describe('the command probe', () => {
  afterAll(() => rmSync(dir, { recursive: true }));

  const table: [script: string, values: Partial<CommandProbeConfig>, expected: object][] = [
    ['exit 0', {}, { outcome: 'up', latencyMs: expect.any(Number) }],
    ['echo fine; echo more', {}, { outcome: 'up', words: 'fine' }],
    ['echo slow; exit 1', {}, { outcome: 'down', words: 'sh exited with code 1: slow' }],
    ['echo broken >&2; exit 2', {}, { outcome: 'down', words: 'sh exited with code 2: broken' }],
    ['exit 3', {}, { outcome: 'unknown', words: 'sh exited with code 3' }],
    ['exit 127', {}, { outcome: 'unknown' }],
    ['kill -SEGV $$', {}, { outcome: 'unknown', words: 'sh was ended by SIGSEGV' }],
    ['echo " 12.5 "; echo rest', { reading: true }, { outcome: 'up', value: 12.5 }],
    ['echo many', { reading: true }, { outcome: 'unknown', words: expect.stringContaining('"many"') }],
    ['true', { reading: true }, { outcome: 'unknown' }],
    ['head -c 10000000 /dev/zero; exit 1', {}, { outcome: 'down' }],
    ['echo "$COLOUR"', { env: { COLOUR: 'red' } }, { outcome: 'up', words: 'red' }],
  ];
  it.each(table)('%s with %j', async (script, values, expected) => {
    expect(await look(script, values)).toMatchObject(expected);
  });

  it('I3: a program that is not there is our own trouble', async () => {
    expect(await look('', { argv: ['/nowhere/check'] })).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('ENOENT') });
    expect(await look('', { argv: ['/etc/passwd'] })).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('EACCES') });
  });

  it('I9: nothing of our own environment is handed on besides what a program needs', async () => {
    process.env['PROBE_TEST_SECRET'] = 'hidden';
    expect(await look('echo "[$PROBE_TEST_SECRET]"')).toMatchObject({ words: '[]' });
    delete process.env['PROBE_TEST_SECRET'];
  });

  it('one that hangs is down when the timeout is over, and its whole group is killed', async () => {
    const [parent, child] = [path.join(dir, 'parent'), path.join(dir, 'child')];
    const found = await look(`echo $$ > ${parent}; sleep 1000 & echo $! > ${child}; wait`, { timeoutMs: 500 });
    expect(found).toMatchObject({ outcome: 'down', words: 'no answer in 500 ms (sh is still running)' });
    for (const file of [parent, child]) {
      const pid = await pidIn(file);
      await until(`${file} is gone`, () => isGone(pid));
    }
  });

  it('what a program leaves running in its group is killed, and does not hold up the look', async () => {
    const file = path.join(dir, 'left');
    expect(await look(`sleep 1000 & echo $! > ${file}; exit 1`)).toMatchObject({ outcome: 'down', words: 'sh exited with code 1' });
    const pid = await pidIn(file);
    await until('it is gone', () => isGone(pid));
  });

  it('I3: one that is aborted is unknown, and killed', async () => {
    const file = path.join(dir, 'aborted');
    const stop = new AbortController();
    const looking = look(`echo $$ > ${file}; sleep 1000`, { timeoutMs: 60_000 }, stop.signal);
    const pid = await pidIn(file);
    stop.abort();
    expect(await looking).toMatchObject({ outcome: 'unknown' });
    await until('it is gone', () => isGone(pid));
  });
});
