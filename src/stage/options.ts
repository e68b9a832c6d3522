import { InvalidArgumentError } from '@commander-js/extra-typings';
import { LEASE_MAX_MS, LEASE_MIN_MS } from '../model/config-schema.ts';
import { DURATION_WORDS, parseDuration } from '../model/units.ts';
import { MAX_MEMBERS } from './stage-file.ts';

/** Readers of what a person types, each with the words for what is wrong. */

export function readDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError(`Use ${DURATION_WORDS}.`);
  return ms;
}

export function readLease(text: string): number {
  const ms = readDuration(text);
  if (ms < LEASE_MIN_MS || ms > LEASE_MAX_MS) throw new InvalidArgumentError('Use 1s to 5m: a server times a lease no better.');
  return ms;
}

export function readMembers(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 2 || count > MAX_MEMBERS)
    throw new InvalidArgumentError(`Use 2 to ${MAX_MEMBERS}: one alone has nobody to fail over to.`);
  return count;
}

export function readCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('Use a whole number, at least 1.');
  return count;
}

export function readPort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError('Use a port, or 0 to have free ones found.');
  return port;
}
