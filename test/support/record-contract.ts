import { setMaxListeners } from 'node:events';
import { expect, it } from 'vitest';
import type { OwnedRecord } from '../../src/model/record.ts';
import type { RecordProvider } from '../../src/providers/provider.ts';
import { ZONE } from './dns-servers.ts';

export const never = new AbortController().signal;
// Twenty writers share it.
setMaxListeners(0, never);

/** What the suite needs of whatever keeps the records. */
export interface Stage {
  open(): RecordProvider;
  /** Writes past all rules, as a person with a text editor would. */
  put(name: string, values: readonly string[], ttlSeconds: number): Promise<void>;
}

let counter = 0;
/** A record of a name that nothing has used yet. */
export function wanted(given: Partial<OwnedRecord> = {}): OwnedRecord {
  counter += 1;
  return { name: `db-${counter}.${ZONE}`, type: 'A', ttlSeconds: 1, values: ['10.0.0.1'], owner: 'default/orders', epoch: 1, ...given };
}

/** The suite that every provider passes. */
export function recordContract(stage: () => Stage): void {
  const open = (): RecordProvider => stage().open();

  it('a record that is absent is read as absent, and is no verified one', async () => {
    const record = wanted();
    expect(await open().read(record.name, 'A', never)).toEqual({ outcome: 'found', found: { state: 'absent' } });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'not-yet' });
  });

  it('what was absent is created with its marker, read back and verified', async () => {
    const record = wanted();
    expect(await open().apply(record, never)).toEqual({ outcome: 'applied', record });
    expect(await open().read(record.name, 'A', never)).toEqual({ outcome: 'found', found: { state: 'owned', record } });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'verified' });
  });

  it('I5: apply, asked twice, changes once and answers "already"', async () => {
    const record = wanted();
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'applied' });
    expect(await open().apply(record, never)).toEqual({ outcome: 'already', record });
  });

  it('a higher epoch of the same owner replaces values, TTL and marker', async () => {
    const record = wanted();
    const next = { ...record, epoch: 2, values: ['10.0.0.2', '10.0.0.3'], ttlSeconds: 5 };
    await open().apply(record, never);
    expect(await open().apply(next, never)).toEqual({ outcome: 'applied', record: next });
    expect(await open().read(record.name, 'A', never)).toEqual({ outcome: 'found', found: { state: 'owned', record: next } });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'not-yet' });
    expect(await open().verify(next, never)).toMatchObject({ outcome: 'verified' });
  });

  it('the same epoch puts values and TTL right, whoever changed them', async () => {
    const record = wanted();
    await open().apply(record, never);
    await stage().put(record.name, ['10.9.9.9'], 300);
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'not-yet' });
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'applied' });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'verified' });
  });

  it('a record that was deleted beside its marker is made again', async () => {
    const record = wanted();
    await open().apply(record, never);
    await stage().put(record.name, [], 0);
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'applied' });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'verified' });
  });

  it('a lower epoch changes nothing and hears who was quicker', async () => {
    const record = wanted({ epoch: 7 });
    await open().apply(record, never);
    const applied = await open().apply({ ...record, epoch: 6, values: ['10.0.0.6'] }, never);
    expect(applied).toMatchObject({ outcome: 'lost-race', found: { state: 'owned', record: { epoch: 7 } } });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'verified' });
  });

  it('20 writers of rising epochs at once leave the highest, and each is told the truth', async () => {
    const record = wanted();
    const epochs = Array.from({ length: 20 }, (_none, index) => index + 1);
    const applied = await Promise.all(epochs.map((epoch) => open().apply({ ...record, epoch, values: [`10.0.1.${epoch}`] }, never)));
    const outcomes = new Set(applied.map(({ outcome }) => outcome));
    expect([...outcomes].filter((outcome) => outcome !== 'applied' && outcome !== 'lost-race')).toEqual([]);
    expect(applied.at(-1)).toMatchObject({ outcome: 'applied', record: { epoch: 20 } });
    expect(await open().verify({ ...record, epoch: 20, values: ['10.0.1.20'] }, never)).toMatchObject({ outcome: 'verified' });
  });

  it('20 writers of rising epochs with the same values leave the marker of the highest', async () => {
    const record = wanted();
    const epochs = Array.from({ length: 20 }, (_none, index) => 20 - index);
    await Promise.all(epochs.map((epoch) => open().apply({ ...record, epoch }, never)));
    expect(await open().verify({ ...record, epoch: 20 }, never)).toMatchObject({ outcome: 'verified' });
  });

  it('20 writers of one epoch with different values leave the values of one that was told "applied"', async () => {
    const record = wanted();
    const values = Array.from({ length: 20 }, (_none, index) => `10.0.2.${index}`);
    const applied = await Promise.all(values.map((value) => open().apply({ ...record, values: [value] }, never)));
    const read = await open().read(record.name, 'A', never);
    const left = read.outcome === 'found' && read.found.state === 'owned' ? read.found.record.values : [];
    expect(applied.flatMap((one) => (one.outcome === 'applied' ? one.record.values : []))).toContain(left[0]);
    expect(applied.filter(({ outcome }) => outcome !== 'applied' && outcome !== 'lost-race')).toEqual([]);
  });

  it("I8: another owner's record is left as it is, whatever the epoch", async () => {
    const theirs = wanted({ owner: 'default/billing' });
    await open().apply(theirs, never);
    const applied = await open().apply({ ...theirs, owner: 'default/orders', epoch: 99, values: ['10.0.0.9'] }, never);
    expect(applied).toMatchObject({ outcome: 'foreign-owner', found: { record: { owner: 'default/billing' } } });
    expect(applied).toHaveProperty('words', expect.stringContaining('default/billing'));
    expect(await open().verify(theirs, never)).toMatchObject({ outcome: 'verified' });
  });

  it("I8: a record without a marker is nobody's that we know, and is left as it is", async () => {
    const record = wanted();
    await stage().put(record.name, ['192.0.2.1'], 60);
    const found = { state: 'unowned', values: ['192.0.2.1'], ttlSeconds: 60 };
    expect(await open().read(record.name, 'A', never)).toEqual({ outcome: 'found', found });
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'foreign-owner', found });
    expect(await open().read(record.name, 'A', never)).toEqual({ outcome: 'found', found });
  });

  const forms: [type: OwnedRecord['type'], written: string[], kept: string[]][] = [
    ['A', ['10.0.0.2', '10.0.0.1', '10.0.0.2'], ['10.0.0.1', '10.0.0.2']],
    ['AAAA', ['2001:DB8:0:0:0:0:0:2', '2001:db8::1'], ['2001:db8::1', '2001:db8::2']],
    ['CNAME', ['PG-B.Example.com'], ['pg-b.example.com.']],
    ['SRV', ['0  0 5432 PG-B.Example.com', '0 0 05432 pg-a.example.com.'], ['0 0 5432 pg-a.example.com.', '0 0 5432 pg-b.example.com.']],
  ];
  for (const [type, written, kept] of forms) {
    it(`${type} values are the same in whatever case, order and form they are written`, async () => {
      const record = wanted({ type, values: written });
      const loud = { ...record, name: record.name.toUpperCase().replace(/\.$/, '') };
      expect(await open().apply(loud, never)).toEqual({ outcome: 'applied', record: { ...record, values: kept } });
      expect(await open().apply({ ...record, values: [...kept].reverse() }, never)).toMatchObject({ outcome: 'already' });
      expect(await open().verify(loud, never)).toMatchObject({ outcome: 'verified' });
      expect(await open().apply({ ...loud, epoch: 2 }, never)).toMatchObject({ outcome: 'applied', record: { epoch: 2 } });
      expect(await open().verify({ ...loud, epoch: 2 }, never)).toMatchObject({ outcome: 'verified' });
    });
  }

  it('what can be no record is refused before anything is sent', async () => {
    await expect(open().apply(wanted({ values: ['10.0.0.300'] }), never)).rejects.toMatchObject({ code: 'BadInput' });
  });

  it('an abort ends what is under way', async () => {
    await expect(open().apply(wanted(), AbortSignal.abort(new Error('the worker stops')))).rejects.toThrow('the worker stops');
  });
}
