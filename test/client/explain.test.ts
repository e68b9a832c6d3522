import { ServiceError, type WorkflowClient, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError } from '@temporalio/client';
import { ApplicationFailure, NamespaceNotFoundError, WorkflowNotFoundError } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { explainTemporal } from '../../src/client/explain.ts';

const client = { options: { namespace: 'default' } } as WorkflowClient;

function grpc(code: number, details = `details of ${code}`): ServiceError {
  return new ServiceError('the call failed', { cause: Object.assign(new Error(`${code}`), { code, details, metadata: {} }) });
}

function refusal(detail: object): WorkflowUpdateFailedError {
  return new WorkflowUpdateFailedError('update failed', ApplicationFailure.nonRetryable('it is the primary', 'Refused', detail));
}

describe("what Temporal's errors mean to an operator", () => {
  it.each<[string, Error, object]>([
    [
      'a rule said no',
      refusal({ rule: 'is-primary', override: 'understudy switchover orders' }),
      {
        trouble: { kind: 'refused', rule: 'is-primary', override: 'understudy switchover orders' },
        why: 'it is the primary',
        next: 'understudy switchover orders',
      },
    ],
    ['a rule said no, and an option gets past it', refusal({ rule: 'no-end', override: '--until-resumed' }), { next: 'the same command with --until-resumed' }],
    ['the workflow failed in it', new WorkflowUpdateFailedError('update failed', new Error('no')), { trouble: { kind: 'failed' }, why: 'no' }],
    ['I3: nobody took it up in time', new WorkflowUpdateRPCTimeoutOrCancelledError('late'), { trouble: { kind: 'unseen' } }],
    ['I3: no answer in time', grpc(4), { trouble: { kind: 'unseen' } }],
    ['its tasks fail, so that nothing is decided', grpc(9, 'Unable to query workflow due to Workflow Task in failed state.'), { trouble: { kind: 'failed' } }],
    ['I3: no worker polls', grpc(9), { trouble: { kind: 'unseen' }, next: 'start one: understudy worker' }],
    ['I3: no server', grpc(14), { trouble: { kind: 'unseen' }, next: 'understudy doctor' }],
    ['no such workflow', new WorkflowNotFoundError('gone', 'group/orders', undefined), { trouble: { kind: 'missing' } }],
    ['no such run', grpc(5), { trouble: { kind: 'missing' } }],
    ['no such namespace', new NamespaceNotFoundError('nix'), { trouble: { kind: 'failed' } }],
    ['no right to it', grpc(7), { trouble: { kind: 'failed' }, why: 'details of 7' }],
    ['whatever else the server says', grpc(13), { trouble: { kind: 'failed' }, why: 'details of 13' }],
  ])('%s', (_, error, meaning) => {
    expect(explainTemporal(error, 'group orders', client)).toMatchObject(meaning);
  });

  it('what nobody foresaw is left as it is', () => {
    expect(explainTemporal(new TypeError('a mistake of ours'), 'group orders', client)).toBeUndefined();
  });
});
