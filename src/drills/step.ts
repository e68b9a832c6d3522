import type { Direction } from './network.ts';
import { type Rig, MEMBERS } from './rig.ts';

/** Something that is done to a stage. Its words stand in the log and in the failures. */
export interface Step {
  readonly words: string;
  run(rig: Rig, t0Ns: number): Promise<void>;
}

const step = (words: string, run: Step['run']): Step => ({ words, run });

export const kill = (target: string): Step => step(`kill -9 ${target}`, (rig) => rig.kill(target));
export const start = (part: string): Step => step(`start ${part}`, (rig) => rig.start(part));
export const freeze = (target: string): Step => step(`SIGSTOP ${target}`, async (rig) => rig.freeze(target));
export const thaw: Step = step('SIGCONT', async (rig) => rig.thawAll());
/** For so many leases. */
export const hold = (leases: number): Step => step(`wait ${leases} leases`, (rig) => rig.hold(leases * rig.leaseMs));
export const wait = (ms: number): Step => step(`wait ${ms} ms`, (rig) => rig.hold(ms));
export const untilTakenOver: Step = step('wait for another member to take the writes', (rig, t0Ns) => rig.untilTakenOver(t0Ns));
export const heal: Step = step('heal the network', (rig) => rig.network.healAll());
export const custom = (words: string, run: Step['run']): Step => step(words, run);

/** `*` is every other host; `members`, `standbys` are those. */
function resolve(rig: Rig, word: string, except: readonly string[]): string[] {
  if (word === '*') return rig.network.parts.filter((part) => !except.includes(part));
  if (word === 'members') return MEMBERS.filter((part) => !except.includes(part));
  if (word === 'standbys') return [rig.cast.standby1, rig.cast.standby2];
  return [rig.partOf(word)];
}

function directions(rig: Rig, from: string, to: string): Direction[] {
  const fixed = [from, to].filter((word) => word !== '*' && word !== 'members').flatMap((word) => resolve(rig, word, []));
  return resolve(rig, from, fixed).flatMap((one) => resolve(rig, to, fixed).flatMap((other): Direction[] => (one === other ? [] : [[one, other]])));
}

/** Nothing passes from the one to the other. */
export const cutOneWay = (from: string, to: string): Step => step(`cut ${from} → ${to}`, (rig) => rig.network.cut(directions(rig, from, to)));
/** Nothing passes between them. */
export const cut = (one: string, other: string): Step =>
  step(`cut ${one} ↔ ${other}`, (rig) => rig.network.cut([...directions(rig, one, other), ...directions(rig, other, one)]));
export const slow = (part: string, kilobits: number, queueMs: number): Step =>
  step(`slow ${part} to ${kilobits} kbit/s, ${queueMs} ms of queue`, (rig) => rig.network.slow(rig.partOf(part), kilobits, queueMs));

/** A link that comes and goes. */
export const flap = (part: string, times: number, offMs: number, onMs: number): Step =>
  step(`${times} times: cut ${part} from all for ${offMs} ms, then ${onMs} ms whole`, async (rig) => {
    const both = [...directions(rig, part, '*'), ...directions(rig, '*', part)];
    for (let turn = 0; turn < times; turn += 1) {
      await rig.network.cut(both);
      await rig.hold(offMs);
      await rig.network.heal(both);
      await rig.hold(onMs);
    }
  });
