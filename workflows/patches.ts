import { patched } from '@temporalio/workflow';

/**
 * Every change of the order of commands that a history may have been recorded without. Each asks once in a run, where the change first matters; it may go when no
 * run that began before its date is left (a group's run ends after some thousand events, an incident's with the incident).
 */

/** 2026-11-25: a group's search attributes are written only where one of them has changed, since each writing costs the server as much as a workflow task. */
export function attributesByChange(): boolean {
  return patched('attributes-by-change');
}

/**
 * 2026-11-25: an elected member's role is offered with its election, so that its lease goes on without a break: an order that came after the promotion could
 * come later than the promotion's lease ended.
 */
export function roleAtElection(): boolean {
  return patched('role-at-election');
}

/** 2026-11-25: a standby whose role ended in the middle of an incident, under the role that this incident gave it, is offered one again when the promotion is told. */
export function standbyOfferedAgain(): boolean {
  return patched('standby-offered-again');
}

/** 2026-11-25: a member that was perhaps opened, and turns out to live, is published like any other primary. */
export function perhapsPublished(): boolean {
  return patched('perhaps-published');
}

/** 2026-11-25: a primary whose role ends as soon as it is taken is offered it again with pauses while nobody may or can be promoted, not in a loop. */
export function offersSpaced(): boolean {
  return patched('offers-spaced');
}

/** 2026-11-25: a primary that was stopped for a switchover has seen the switchover's epoch, and is given its role back above it. */
export function givenBackAnew(): boolean {
  return patched('given-back-anew');
}

/** 2026-11-25: a group that begins beside members which have held roles asks first whether an incident of a former run is still at work. */
export function incidentsAskedFirst(): boolean {
  return patched('incidents-asked-first');
}

/** 2026-11-25: a refused switchover that hid the end of the primary's role leaves no other member without one. */
export function standbysAfterRefusal(): boolean {
  return patched('standbys-after-refusal');
}

/** 2026-11-25: a group that may know less than its members, since it was reset or restored, asks them before it orders, and begins anew from what they say. */
export function overtakenAsked(): boolean {
  return patched('overtaken-asked');
}

/** 2026-11-25: a primary that was seen to live out of sight is looked at anew where somebody no longer follows it, not once in a while. */
export function leftAloneQuietly(): boolean {
  return patched('left-alone-quietly');
}

/** 2026-11-25: a failover that accepts the loss is told to the incident that finds nobody without; before, it was refused until that had ended. */
export function lossAcceptedMeanwhile(): boolean {
  return patched('loss-accepted-meanwhile');
}
