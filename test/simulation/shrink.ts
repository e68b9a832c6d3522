import { play, type Played } from './play.ts';
import type { Schedule } from './schedule.ts';

/**
 * The least of a schedule that still breaks the same rule: faults are left out one after another, then made shorter, for as long as it does.
 * Chance falls otherwise with each of them gone, so that each is tried under a few more seeds for delays.
 */
export function shrink(schedule: Schedule, rule: string): { readonly schedule: Schedule; readonly tries: number } {
  let least = schedule;
  let tries = 0;
  const breaks = (one: Schedule): boolean => {
    tries += 1;
    return play(one).violation?.rule === rule;
  };
  for (let smaller = true; smaller;) {
    smaller = false;
    for (let i = least.faults.length - 1; i >= 0; i -= 1) {
      const faults = least.faults.filter((_, at) => at !== i);
      const found = [least.seed, ...OTHER_SEEDS.map((add) => least.seed + add)].map((seed) => ({ ...least, seed, faults })).find(breaks);
      if (found === undefined) continue;
      least = found;
      smaller = true;
    }
  }
  return { schedule: least, tries };
}

const OTHER_SEEDS = [1_000_003, 2_000_003, 3_000_017];

/** As people read it: what it begins with, what goes wrong and when, what breaks, and everything that happened. */
export function tell(schedule: Schedule, played: Played): string {
  const { spec, faults, early } = schedule;
  const head = [
    `seed ${schedule.seed}: ${spec.members.length} members, lease ${spec.leaseMs} ms, durability ${JSON.stringify(spec.durability)}, minInterval ${spec.policy.minIntervalMs} ms${early ? ', faults from the beginning' : ''}`,
    ...faults.map((fault) => `  ${String(fault.atMs).padStart(6)} ms  ${fault.kind} (${fault.who}), for ${fault.forMs} ms`),
    played.violation === undefined ? 'nothing is broken' : `broken: ${played.violation.rule}: ${played.violation.words}`,
  ];
  return `${head.join('\n')}\n\n${played.story.map((line) => line.slice(0, 260)).join('\n')}\n`;
}
