import { lookAt } from '../stage/member-answers.ts';
import type { Drill } from './drill.ts';
import { applyMinInterval, ask, endSecondWorker, secondWorker, sql } from './people.ts';
import { custom, cut, freeze, heal, hold, kill, start, thaw, untilTakenOver, wait } from './step.ts';
import type { Rig } from './rig.ts';

const kind = 'two things';
const TWO = 'two members that take writes; a lost write';

/** As soon as anybody else is open, and that is: in its promotion. */
const killWhoOpens = custom('kill the node of the member that opens', async (rig) => {
  let found = '';
  await rig.until(
    'a standby to open',
    async () => {
      for (const word of ['standby1', 'standby2']) {
        const look = await lookAt(rig.member(word));
        if (!('silent' in look) && !look.inRecovery) found = word;
      }
      return found === '' ? ['none does'] : [];
    },
    { everyMs: 1, limitMs: 20_000 },
  );
  rig.notes.set('opened', rig.partOf(found));
  await rig.kill(found);
});
const startWhoOpened = custom('start it again', async (rig) => rig.start(rig.notes.get('opened') as string));

/** More than sockets hold, so that it is surely not with them. */
const writeMuch = sql(
  'primary',
  'create table if not exists filler (text text)',
  'insert into filler select repeat(md5(i::text), 30) from generate_series(1, 40000) i',
);

const untilNobodyIsOpen = custom('wait until the old primary is closed', async (rig: Rig) => {
  await rig.until(
    'the old primary to be closed',
    async () => {
      const look = await lookAt(rig.member('primary'));
      return 'silent' in look || look.inRecovery ? [] : ['it is open'];
    },
    { everyMs: 1, limitMs: 20_000 },
  );
});

export const TWO_THINGS: readonly Drill[] = [
  {
    kind,
    name: 'the candidate dies in its promotion',
    faults: [kill('primary.postmaster'), killWhoOpens, hold(1)],
    heal: [startWhoOpened],
    ending: 'either',
    gap: 'fault',
    must: 'the third one opens, or the group says why not and waits for the dead one',
    mustNot: TWO,
  },
  {
    kind,
    name: 'the old primary returns in the middle of the failover',
    faults: [kill('primary'), hold(1), wait(100), start('primary'), untilTakenOver],
    heal: [],
    ending: 'failover',
    gap: 'lease',
    must: 'the failover goes on; the old one follows',
    mustNot: 'the old one opens by what it remembers',
  },
  {
    kind,
    name: 'a cut heals just as the lease runs out',
    faults: [cut('primary', '*'), hold(1), heal],
    heal: [],
    ending: 'either',
    gap: 'lease',
    must: 'one of them opens',
    mustNot: TWO,
  },
  {
    kind,
    name: 'both standbys lag behind, and the primary crashes',
    durability: 'async',
    faults: [freeze('standby1.database'), freeze('standby2.database'), writeMuch, hold(1), kill('primary.postmaster'), wait(1_000), thaw],
    heal: [],
    ending: 'no failover',
    gap: 'fault',
    must: 'the primary is started again in its place, which loses nothing',
    mustNot: 'a promotion that loses more than maxLag',
  },
  {
    kind,
    name: 'a second crash inside minInterval',
    before: [
      kill('primary.postmaster'),
      custom('wait until another one has taken over', async (rig) => {
        const { primary } = rig.cast;
        await rig.until('another member to be open', async () => ((await rig.openMembers()).some(({ name }) => name !== primary) ? [] : ['none is']));
      }),
      applyMinInterval(60_000),
    ],
    faults: [kill('primary.postmaster'), hold(2)],
    heal: [custom('wait until it has its role again', (rig) => rig.untilSteady(40_000)), applyMinInterval(0)],
    ending: 'no failover',
    gap: 'fault',
    must: 'held back, with its reason; the crashed one is started again in its place',
    mustNot: 'a second promotion inside minInterval',
  },
  {
    kind,
    name: 'Temporal dies in the middle of a failover',
    faults: [kill('primary.postmaster'), wait(100), kill('temporal'), hold(1)],
    heal: [start('temporal')],
    ending: 'either',
    gap: 'fault',
    must: 'the incident goes on where it was when Temporal is back',
    mustNot: TWO,
  },
  {
    kind,
    name: 'Temporal dies in the middle of a switchover',
    faults: [ask('switchover'), untilNobodyIsOpen, kill('temporal'), hold(1)],
    heal: [start('temporal')],
    ending: 'either',
    gap: 'fault',
    must: 'the switchover goes on, or the role is given back, when Temporal is back',
    mustNot: TWO,
  },
  {
    kind,
    name: 'the worker dies in the middle of a switchover',
    faults: [ask('switchover'), untilNobodyIsOpen, kill('worker'), start('worker')],
    heal: [],
    ending: 'either',
    gap: 'fault',
    must: 'the switchover goes on, or the role is given back',
    mustNot: TWO,
  },
  {
    kind,
    name: 'a switchover, with nothing else',
    faults: [ask('switchover'), untilTakenOver],
    heal: [],
    ending: 'failover',
    gap: 'short',
    must: 'the roles are swapped',
    mustNot: TWO,
  },
  {
    kind,
    name: 'the worker is upgraded in the middle of a failover: two side by side',
    faults: [secondWorker, kill('primary.postmaster'), wait(150), kill('worker'), untilTakenOver],
    heal: [start('worker'), endSecondWorker],
    ending: 'failover',
    gap: 'lease',
    must: 'the other worker goes on',
    mustNot: 'a step that is done twice',
  },
  {
    kind,
    name: 'primary and Temporal die together',
    faults: [kill('primary'), kill('temporal'), hold(2), start('temporal'), untilTakenOver],
    heal: [start('primary')],
    ending: 'failover',
    gap: 'fault',
    must: 'failover when Temporal is back',
    mustNot: TWO,
  },
  {
    kind,
    name: 'primary and worker die together',
    faults: [kill('primary'), kill('worker'), hold(2), start('worker'), untilTakenOver],
    heal: [start('primary')],
    ending: 'failover',
    gap: 'fault',
    must: 'failover when a worker is there',
    mustNot: TWO,
  },
];
