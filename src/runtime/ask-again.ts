import { setTimeout as pause } from 'node:timers/promises';
import { QueryNotRegisteredError, type WorkflowClientInterceptor } from '@temporalio/client';
import { BETWEEN_TASKS } from '../model/name.ts';

/** A worker that fails is replaced by the next one after half a second (protocol 9); the call's own deadline holds besides. */
const ATTEMPTS = 30;
const PAUSE_MS = 100;

/** Asks a query again that came between events and the task that handles them: nothing is wrong, and the task is on its way. */
export const askAgain: WorkflowClientInterceptor = {
  async query(input, next) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await next(input);
      } catch (error) {
        // The SDK's client takes every failure of a query for one that nobody has registered.
        if (!(error instanceof QueryNotRegisteredError) || !error.message.includes(BETWEEN_TASKS) || attempt === ATTEMPTS) throw error;
        await pause(PAUSE_MS);
      }
    }
  },
};
