import { type Row, findDuplicates, findLost, findOvertaken, findZombieLooks, longestGapMs } from '../stage/checker.ts';
import type { Acknowledgement } from '../stage/writer-log.ts';
import { type Drill, type Ending, gapLimitMs } from './drill.ts';
import type { Seen } from './witnesses.ts';

/** What a drill came to, by the witnesses' logs and the rows that are there at its end. */
export interface Evidence {
  readonly seen: Seen;
  /** Of the primary at the end; undefined where there was none to ask. */
  readonly rows: readonly Row[] | undefined;
  readonly t0Ns: number;
  readonly endNs: number;
  readonly oldPort: number;
  /** Who is open at the end. */
  readonly newPort: number | undefined;
  readonly leaseMs: number;
  readonly durability: 'sync' | 'async';
  /** Of the member that a person opened by hand. */
  readonly strayedPort?: number;
}

export interface Judged {
  readonly ending: Exclude<Ending, 'either'> | 'nobody is open';
  readonly gapMs: number | undefined;
  /** Acknowledged, and not there at the end. */
  readonly lost: number;
  /** By a member that another had overtaken, acknowledgements and answers together. */
  readonly late: number;
  /** Each broken rule in words; empty where all were kept. */
  readonly wrong: readonly string[];
}

/** Judges by what was seen from outside alone. It never asks Understudy. */
export function judgeDrill(drill: Drill, evidence: Evidence): Judged {
  const { seen, rows, t0Ns, endNs, oldPort, newPort, leaseMs, durability, strayedPort } = evidence;
  const within = ({ ns }: { readonly ns: number }): boolean => ns >= t0Ns && ns <= endNs;
  const counted = (write: { readonly ns: number; readonly port: number }): boolean => write.port !== strayedPort || write.ns < t0Ns;
  const acknowledged = [...seen.writes, ...seen.beside].filter(counted);
  const overtaken = findOvertaken(acknowledged).filter(within);
  const zombies = findZombieLooks(seen.looks.filter((look) => look.ns >= t0Ns - MINUTE_NS && counted(look))).filter(within);
  const lost = rows === undefined ? [] : findLost(acknowledged, rows);
  const duplicates = rows === undefined ? [] : findDuplicates(rows);
  const unseen = rows === undefined ? [] : vanished(seen, rows, endNs, strayedPort);
  const gapMs = gapOf(seen.writes, t0Ns, endNs);
  const ending =
    newPort === undefined ? 'nobody is open' : newPort === oldPort && !movedBetween(seen.writes, t0Ns, endNs, oldPort) ? 'no failover' : 'failover';
  const limitMs = gapLimitMs(drill.gap, leaseMs);
  const wrong: string[] = [];
  if (overtaken.length > 0) wrong.push(`I1: ${overtaken.length} writes were acknowledged by a member that another had overtaken`);
  if (zombies.length > 0) wrong.push(`I1: a member said ${zombies.length} times that it is open after another had taken over`);
  if (durability === 'sync' && lost.length > 0) wrong.push(`I2: ${lost.length} acknowledged writes are lost, the first is ${lost[0]?.by}:${lost[0]?.id}`);
  if (durability === 'sync' && unseen.length > 0) wrong.push(`I2: a reader saw ${unseen.length} times what is not there at the end`);
  if (duplicates.length > 0) wrong.push(`${duplicates.length} writes are there twice, the first is ${duplicates[0]}`);
  if (drill.ending !== 'either' && ending !== drill.ending) wrong.push(`${drill.ending} was to be, and it was: ${ending}`);
  if (gapMs === undefined) wrong.push('nobody took writes again');
  else if (limitMs !== undefined && gapMs > limitMs) wrong.push(`writes stood still for ${Math.round(gapMs)} ms, and at most ${limitMs} ms were allowed`);
  return { ending, gapMs, lost: lost.length, late: overtaken.length + zombies.length, wrong };
}

const MINUTE_NS = 60e9;

/** From the last acknowledgement before the fault on. A silence that lasts at the end counts as one. */
function gapOf(writes: readonly Acknowledgement[], t0Ns: number, endNs: number): number | undefined {
  const before = writes.findLast((write) => write.ns < t0Ns);
  const after = writes.filter((write) => write.ns >= t0Ns && write.ns <= endNs);
  if (before === undefined || after.length === 0) return undefined;
  return longestGapMs([before.ns, ...after.map(({ ns }) => ns), endNs]);
}

/** Another member took writes in between, though the old one has them back. */
function movedBetween(writes: readonly Acknowledgement[], t0Ns: number, endNs: number, oldPort: number): boolean {
  return writes.some((write) => write.ns >= t0Ns && write.ns <= endNs && write.port !== oldPort);
}

/** A row that a reader saw on an open member was acknowledged, or about to be. */
function vanished(seen: Seen, rows: readonly Row[], endNs: number, strayedPort: number | undefined): number[] {
  const there = new Set(rows.filter(({ by }) => by === 'writer').map(({ id }) => id));
  return seen.looks.flatMap(({ top, ns, port }) => (top === undefined || ns > endNs || port === strayedPort || there.has(top) ? [] : [top]));
}
