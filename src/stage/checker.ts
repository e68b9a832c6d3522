import type { ReaderLook } from './reader-log.ts';
import type { Acknowledgement } from './writer-log.ts';

/**
 * Judges what a fault did to those who write. It trusts nobody: it knows the writers' logs, what the members answer at the end, and
 * the rules. It never asks Understudy.
 */

/** A row that a member has. */
export interface Row {
  readonly by: string;
  readonly id: number;
}

/** A fault, as the one who made it noted it. */
export interface FaultMark {
  readonly name: string;
  /** Just before it was made. */
  readonly t0Ns: number;
  /** Who took writes then. */
  readonly oldPort: number;
}

export interface FaultVerdict {
  readonly name: string;
  /** From the fault to the first acknowledgement of the new primary, or of the old one started again; left out where there was none. */
  readonly firstWriteMs?: number;
  readonly newPort?: number;
  /**
   * The longest time between two acknowledgements, from the last one before the fault until the next fault: what the return of the old
   * primary costs is counted too. Where it is much longer than `firstWriteMs`, something stalled after the takeover.
   */
  readonly gapMs?: number;
  /** Acknowledged, and not there at the end: by the old primary before or after it fell, and since the fault before this one. */
  readonly lost: number;
  /** By the old primary, after the new one's first. */
  readonly lateAcknowledgements: number;
}

export interface MemberAnswer {
  readonly member: string;
  readonly inRecovery: boolean;
  readonly timeline: number;
  readonly rowCount: number;
  /** The same for the same rows, whatever their order. */
  readonly fingerprint: string;
}

const keyOf = ({ by, id }: Row): string => `${by}:${id}`;

/** Acknowledged writes that are not there. */
export function findLost(acknowledged: readonly Acknowledgement[], rows: readonly Row[]): Acknowledgement[] {
  const there = new Set(rows.map(keyOf));
  return acknowledged.filter((write) => !there.has(keyOf(write)));
}

/** Rows that are there more than once. Each was sent once: a second one means that something was applied twice. */
export function findDuplicates(rows: readonly Row[]): string[] {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const row of rows) (seen.has(keyOf(row)) ? twice : seen).add(keyOf(row));
  return [...twice].sort();
}

/** The longest time between two neighbours, in milliseconds; undefined where there are not two. */
export function longestGapMs(ns: readonly number[]): number | undefined {
  let longest: number | undefined;
  for (let i = 1; i < ns.length; i += 1) {
    const gap = ((ns[i] ?? 0) - (ns[i - 1] ?? 0)) / 1e6;
    if (longest === undefined || gap > longest) longest = gap;
  }
  return longest;
}

/**
 * What each fault did, in order of time.
 *
 * @param writes the acknowledgements of the writer that finds the primary by its name: the gap is its
 * @param pinned those of the writers that hold on to one member each: they see a zombie that the first never would
 */
export function judgeFaults(
  faults: readonly FaultMark[],
  writes: readonly Acknowledgement[],
  pinned: readonly Acknowledgement[],
  lost: readonly Acknowledgement[],
): FaultVerdict[] {
  const all = [...writes, ...pinned].sort((a, b) => a.ns - b.ns);
  return faults.map((fault, index) => {
    const endNs = faults[index + 1]?.t0Ns ?? Number.POSITIVE_INFINITY;
    const lostHere = lost.filter((write) => whoLost(write, faults) === index).length;
    const after = writes.filter((write) => write.ns >= fault.t0Ns && write.ns < endNs);
    const before = writes.findLast((write) => write.ns < fault.t0Ns);
    const first = after.find((write) => write.port !== fault.oldPort) ?? firstAfterGap(before === undefined ? after : [before, ...after]);
    if (first === undefined) return { name: fault.name, lost: lostHere, lateAcknowledgements: 0 };
    // The new primary's first is the first that anybody saw: a pinned writer may have had it before the other found the name.
    const firstOfAll = all.find((write) => write.ns >= fault.t0Ns && write.ns < endNs && write.port !== fault.oldPort) ?? first;
    const late = first.port === fault.oldPort ? 0 : all.filter((write) => write.port === fault.oldPort && write.ns > firstOfAll.ns && write.ns < endNs).length;
    const gapMs = longestGapMs((before === undefined ? after : [before, ...after]).map((write) => write.ns));
    return {
      name: fault.name,
      firstWriteMs: (first.ns - fault.t0Ns) / 1e6,
      newPort: first.port,
      ...(gapMs === undefined ? {} : { gapMs }),
      lost: lostHere,
      lateAcknowledgements: late,
    };
  });
}

/** Where the same member goes on, which was started again in its place: the write that ends the longest gap. */
function firstAfterGap(writes: readonly Acknowledgement[]): Acknowledgement | undefined {
  let found: Acknowledgement | undefined;
  let longestNs = 0;
  for (let i = 1; i < writes.length; i += 1) {
    const [one, next] = [writes[i - 1], writes[i]];
    if (one === undefined || next === undefined || next.ns - one.ns <= longestNs) continue;
    longestNs = next.ns - one.ns;
    found = next;
  }
  return found;
}

/** Which fault a lost write belongs to: the one that its server had fallen by already, else the one that came next. */
function whoLost(write: Acknowledgement, faults: readonly FaultMark[]): number {
  const before = faults.findLastIndex((fault) => fault.t0Ns <= write.ns);
  if (before >= 0 && faults[before]?.oldPort === write.port) return before;
  return Math.min(before + 1, faults.length - 1);
}

/**
 * Acknowledgements on a timeline that another member had left behind by then: it had acknowledged on a later one. Two members took writes at once, or
 * one after the other in the wrong order (I1). Holds for any number of faults, whoever was the primary in between.
 */
export function findOvertaken(acknowledged: readonly Acknowledgement[]): Acknowledgement[] {
  const overtaken: Acknowledgement[] = [];
  let highest: { timeline: number; port: number } | undefined;
  for (const write of acknowledged.toSorted((a, b) => a.ns - b.ns)) {
    const { timeline, port } = write;
    if (timeline === undefined) continue;
    if (highest !== undefined && (timeline < highest.timeline || (timeline === highest.timeline && port !== highest.port))) overtaken.push(write);
    else highest = { timeline, port };
  }
  return overtaken;
}

/** Looks at a member that was still open after another one was, on a later timeline: it was asked after the other's answer was there (I1). */
export function findZombieLooks(looks: readonly ReaderLook[]): ReaderLook[] {
  const zombies: ReaderLook[] = [];
  const open = looks.filter((look) => look.open).toSorted((a, b) => a.ns - b.ns);
  for (const look of open) {
    const before = open.filter((other) => other.ns < look.askedNs && other.port !== look.port);
    if (before.some((other) => other.timeline >= look.timeline)) zombies.push(look);
  }
  return zombies;
}

/** What is wrong with the members at the end, in words; nothing where all is well. */
export function judgeMembers(answers: readonly MemberAnswer[]): string[] {
  const wrong: string[] = [];
  const open = answers.filter((answer) => !answer.inRecovery).map((answer) => answer.member);
  if (open.length !== 1) wrong.push(`exactly one member must be out of recovery, and ${open.length === 0 ? 'none is' : `${open.join(', ')} are`}`);
  const timelines = new Set(answers.map((answer) => answer.timeline));
  if (timelines.size > 1) wrong.push(`the members are on different timelines: ${answers.map((answer) => `${answer.member} ${answer.timeline}`).join(', ')}`);
  const contents = new Set(answers.map((answer) => answer.fingerprint));
  if (contents.size > 1) wrong.push(`the members have different rows: ${answers.map((answer) => `${answer.member} ${answer.rowCount}`).join(', ')}`);
  return wrong;
}
