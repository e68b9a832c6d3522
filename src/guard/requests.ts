import { UnderstudyError } from '../model/error.ts';
import type { LaunchSpec, RequestLine } from './messages.ts';

/**
 * Reads one line of a client. Checked by hand: the guard is kept small, and what it is told to run it must be able to trust.
 *
 * @throws UnderstudyError `BadInput` where it is no request
 */
export function parseRequest(line: string): RequestLine {
  const value = parseJson(line);
  if (!isObject(value) || typeof value['id'] !== 'number') throw bad('no request: an object with an id is wanted');
  switch (value['ask']) {
    case 'status':
      break;
    case 'hello':
      if (typeof value['own'] !== 'boolean' || !isWhole(value['pid'])) throw bad('hello: own and pid are wanted');
      break;
    case 'start':
      if (!isLaunch(value['launch'])) throw bad('start: the launch is not complete');
      if (value['epoch'] !== undefined && !isWhole(value['epoch'])) throw bad('start: the epoch is no whole number');
      break;
    case 'extend':
      if (!isWhole(value['epoch']) || !isInstant(value['deadlineMs']) || !isInstant(value['fenceBeforeMs']))
        throw bad('extend: epoch, deadlineMs and fenceBeforeMs are wanted');
      break;
    case 'fence':
      if ((value['mode'] !== 'fast' && value['mode'] !== 'immediate') || !isInstant(value['limitMs']) || typeof value['why'] !== 'string')
        throw bad('fence: mode, limitMs and why are wanted');
      break;
    default:
      throw bad(`unknown request ${JSON.stringify(value['ask'])}, perhaps from a newer version`);
  }
  return value as unknown as RequestLine;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) throw bad('no JSON');
    throw error;
  }
}

function isLaunch(value: unknown): value is LaunchSpec {
  if (!isObject(value) || !isObject(value['env']) || !isObject(value['stopSignals'])) return false;
  const { command, env, cwd, user, logFile, stopSignals } = value;
  const commandOk = Array.isArray(command) && command.length > 0 && command.every((word) => typeof word === 'string');
  const userOk = user === undefined || (isObject(user) && isWhole(user['uid']) && isWhole(user['gid']));
  const { fast, immediate } = stopSignals as Record<string, unknown>;
  const signalsOk = (fast === 'SIGINT' || fast === 'SIGTERM') && (immediate === 'SIGQUIT' || immediate === 'SIGKILL');
  return (
    commandOk &&
    userOk &&
    signalsOk &&
    typeof cwd === 'string' &&
    typeof logFile === 'string' &&
    Object.values(env as object).every((word) => typeof word === 'string')
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function bad(words: string): UnderstudyError {
  return new UnderstudyError('BadInput', words);
}
