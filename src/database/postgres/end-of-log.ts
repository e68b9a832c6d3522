import { open, readdir } from 'node:fs/promises';
import { UnderstudyError } from '../../model/error.ts';
import { lsnToBigInt, type Lsn } from '../../model/lsn.ts';
import { readControl, type Control } from './control.ts';
import { exists, isErrno } from './file.ts';
import type { Place } from './place.ts';
import { runTool } from './tool.ts';

const SHORT_PAGE_HEADER = 24;
const LONG_PAGE_HEADER = 40;
const ALIGNMENT = 8n;

/**
 * The end of a stopped member's log: the place right after its last record, which is what a standby that has received all of it
 * reports as received (`pg_last_wal_receive_lsn`), and what the next timeline's history names as the fork. The three compare directly.
 *
 * After an orderly stop the last record is the shutdown checkpoint, whose length stands in the log itself. Otherwise pg_waldump reads
 * on to the first place that holds no valid record, as crash recovery would.
 */
export async function findEndOfLog(place: Place, signal: AbortSignal): Promise<{ timeline: number; lsn: Lsn } | undefined> {
  const control = await readControl(place, signal);
  if (control.state === 'shut down') {
    const lsn = await endOfRecord(place, control, control.checkpointTimeline, control.checkpointLsn);
    return lsn === undefined ? undefined : { timeline: control.checkpointTimeline, lsn };
  }
  if (await holdsNewerTimeline(place, control.timeline)) return undefined;
  const from = control.checkpointTimeline === control.timeline ? control.redoLsn : control.minRecoveryLsn;
  const lsn = await lastValid(place, control.timeline, from, signal);
  return lsn === undefined ? undefined : { timeline: control.timeline, lsn };
}

/** Log received on a timeline that the control file does not know yet: where it ends is not told by one walk. */
async function holdsNewerTimeline(place: Place, timeline: number): Promise<boolean> {
  const names = await readdir(place.data('pg_wal'));
  return names.some((name) => /^[0-9A-F]{24}(\.partial)?$/.test(name) && Number.parseInt(name.slice(0, 8), 16) > timeline);
}

export function segmentName(timeline: number, at: bigint, segmentBytes: number): string {
  const number = at / BigInt(segmentBytes);
  const perHigh = 0x1_0000_0000n / BigInt(segmentBytes);
  const hex = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, '0');
  return hex(BigInt(timeline)) + hex(number / perHigh) + hex(number % perHigh);
}

async function endOfRecord(place: Place, control: Control, timeline: number, lsn: Lsn): Promise<Lsn | undefined> {
  const at = lsnToBigInt(lsn);
  const { segmentBytes, walBlockBytes } = control;
  const file = place.data('pg_wal', segmentName(timeline, at, segmentBytes));
  let totalBytes: number;
  try {
    const handle = await open(file, 'r');
    try {
      // A record begins with its total length; records are aligned, so that these bytes lie on one page.
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, Number(at % BigInt(segmentBytes)));
      if (bytesRead < 4) return undefined;
      totalBytes = buffer.readUInt32LE(0);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  if (totalBytes < 24 || totalBytes > 1024) {
    throw new UnderstudyError(
      'DatabaseFailed',
      `the shutdown checkpoint of ${place.member.name} at ${lsn} has an impossible length of ${totalBytes} bytes: its log is damaged`,
    );
  }
  return printLsn(endAfter(at, totalBytes, walBlockBytes, segmentBytes));
}

/** Where a record of that length ends: aligned, and past the header of each page that it goes on to. */
export function endAfter(at: bigint, totalBytes: number, blockBytes: number, segmentBytes: number): bigint {
  let left = ((BigInt(totalBytes) + ALIGNMENT - 1n) / ALIGNMENT) * ALIGNMENT;
  let end = at;
  for (;;) {
    const room = BigInt(blockBytes) - (end % BigInt(blockBytes));
    if (left <= room) return end + left;
    left -= room;
    end += room;
    end += BigInt(end % BigInt(segmentBytes) === 0n ? LONG_PAGE_HEADER : SHORT_PAGE_HEADER);
  }
}

export function printLsn(at: bigint): Lsn {
  return `${(at >> 32n).toString(16).toUpperCase()}/${(at & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

const WALDUMP_LIMIT_MS = 60_000;

async function lastValid(place: Place, timeline: number, from: Lsn, signal: AbortSignal): Promise<Lsn | undefined> {
  if (!(await exists(place.tool('pg_waldump')))) return undefined;
  const answer = await runTool(place, 'pg_waldump', ['-q', '-p', place.data('pg_wal'), '-t', String(timeline), '-s', from], {
    signal,
    timeoutMs: WALDUMP_LIMIT_MS,
  });
  // "error in WAL record at 0/3000148: invalid record length at 0/3000180: expected at least 24, got 0": the record before it was the last.
  const match = /error in WAL record at ([0-9A-F]+\/[0-9A-F]+): .*? at ([0-9A-F]+\/[0-9A-F]+)/.exec(answer.stderr);
  return match?.[2];
}
