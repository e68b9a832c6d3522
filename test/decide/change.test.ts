import { describe, expect, it } from 'vitest';
import { decideChange, differenceOf, normaliseName, normaliseValue } from '../../src/decide/change.ts';
import type { Change } from '../../src/decide/change.ts';
import type { FoundRecord, OwnedRecord, RecordType } from '../../src/model/record.ts';

const wanted: OwnedRecord = { name: 'db.example.com.', type: 'SRV', ttlSeconds: 1, values: ['0 0 5432 pg-b.example.com.'], owner: 'default/orders', epoch: 7 };
const owned = (given: Partial<OwnedRecord>): FoundRecord => ({ state: 'owned', record: { ...wanted, ...given } });

const table: [name: string, found: FoundRecord, change: Change['change'], words: string, raced?: boolean][] = [
  ['what is absent is created', { state: 'absent' }, 'create', 'nothing is there'],
  ['I8: what has no marker is left', { state: 'unowned', values: ['0 0 5432 x.'], ttlSeconds: 1 }, 'foreign-owner', 'without a marker'],
  ['I8: what has a marker that cannot be read is left, even without values', { state: 'unowned', values: [], ttlSeconds: 0 }, 'foreign-owner', 'no value'],
  ['I8: what another owner has is left, at a lower epoch', owned({ owner: 'default/billing', epoch: 1 }), 'foreign-owner', 'default/billing'],
  ['I8: what another owner has is left, at a higher epoch', owned({ owner: 'default/billing', epoch: 9 }), 'foreign-owner', 'default/billing'],
  ['I8: what another owner has is left, even with the same values', owned({ owner: 'prod/orders' }), 'foreign-owner', 'prod/orders'],
  ['I5: what is there already is left', owned({}), 'already', 'epoch 7'],
  [
    'case, order, form and doubles make no difference',
    owned({ name: 'DB.example.COM', values: ['00 0 5432 PG-B.example.com', '0 0 5432 pg-b.example.com.'] }),
    'already',
    'epoch 7',
  ],
  ['a lower epoch is replaced', owned({ epoch: 6, values: ['0 0 5432 pg-a.example.com.'] }), 'replace', 'pg-a.example.com.'],
  ['a lower epoch is replaced though its values are the same', owned({ epoch: 6 }), 'replace', 'epoch 6'],
  ['the same epoch with other values is put right', owned({ values: ['0 0 5432 pg-c.example.com.'] }), 'replace', 'pg-c.example.com.'],
  ['the same epoch without values is put right', owned({ values: [] }), 'replace', 'no value'],
  ['the same epoch with another TTL is put right', owned({ ttlSeconds: 60 }), 'replace', 'TTL is 60 s'],
  ['a higher epoch is left', owned({ epoch: 8 }), 'lost-race', 'epoch 8'],
  ['a higher epoch is left though its values are the same', owned({ epoch: 8 }), 'lost-race', 'epoch 7 is over'],
  ['after a lost race, what the same epoch wrote stays', owned({ values: ['0 0 5432 pg-c.example.com.'] }), 'lost-race', 'quicker', true],
  ['after a lost race, what is as wanted counts as done', owned({}), 'already', 'epoch 7', true],
  ['after a lost race, a lower epoch is replaced', owned({ epoch: 6 }), 'replace', 'epoch 6', true],
  ['after a lost race, what is gone is created', { state: 'absent' }, 'create', 'nothing', true],
];

describe('decideChange', () => {
  for (const [name, found, change, words, raced] of table) {
    it(name, () => {
      const decided = decideChange(found, wanted, raced);
      expect(decided.change).toBe(change);
      expect(decided.words).toContain(words);
    });
  }

  it('a replacement says from what', () => {
    expect(decideChange(owned({ epoch: 3 }), wanted)).toMatchObject({ from: { epoch: 3 } });
  });

  it('a difference names each part that differs', () => {
    const words = differenceOf({ ...wanted, epoch: 6, ttlSeconds: 5, owner: 'x/y', values: [] }, wanted);
    expect(words).toMatch(/no value.*TTL.*epoch 6.*x\/y/);
  });
});

const values: [type: RecordType, written: string, kept: string | undefined][] = [
  ['A', ' 10.0.0.1 ', '10.0.0.1'],
  ['A', '10.0.0.256', undefined],
  ['A', '10.0.1', undefined],
  ['A', 'pg-a.example.com.', undefined],
  ['AAAA', '2001:0DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['AAAA', '::', '::'],
  ['AAAA', '::1', '::1'],
  ['AAAA', '1::', '1::'],
  ['AAAA', '2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['AAAA', '::ffff:10.0.0.1', '::ffff:a00:1'],
  ['AAAA', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
  ['AAAA', '1:2:3:4:5:6:7', undefined],
  ['AAAA', '1:2:3:4:5:6:7:8:9', undefined],
  ['AAAA', '1::2::3', undefined],
  ['AAAA', '1:2:3:4::5:6:7:8', undefined],
  ['AAAA', ':1', undefined],
  ['AAAA', '12345::', undefined],
  ['AAAA', '10.0.0.1', undefined],
  ['CNAME', 'PG-A.example.com', 'pg-a.example.com.'],
  ['CNAME', 'pg a.example.com', undefined],
  ['CNAME', '', undefined],
  ['SRV', '0   10 05432 PG-A.example.com', '0 10 5432 pg-a.example.com.'],
  ['SRV', '0 0 65536 pg-a.example.com', undefined],
  ['SRV', '0 0 pg-a.example.com', undefined],
  ['SRV', '0 0 5432 pg-a.example.com more', undefined],
];

describe('normaliseValue', () => {
  for (const [type, written, kept] of values) {
    it(kept === undefined ? `${JSON.stringify(written)} is no value of type ${type}` : `${type} ${JSON.stringify(written)} is kept as ${kept}`, () => {
      if (kept === undefined) expect(() => normaliseValue(type, written)).toThrow(expect.objectContaining({ code: 'BadInput' }));
      else expect(normaliseValue(type, written)).toBe(kept);
    });
  }

  it('a label of more than 63 letters, and a name of more than 253, is none', () => {
    expect(normaliseName(`${'a'.repeat(63)}.test`)).toBe(`${'a'.repeat(63)}.test.`);
    expect(() => normaliseName(`${'a'.repeat(64)}.test`)).toThrow(expect.objectContaining({ code: 'BadInput' }));
    expect(() => normaliseName(`${'a.'.repeat(127)}test`)).toThrow(expect.objectContaining({ code: 'BadInput' }));
  });
});
