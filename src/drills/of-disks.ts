import type { Drill } from './drill.ts';
import { sql } from './people.ts';
import type { Rig } from './rig.ts';
import { custom, freeze, hold, kill, start, thaw, untilTakenOver, wait } from './step.ts';

const kind = 'disks';
const fill = (word: string) => custom(`the disk of ${word} fills up`, async (rig) => rig.disks.fill(rig.partOf(word)));
const free = (word: string) => custom(`somebody makes room on the disk of ${word}`, async (rig) => rig.disks.free(rig.partOf(word)));
const breakDisk = (word: string) => custom(`the kernel makes the disk of ${word} read-only`, (rig) => rig.disks.breakDisk(rig.partOf(word)));
const repair = (word: string) => custom(`the disk of ${word} is repaired and mounted again`, (rig) => rig.disks.repair(rig.partOf(word)));
/** Each switch needs a new file of 16 MB. */
const needSegments = (word: string) =>
  custom(`${word} needs new WAL files`, async (rig, t0Ns) => {
    const more = sql(word, 'select pg_logical_emit_message(false, $$drill$$, repeat($$x$$, 1000000))', 'select pg_switch_wal()');
    for (let turn = 0; turn < 60; turn += 1) {
      try {
        await more.run(rig, t0Ns);
      } catch {
        // It has no room and says so, or is gone: just what was wanted.
        return;
      }
    }
  });

export const DISKS: readonly Drill[] = [
  {
    kind,
    name: "the primary's data disk is full",
    faults: [fill('primary'), sqlInsertMuch(), untilTakenOver],
    heal: [free('primary')],
    ending: 'failover',
    gap: 'lease',
    must: 'failover, cause disk-full; the old one follows when there is room',
    check: causeIs('disk-full'),
    mustNot: 'a primary that refuses writes and stays',
  },
  {
    kind,
    name: 'the primary has no room for new WAL',
    faults: [fill('primary'), needSegments('primary'), untilTakenOver],
    heal: [free('primary')],
    ending: 'failover',
    gap: 'lease',
    must: 'PostgreSQL stops itself; failover at once; the old one follows when there is room',
    mustNot: 'a loop of starts and crashes',
  },
  {
    kind,
    name: "the primary's disk turns read-only",
    faults: [breakDisk('primary'), untilTakenOver, wait(500), kill('primary')],
    heal: [repair('primary'), start('primary')],
    ending: 'failover',
    gap: 'lease',
    must: 'failover; the old one follows when its disk is repaired',
    mustNot: 'a primary that answers reads alone and stays',
  },
  {
    kind,
    name: "a standby's disk is full",
    faults: [fill('standby1'), needSegments('primary'), hold(2)],
    heal: [free('standby1')],
    ending: 'no failover',
    gap: 'short',
    incidents: 0,
    must: 'go on: the other standby confirms; it follows again when there is room',
    mustNot: 'a failover, or a wait for it',
  },
  {
    kind,
    name: "a standby's disk turns read-only",
    faults: [breakDisk('standby1'), needSegments('primary'), hold(2), kill('standby1')],
    heal: [repair('standby1'), start('standby1')],
    ending: 'no failover',
    gap: 'short',
    incidents: 0,
    must: 'go on: the other standby confirms; it follows again when its disk is repaired',
    mustNot: 'a failover, or a wait for it',
  },
  {
    kind,
    name: 'the whole database hangs (stopped) for longer than hungAfter',
    faults: [freeze('primary.database'), untilTakenOver],
    heal: [thaw],
    ending: 'failover',
    gap: 'fault',
    must: 'failover after policy.hungAfter (10 s), cause hung',
    check: causeIs('hung'),
    mustNot: 'a primary that holds its lease for ever and answers nobody',
  },
];

/** By the group's own word: the last incident began for just this. */
function causeIs(cause: string) {
  return async (rig: Rig): Promise<string[]> => {
    const last = (await rig.status()).incidents.at(-1);
    return last?.cause === cause ? [] : [`the cause was to be ${cause}, and the group says ${last?.cause ?? 'nothing'}`];
  };
}

/** Until the table needs a block more than there is. */
function sqlInsertMuch() {
  return custom('rows are written until the disk takes no more', async (rig, t0Ns) => {
    const more = sql(
      'primary',
      'create table if not exists filler (text text)',
      'insert into filler select repeat($$x$$, 1000) from generate_series(1, 20000)',
    );
    for (let turn = 0; turn < 10; turn += 1) {
      try {
        await more.run(rig, t0Ns);
      } catch {
        // It has no room and says so, or is gone: just what was wanted.
        return;
      }
    }
  });
}
