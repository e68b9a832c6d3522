import {
  type WorkflowClient,
  QueryNotRegisteredError,
  QueryRejectedError,
  ServiceError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  isGrpcServiceError,
} from '@temporalio/client';
import { ApplicationFailure, NamespaceNotFoundError, WorkflowNotFoundError } from '@temporalio/common';
import { BETWEEN_TASKS } from '../model/name.ts';
import { OperatorError } from './operator-error.ts';

/** gRPC's codes that matter here. @see https://grpc.io/docs/guides/status-codes/ */
const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const FAILED_PRECONDITION = 9;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/** What an operator needs to hear of Temporal's errors; undefined where nobody has foreseen this one. */
export function explainTemporal(error: unknown, asked: string, client: WorkflowClient): OperatorError | undefined {
  if (error instanceof OperatorError) return error;
  if (error instanceof WorkflowNotFoundError) return missing(asked, error);
  if (error instanceof NamespaceNotFoundError) {
    return new OperatorError({ kind: 'failed' }, `Temporal has no namespace ${error.namespace}`, {
      next: 'name another by temporal.namespace or TEMPORAL_NAMESPACE',
      cause: error,
    });
  }
  if (error instanceof QueryNotRegisteredError && error.message.includes(BETWEEN_TASKS)) {
    return unseen(`${asked}: no answer yet`, 'ask again in a moment; if it stays so, is a worker running (understudy worker)?', error, error.message);
  }
  if (error instanceof QueryNotRegisteredError || error instanceof QueryRejectedError) {
    return new OperatorError({ kind: 'failed' }, `${asked}: it does not answer this question`, {
      why: `${error.message}; it was started by another program, or by another version`,
      cause: error,
    });
  }
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) {
    return unseen(
      `${asked}: no worker has answered in time; the word may still be heeded when one does`,
      'start a worker (understudy worker), then see by understudy status whether it was',
      error,
    );
  }
  if (error instanceof WorkflowUpdateFailedError) return ofUpdate(error, asked);
  return ofService(error, asked, client);
}

function ofUpdate(error: WorkflowUpdateFailedError, asked: string): OperatorError {
  const { cause } = error;
  if (cause instanceof ApplicationFailure && cause.type === 'Refused') {
    const [detail] = (cause.details ?? []) as { rule?: string; override?: string }[];
    const rule = detail?.rule ?? 'unnamed';
    const next = commandOf(detail?.override);
    return new OperatorError({ kind: 'refused', rule, ...(next === undefined ? {} : { override: next }) }, `refused by the rule ${rule}`, {
      why: cause.message,
      ...(next === undefined ? {} : { next }),
      cause: error,
    });
  }
  return new OperatorError({ kind: 'failed' }, `${asked}: the workflow could not do it`, { why: cause?.message ?? error.message, cause: error });
}

/** A rule names its override as a command, or as an option of the command that it has refused. */
function commandOf(override: string | undefined): string | undefined {
  return override?.startsWith('--') === true ? `the same command with ${override}` : override;
}

function ofService(error: unknown, asked: string, client: WorkflowClient): OperatorError | undefined {
  const grpc = error instanceof ServiceError ? error.cause : error;
  if (!isGrpcServiceError(grpc)) return undefined;
  const { code, details } = grpc;
  const { namespace } = client.options;
  switch (code) {
    case DEADLINE_EXCEEDED:
    case CANCELLED:
      return unseen(`${asked}: no answer in time`, 'is a worker running (understudy worker), and Temporal reachable (understudy doctor)?', error);
    case NOT_FOUND:
      return missing(asked, error);
    case FAILED_PRECONDITION:
      if (/failed state/i.test(details)) {
        return new OperatorError({ kind: 'failed' }, `${asked}: its workflow's tasks fail, so that nothing is decided`, {
          why: details,
          next: "see why in the workers' log. Where no worker's version can go on with this history: see that no incident of it runs, `temporal workflow terminate` it, then `understudy apply`: it is taken up again beside its running members",
          cause: error,
        });
      }
      // Temporal answers so at once where it has seen no worker for minutes.
      return unseen(`${asked}: no worker answers`, 'start one: understudy worker', error, details);
    case UNAVAILABLE:
      return unseen(`${asked}: Temporal cannot be reached`, 'understudy doctor', error, details);
    case PERMISSION_DENIED:
    case UNAUTHENTICATED:
      return new OperatorError({ kind: 'failed' }, `${asked}: Temporal does not allow it in namespace ${namespace}`, {
        why: details,
        next: 'look at the certificate or API key of the profile in use: understudy doctor',
        cause: error,
      });
    default:
      return new OperatorError({ kind: 'failed' }, `${asked}: Temporal refused the call`, { why: details, cause: error });
  }
}

function missing(asked: string, cause: unknown): OperatorError {
  return new OperatorError({ kind: 'missing' }, `${asked}: Temporal has no such workflow, or none that still runs`, {
    next: 'understudy status, or understudy incidents GROUP, name those that are there',
    cause,
  });
}

function unseen(what: string, next: string, cause: unknown, why?: string): OperatorError {
  return new OperatorError({ kind: 'unseen' }, what, { next, cause, ...(why === undefined ? {} : { why }) });
}
