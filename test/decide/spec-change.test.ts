import { describe, expect, it } from 'vitest';
import { planSpecChange } from '../../src/decide/spec-change.ts';
import type { GroupSpec } from '../../src/model/group.ts';
import type { RecordSpec } from '../../src/model/record.ts';
import { async, group, member } from './world.ts';

const before = group();
const record: RecordSpec = { name: 'orders.example.', type: 'A', ttlSeconds: 1, provider: 'dns' };

const table: [name: string, after: GroupSpec, changes: string[]][] = [
  ['nothing', group(), []],
  ['keys in another order', { ...group(), policy: Object.fromEntries(Object.entries(before.policy).reverse()) as unknown as GroupSpec['policy'] }, []],
  ['a policy counts from now on', group({ policy: { ...before.policy, minIntervalMs: 1 } }), ['policy.minIntervalMs 600000 -> 1: none']],
  ['what the role carries offers the roles anew', group({ policy: { ...before.policy, hungAfterMs: 1 } }), ['policy.hungAfterMs 3000 -> 1: reassign-roles']],
  ['a lease offers the roles anew', group({ leaseMs: 3000 }), ['leaseMs 1000 -> 3000: reassign-roles']],
  ['durability changes step by step, without a role', group({ durability: async }), ['durability {"mode":"sync","confirm":1} -> {"mode":"async"}: none']],
  [
    'a member joins',
    group({ members: [...before.members, member('pg-d')] }),
    ['members.pg-d absent -> {"name":"pg-d","host":"127.0.0.1","port":5432,"priority":1}: reassign-roles'],
  ],
  [
    'a standby leaves',
    group({ members: [member('pg-a'), member('pg-b')] }),
    ['members.pg-c {"name":"pg-c","host":"127.0.0.1","port":5432,"priority":1} -> absent: reassign-roles'],
  ],
  [
    'the primary does not leave',
    group({ members: [member('pg-b'), member('pg-c')] }),
    ['members.pg-a {"name":"pg-a","host":"127.0.0.1","port":5432,"priority":1} -> absent: refused'],
  ],
  ['the primary does not move', group({ members: [member('pg-a', { port: 1 }), member('pg-b'), member('pg-c')] }), ['members.pg-a.port 5432 -> 1: refused']],
  [
    'a standby moves',
    group({ members: [member('pg-a'), member('pg-b', { host: 'h' }), member('pg-c')] }),
    ['members.pg-b.host 127.0.0.1 -> h: reassign-roles'],
  ],
  [
    'a priority counts at the next election',
    group({ members: [member('pg-a'), member('pg-b', { priority: 5 }), member('pg-c')] }),
    ['members.pg-b.priority 1 -> 5: none'],
  ],
  [
    "the primary's DNS name is published",
    group({ members: [member('pg-a', { dnsName: 'a.' }), member('pg-b'), member('pg-c')] }),
    ['members.pg-a.dnsName absent -> a.: publish'],
  ],
  [
    'a new record is published',
    group({ records: [record] }),
    ['records.orders.example./A absent -> {"name":"orders.example.","type":"A","ttlSeconds":1,"provider":"dns"}: publish'],
  ],
  ['another name is refused', group({ name: 'x' }), ['name orders -> x: refused']],
  ['another kind of database is refused', group({ database: 'x' }), ['database postgres -> x: refused']],
];

describe('planSpecChange', () => {
  for (const [name, after, changes] of table) {
    it(name, () =>
      expect(planSpecChange(before, after, { primary: 'pg-a' }).map((one) => `${one.change} ${one.from} -> ${one.to}: ${one.effect}`)).toEqual(changes),
    );
  }

  it('I2: refuses to replace every member at once, whoever is primary', () => {
    const plan = planSpecChange(before, group({ members: [member('pg-x')] }));
    expect(plan.find((one) => one.change === 'members')?.effect).toBe('refused');
  });

  it('refuses a group without members', () => {
    expect(planSpecChange(before, group({ members: [] })).find((one) => one.change === 'members')?.effect).toBe('refused');
  });
});
