import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { UnderstudyError } from '../../model/error.ts';
import { makeZone } from './zone.ts';
import type { Zone } from './zone.ts';

/** The zone as the last run left it; undefined where there was none. @throws UnderstudyError `BadInput` for another zone's, or what is none */
export function loadZone(file: string, origin: string): Zone | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines[0]?.startsWith(`${origin} `) !== true)
    throw new UnderstudyError('BadInput', `${file} holds no records of zone ${origin}: give it its own state file`, { file });
  return makeZone(origin, lines);
}

/**
 * Replaces the file in one step, so that a server killed half way finds the old one or the new one. It is not forced to the disk:
 * it outlives the process, and what a power cut takes from a development server is no loss.
 */
export function saveZone(file: string, zone: Zone): void {
  writeFileSync(`${file}.new`, `${zone.lines().join('\n')}\n`);
  renameSync(`${file}.new`, file);
}
