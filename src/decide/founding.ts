import type { GroupSpec } from '../model/group.ts';
import type { MemberReport } from '../model/member.ts';
import type { Answer } from './election.ts';

export interface FoundingInput {
  readonly spec: GroupSpec;
  readonly answers: readonly Answer[];
  /** Silent members that a person has said to begin without. */
  readonly without?: readonly string[];
}

export type Founding =
  /** Every directory is empty: this member makes the database, at epoch 1. */
  | { readonly begin: 'found'; readonly primary: string; readonly epoch: number; readonly words: string }
  /** This member has the database, or is the primary already: its role is offered to it at this epoch. */
  | { readonly begin: 'adopt'; readonly primary: string; readonly epoch: number; readonly words: string }
  | { readonly begin: 'wait'; readonly words: string; readonly missing: readonly string[] }
  | { readonly begin: 'refuse'; readonly words: string };

/** The epoch that a group begins with, whether it makes a database or adopts one that no agent has held before. */
export const FIRST_EPOCH = 1;

/**
 * How a group begins, or is taken up again beside running members (protocol 8).
 *
 * A running primary that still holds a lease at the highest epoch is adopted without waiting for the silent: nobody can have been promoted
 * after it, since its lease would have had to run out first. One that others have seen a later epoch than, of a promotion that was refused, is adopted
 * above that epoch, where every member says that it was not opened at it. In every other case a silent member may hold the database, or a later epoch, and is
 * waited for.
 */
export function decideFounding(input: FoundingInput): Founding {
  const names = input.spec.members.map((member) => member.name);
  const reports = names.flatMap((name) => input.answers.flatMap((answer) => (answer.member === name && 'report' in answer ? [answer.report] : [])));
  const missing = names.filter((name) => !reports.some((report) => report.member === name));
  const epoch = Math.max(0, ...reports.map((report) => report.epoch));

  const clusters = distinct(reports.map((report) => report.cluster));
  if (clusters.length > 1)
    return refuse(`the agents belong to different Temporal namespaces or clusters: ${list(reports, (report) => report.cluster)}. Point them all to one`);
  const writable = reports.filter(isWritable);
  if (writable.length > 1)
    return refuse(`${writable.map((report) => report.member).join(' and ')} can both write. Stop the one that is wrong; nothing is touched until then`);

  const running = writable[0];
  if (running !== undefined && running.epoch > 0 && (running.leaseLeftMs ?? 0) > 0) {
    return running.epoch === epoch ? adopt(running, epoch, `it is the running primary of epoch ${epoch}, under its lease`) : above(running, reports, missing);
  }
  const waited = missing.filter((name) => !(input.without ?? []).includes(name));
  if (waited.length > 0) {
    const words = `${waited.join(', ')} ${waited.length === 1 ? 'has' : 'have'} not answered, and may hold the database or a later epoch. Start the agents, or begin without them: understudy begin ${input.spec.name} --without ${waited.join(' ')}`;
    return { begin: 'wait', words, missing: waited };
  }
  return amongAll(reports, running, epoch, input);
}

function amongAll(reports: readonly MemberReport[], running: MemberReport | undefined, epoch: number, { spec }: FoundingInput): Founding {
  const foreign = reports.filter((report) => report.footprint.state === 'foreign');
  const withData = reports.filter((report) => report.footprint.state === 'data' || report.live !== undefined);
  const torn = reports.filter((report) => report.footprint.state === 'torn');
  const systems = distinct(withData.map(systemOf));
  // A group that is taken up again goes on with its primary; what is wrong on another member shows when that one's role begins.
  if (epoch === 0 && foreign.length > 0)
    return refuse(
      `the data directory of ${list(foreign, (report) => (report.footprint.state === 'foreign' ? `holds ${report.footprint.found}` : ''))}, which is no database of this kind. Empty it, or name another`,
    );
  if (systems.length > 1)
    return refuse(`the members hold different databases: ${list(withData, (report) => `system ${systemOf(report)}`)}. Empty the directories that are wrong`);
  if (withData.length === 0) {
    if (epoch > 0)
      return refuse(`epoch ${epoch} has been seen here, but no member holds the database any more. Restore a backup into one member, then begin again`);
    if (torn.length > 0)
      return refuse(
        `${torn.map((report) => report.member).join(', ')} hold${torn.length === 1 ? 's' : ''} an unfinished copy, and no member a whole database. Empty the directory, or restore a backup`,
      );
    return foundBy(reports, spec);
  }
  const able = running !== undefined ? [running] : withData.filter(couldBePrimary);
  const holders = able.filter((report) => report.epoch === epoch);
  const chosen = holders.length > 1 ? holders.filter((report) => report.role === 'primary') : holders;
  const [primary] = chosen;
  if (chosen.length > 1 || (primary === undefined && holders.length > 1)) {
    const which = (chosen.length > 1 ? chosen : holders).map((report) => report.member);
    return refuse(`${which.join(' and ')} could each be the primary of epoch ${epoch}. Make all but one a standby, or empty their directories`);
  }
  if (primary === undefined) {
    const [late] = able;
    if (late !== undefined) return behind(late, reports, epoch);
    return refuse(
      `every copy is a standby's: ${list(withData, (report) => `timeline ${timelineOf(report)}`)}. Start the old primary, or promote one by hand and begin again`,
    );
  }
  const ahead = withData.filter((report) => timelineOf(report) > timelineOf(primary));
  if (ahead.length > 0)
    return refuse(
      `${list(ahead, (report) => `timeline ${timelineOf(report)}`)} is later than that of ${primary.member}, timeline ${timelineOf(primary)}, which holds epoch ${epoch}. Empty the directory that is wrong`,
    );
  const how = running === undefined ? 'it holds the database' : 'its database is running';
  return adopt(primary, epoch, epoch === 0 ? `${how}, and no other member can be primary` : `${how}, and it holds epoch ${epoch}, the highest seen`);
}

function foundBy(reports: readonly MemberReport[], spec: GroupSpec): Founding {
  const here = spec.members.filter((member) => reports.some((report) => report.member === member.name));
  const first = [...here].sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1))[0];
  if (first === undefined) return { begin: 'wait', words: 'the group has no members that answer', missing: spec.members.map((member) => member.name) };
  return {
    begin: 'found',
    primary: first.name,
    epoch: FIRST_EPOCH,
    words: `every data directory is empty; ${first.name} comes first by priority, then by name`,
  };
}

function adopt(primary: MemberReport, epoch: number, words: string): Founding {
  return { begin: 'adopt', primary: primary.member, epoch: Math.max(FIRST_EPOCH, epoch), words: `${primary.member} is adopted: ${words}` };
}

/** Others have seen a later epoch than the running primary: it goes on above that epoch, unless one of them may have taken writes at it. */
function above(running: MemberReport, reports: readonly MemberReport[], missing: readonly string[]): Founding {
  const epoch = Math.max(...reports.map((report) => report.epoch));
  const later = reports.filter((report) => report.epoch > running.epoch);
  if (!later.every((report) => isUntouched(report, running))) return behind(running, reports, epoch);
  const seen = `${later.map((report) => report.member).join(', ')} ${later.length === 1 ? 'has' : 'have'} seen epoch ${epoch}`;
  if (missing.length > 0) {
    const words = `${running.member} is the running primary of epoch ${running.epoch}, but ${seen}, and ${missing.join(', ')} may have been promoted at it. Start the agents that have not answered`;
    return { begin: 'wait', words, missing };
  }
  return adopt(running, epoch + 1, `it is the running primary, under its lease; ${seen}, nobody was opened at it, and it goes on above it`);
}

/** Still a standby's copy of what this primary writes: no promotion has opened it since. */
function isUntouched(report: MemberReport, primary: MemberReport): boolean {
  const isStandby = report.live?.inRecovery ?? (report.footprint.state === 'data' && report.footprint.standby);
  const isLeased = report.role === 'primary' || (report.leaseLeftMs ?? 0) > 0;
  return (
    isStandby &&
    !isLeased &&
    report.opened !== undefined &&
    report.opened <= primary.epoch &&
    systemOf(report) === systemOf(primary) &&
    timelineOf(report) === timelineOf(primary)
  );
}

/** The one that could be primary has not seen the latest epoch: somebody was promoted, or was about to be, after it. */
function behind(late: MemberReport, reports: readonly MemberReport[], epoch: number): Founding {
  const later = reports.filter((report) => report.epoch === epoch).map((report) => report.member);
  return refuse(
    `${late.member} could be primary, but has seen only epoch ${late.epoch}, and ${later.join(', ')} epoch ${epoch}. Find out which of them took the last writes before you begin`,
  );
}

function isWritable(report: MemberReport): boolean {
  return report.live !== undefined && !report.live.inRecovery;
}

/** Its next start would be as a primary, or its agent held that role last. */
function couldBePrimary(report: MemberReport): boolean {
  return report.live === undefined && report.footprint.state === 'data' && !report.footprint.standby;
}

function systemOf({ live, footprint }: MemberReport): string {
  return live?.systemId ?? (footprint.state === 'data' ? footprint.systemId : '');
}

function timelineOf({ live, footprint }: MemberReport): number {
  return live?.timeline ?? (footprint.state === 'data' ? footprint.timeline : 0);
}

function refuse(words: string): Founding {
  return { begin: 'refuse', words };
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)];
}

function list(reports: readonly MemberReport[], words: (report: MemberReport) => string): string {
  return reports.map((report) => `${report.member} (${words(report)})`).join(', ');
}
