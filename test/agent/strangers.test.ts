import type { Connection } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { TaskQueue, isTransient } from '../../src/agent/task.ts';
import { dataConverterOf } from '../../src/runtime/codec.ts';

type Sent = { taskToken: Uint8Array; failure?: { applicationFailureInfo?: { type?: string } } };

/** A server that hands out one task with that input, and keeps what is answered. */
function serverWith(data: Buffer, metadata: Record<string, Buffer>) {
  const failed: Sent[] = [];
  const connection = {
    withAbortSignal: (_: AbortSignal, work: () => unknown) => work(),
    withDeadline: (_: number, work: () => unknown) => work(),
    workflowService: {
      pollActivityTaskQueue: () =>
        Promise.resolve({ taskToken: Buffer.from('t'), activityType: { name: 'promote' }, activityId: 'x', input: { payloads: [{ data, metadata }] } }),
      respondActivityTaskFailed: (sent: Sent) => {
        failed.push(sent);
        return Promise.resolve({});
      },
    },
  };
  return { connection: connection as unknown as Connection, failed };
}

const poll = (connection: Connection, converter = dataConverterOf(undefined)) =>
  new TaskQueue(connection, 'n', 'q', 'me', converter).poll(new AbortController().signal);

describe('what a stranger sends to an agent', () => {
  it.each<[string, Buffer, Record<string, Buffer>, string]>([
    ['no JSON', Buffer.from('{'), { encoding: Buffer.from('json/plain') }, 'Unexpected'],
    ['an encoding that nobody knows', Buffer.from('x'), { encoding: Buffer.from('binary/strange') }, 'Unexpected'],
    ['nothing at all', Buffer.alloc(0), {}, 'Unexpected'],
  ])('is given back as failed, and costs it nothing else: %s', async (_, data, metadata, type) => {
    const { connection, failed } = serverWith(data, metadata);
    expect(await poll(connection)).toBeUndefined();
    expect(failed.map(({ failure }) => failure?.applicationFailureInfo?.type)).toEqual([type]);
  });

  it('encrypted by a key that it does not know: given back, and the key is named', async () => {
    process.env['UNDERSTUDY_STRANGER_TEST'] = Buffer.alloc(32, 3).toString('base64');
    const converter = dataConverterOf({ keys: { known: { env: 'UNDERSTUDY_STRANGER_TEST' } } });
    const { connection, failed } = serverWith(Buffer.alloc(40), { encoding: Buffer.from('binary/encrypted'), 'encryption-key-id': Buffer.from('other') });
    expect(await poll(connection, converter)).toBeUndefined();
    expect(failed).toMatchObject([
      { failure: { message: expect.stringContaining("needs the codec's key other"), applicationFailureInfo: { type: 'CodecFailed' } } },
    ]);
  });

  it('what can be read is a task', async () => {
    const { data, metadata } = defaultPayloadConverter.toPayload({ epoch: 7 });
    const { connection, failed } = serverWith(Buffer.from(data ?? []), { encoding: Buffer.from(metadata?.['encoding'] ?? []) });
    expect(await poll(connection)).toMatchObject({ type: 'promote', input: { epoch: 7 } });
    expect(failed).toEqual([]);
  });

  it('a refusal of who it is, while a key is being replaced, is no end of it', () => {
    expect([7, 16].map((code) => isTransient(Object.assign(new Error('no such key'), { code })))).toEqual([true, true]);
    expect(isTransient(Object.assign(new Error('no such namespace'), { code: 5 }))).toBe(false);
  });
});
