import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { openLog } from '../../src/runtime/log.ts';

describe('the log', () => {
  let directory: string;
  beforeAll(() => void (directory = mkdtempSync(path.join(tmpdir(), 'understudy-log-'))));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('I9: writes no secret, however deep it stands in what is logged', async () => {
    const file = path.join(directory, 'below', 'agent.log');
    const log = await openLog({ name: 'agent', file, fields: { group: 'orders' } });
    log.info({ password: 'hunter2', tsig: { secret: 'hunter2' }, a: { b: { token: 'hunter2' } }, list: [{ apiKey: 'hunter2' }] }, 'started');
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain('hunter2');
    expect(JSON.parse(text)).toMatchObject({ name: 'agent', level: 'info', group: 'orders', msg: 'started', pid: process.pid });
  });

  it('tells an error by its code, evidence and cause', async () => {
    const file = path.join(directory, 'error.log');
    const log = await openLog({ name: 'agent', file });
    log.error({ err: new UnderstudyError('EpochStale', 'epoch 6 is over', { highest: 7 }, new TypeError('why')) }, 'refused');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      msg: 'refused',
      err: { type: 'UnderstudyError', code: 'EpochStale', message: 'epoch 6 is over', evidence: { highest: 7 }, cause: { type: 'TypeError', message: 'why' } },
    });
  });

  it('is as loud as asked', async () => {
    const file = path.join(directory, 'quiet.log');
    const log = await openLog({ name: 'agent', file, level: 'warn' });
    log.info('not heard');
    log.warn('heard');
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(1);
  });
});
