import { setMaxListeners } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Rfc2136Config } from '../../src/model/config.ts';
import type { OwnedRecord } from '../../src/model/record.ts';
import { FakeProvider } from '../../src/providers/fake.ts';
import { openProvider } from '../../src/providers/index.ts';
import type { Applied, RecordProvider, Trouble } from '../../src/providers/provider.ts';
import { query, update } from '../../src/providers/rfc2136/ask.ts';
import { decodeMessage, OPCODE } from '../../src/providers/rfc2136/message.ts';
import { CLASS, textToRdata, TYPE } from '../../src/providers/rfc2136/rdata.ts';
import { makeKey } from '../../src/providers/rfc2136/tsig.ts';
import { KEY, startBind, startEmbedded, startKnot, startPath, startPowerdns, ZONE } from '../support/dns-servers.ts';
import type { DnsServer } from '../support/dns-servers.ts';
import { describeWithPart, program } from '../support/part.ts';

const never = new AbortController().signal;
// Twenty writers share it.
setMaxListeners(0, never);
const TIMEOUT_MS = 5000;

/** What the suite needs of whatever keeps the records. */
interface Stage {
  open(): RecordProvider;
  /** Writes past all rules, as a person with a text editor would. */
  put(name: string, values: readonly string[], ttlSeconds: number): Promise<void>;
}

let counter = 0;
function wanted(given: Partial<OwnedRecord> = {}): OwnedRecord {
  counter += 1;
  return { name: `db-${counter}.${ZONE}`, type: 'A', ttlSeconds: 1, values: ['10.0.0.1'], owner: 'default/orders', epoch: 1, ...given };
}

/** The suite that every provider passes. */
function contract(stage: () => Stage): void {
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

/** The suite for what speaks DNS, real servers and our own alike. */
function dnsContract(start: () => Promise<DnsServer>): void {
  let server: DnsServer;
  const key = makeKey(KEY.name, KEY.algorithm, KEY.secret);
  const limits = { timeoutMs: TIMEOUT_MS, signal: never };
  beforeAll(async () => {
    server = await start();
  }, 30_000);
  afterAll(() => server.stop());

  const configured = (given: Partial<Rfc2136Config> = {}): Rfc2136Config => ({
    type: 'rfc2136',
    server: server.address,
    secondaries: [],
    zone: ZONE,
    timeoutMs: TIMEOUT_MS,
    tsig: { name: KEY.name, algorithm: KEY.algorithm, secret: { env: 'RIGHT' } },
    ...given,
  });
  const secrets: Record<string, string> = { RIGHT: KEY.secret, WRONG: Buffer.from('another secret of thirty-two byt').toString('base64') };
  const open = (given: Partial<Rfc2136Config> = {}): RecordProvider => openProvider('dns', configured(given), (ref) => secrets['env' in ref ? ref.env : '']!);
  const put = async (name: string, type: number, ttl: number, values: readonly string[]): Promise<void> => {
    const adds = values.map((value) => ({ name, type, class: CLASS.IN, ttl, rdata: textToRdata(type, value) }));
    const answer = await update(
      server.address,
      { name: ZONE, type: TYPE.SOA },
      [],
      [{ name, type, class: CLASS.ANY, ttl: 0, rdata: Buffer.alloc(0) }, ...adds],
      key,
      limits,
    );
    expect(answer).toMatchObject({ outcome: 'answer', reply: { rcode: 0 } });
  };

  contract(() => ({ open, put: (name, values, ttl) => put(name, TYPE.A, ttl, values) }));

  it("I8: a CNAME where an A is wanted is nobody's, and is left as it is", async () => {
    const record = wanted();
    await put(record.name, TYPE.CNAME, 60, ['elsewhere.example.']);
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'foreign-owner', found: { state: 'unowned', values: ['CNAME elsewhere.example.'] } });
  });

  it('I8: a CNAME is not put where other records are', async () => {
    const record = wanted({ type: 'CNAME', values: ['pg-b.example.com.'] });
    await put(record.name, TYPE.A, 60, ['192.0.2.1']);
    const applied = await open().apply(record, never);
    expect(applied).toMatchObject({ outcome: 'refused', words: expect.stringContaining('another type') });
    expect(await open().read(record.name, 'A', never)).toMatchObject({ found: { state: 'unowned', values: ['192.0.2.1'] } });
  });

  it("a marker that cannot be read makes the record nobody's that we know", async () => {
    const record = wanted();
    await open().apply(record, never);
    await put(`_understudy.a.${record.name}`, TYPE.TXT, 60, ['"v=2 who=knows"']);
    expect(await open().apply({ ...record, epoch: 2 }, never)).toMatchObject({ outcome: 'foreign-owner', found: { state: 'unowned' } });
  });

  it('a set that is too long for a datagram goes over TCP both ways', async () => {
    const values = Array.from({ length: 60 }, (_none, index) => `10.0.3.${index + 1}`);
    const record = wanted({ values });
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'applied' });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'verified' });
    expect(await open().apply({ ...record, epoch: 2 }, never)).toMatchObject({ outcome: 'applied' });
  });

  it('the marker is a TXT record that anybody can read', async () => {
    const record = wanted({ type: 'SRV', values: ['0 0 5432 pg-a.example.com.'], epoch: 12 });
    await open().apply(record, never);
    const answer = await query(server.address, `_understudy.srv.${record.name}`, TYPE.TXT, undefined, limits);
    expect(answer).toMatchObject({ outcome: 'answer', reply: { authoritative: true } });
    const rdata = answer.outcome === 'answer' ? answer.reply.answer[0]!.rdata : Buffer.alloc(0);
    expect(rdata.toString('latin1', 1)).toBe('v=1 owner=default/orders epoch=12');
  });

  it('a key with the wrong secret is refused as a key, in reading and in writing', async () => {
    const stranger = open({ tsig: { name: KEY.name, algorithm: KEY.algorithm, secret: { env: 'WRONG' } } });
    const record = wanted();
    expect(await stranger.read(record.name, 'A', never)).toMatchObject({ outcome: 'key-refused' });
    expect(await stranger.apply(record, never)).toMatchObject({ outcome: 'key-refused' });
    const sent = await update(server.address, { name: ZONE, type: TYPE.SOA }, [], [], makeKey(KEY.name, KEY.algorithm, secrets['WRONG']!), limits);
    expect(sent).toMatchObject({ outcome: 'key-refused' });
  });

  it('a key that the server does not know is refused as a key', async () => {
    const stranger = open({ tsig: { name: 'no-such-key', algorithm: KEY.algorithm, secret: { env: 'RIGHT' } } });
    expect(await stranger.apply(wanted(), never)).toMatchObject({ outcome: 'key-refused', words: expect.stringContaining('no-such-key') });
    const sent = await update(server.address, { name: ZONE, type: TYPE.SOA }, [], [], makeKey('no-such-key', KEY.algorithm, KEY.secret), limits);
    expect(sent).toMatchObject({ outcome: 'key-refused' });
  });

  it('a zone that the server does not hold is refused', async () => {
    expect(await open({ zone: 'elsewhere.test.' }).apply(wanted({ name: 'db.elsewhere.test.' }), never)).toMatchObject({ outcome: 'refused' });
    expect(await open({ zone: 'elsewhere.test.' }).read('db.elsewhere.test.', 'A', never)).toMatchObject({ outcome: 'refused' });
  });

  it('a zone that is only a part of the one that the server holds is refused', async () => {
    const applied = await open({ zone: `part.${ZONE}` }).apply(wanted({ name: `db.part.${ZONE}` }), never);
    expect(applied).toMatchObject({ outcome: 'refused', words: expect.stringContaining(`part.${ZONE}`) });
  });

  it('a name outside the zone is an error of the configuration', async () => {
    await expect(open().apply(wanted({ name: 'db.elsewhere.test.' }), never)).rejects.toMatchObject({
      code: 'BadInput',
      message: expect.stringContaining('zone'),
    });
  });

  const between: [name: string, theirs: Partial<OwnedRecord>, outcome: string][] = [
    ['a higher epoch wins', { epoch: 6, values: ['10.0.0.6'] }, 'lost-race'],
    ['a higher epoch with the same values wins', { epoch: 6 }, 'lost-race'],
    ['the same epoch with other values wins', { values: ['10.0.0.6'] }, 'lost-race'],
    ['the same epoch with the same values has done it already', {}, 'already'],
    ['a lower epoch is replaced', { epoch: 4, values: ['10.0.0.4'] }, 'applied'],
    ['I8: another owner is left as it is', { owner: 'default/billing', epoch: 1 }, 'foreign-owner'],
  ];
  for (const [name, theirs, outcome] of between) {
    for (const epochBefore of [undefined, 3]) {
      if (epochBefore !== undefined && theirs.owner !== undefined) continue;
      it(`a write between our reading and ours, ${epochBefore === undefined ? 'both the first' : 'both a change'}: ${name}`, async () => {
        const record = wanted({ epoch: 5 });
        if (epochBefore !== undefined) await open().apply({ ...record, epoch: epochBefore }, never);
        let write: Promise<Applied> | undefined;
        // What was read is held up until the other write is done.
        const path = await startPath('held-up', server.address, async (request, answer) => {
          if (opcodeOf(request) === OPCODE.UPDATE) return answer;
          write ??= open().apply({ ...record, ...theirs }, never);
          expect(await write).toMatchObject({ outcome: 'applied' });
          return answer;
        });
        expect(await open({ server: path.address }).apply(record, never)).toMatchObject({ outcome });
        const left = outcome === 'applied' ? record : { ...record, ...theirs };
        expect(await open().verify(left, never)).toMatchObject({ outcome: 'verified' });
        await path.stop();
      });
    }
  }

  it('a record that is created between the question for it and the one for its marker is known as owned', async () => {
    const record = wanted();
    let created: Promise<Applied> | undefined;
    const path = await startPath('torn', server.address, async (request, answer) => {
      if (decodeMessage(request).question[0]?.type === TYPE.TXT) return answer;
      if (created !== undefined) return (await created).outcome === 'applied' ? answer : undefined;
      // The first answer is lost: it is asked for again when the record is there.
      created = open().apply(record, never);
      return undefined;
    });
    expect(await open({ server: path.address, timeoutMs: 2000 }).read(record.name, 'A', never)).toEqual({
      outcome: 'found',
      found: { state: 'owned', record },
    });
    await path.stop();
  });

  it('I5: a writer that dies between the write and its answer has written, and the next one hears "already"', async () => {
    const lossy = await startPath('lossy', server.address, (request, answer) => (opcodeOf(request) === OPCODE.UPDATE ? undefined : answer));
    const record = wanted();
    expect(await open({ server: lossy.address, timeoutMs: 300 }).apply(record, never)).toMatchObject({ outcome: 'slow' });
    await lossy.stop();
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'already' });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'verified' });
  });

  it('an answer that was changed on its way is not believed', async () => {
    const liar = await startPath('liar', server.address, (request, answer) => {
      if (opcodeOf(request) === OPCODE.UPDATE) answer[3] = (answer[3]! & 0xf0) | 0;
      else answer.writeUInt16BE(answer.readUInt16BE(2) ^ 0x0010, 2);
      return answer;
    });
    expect(await open({ server: liar.address }).read(wanted().name, 'A', never)).toMatchObject({
      outcome: 'key-refused',
      words: expect.stringContaining('not believed'),
    });
    await liar.stop();
  });

  it('a change counts as verified only when every secondary answers it', async () => {
    const record = wanted();
    await open().apply(record, never);
    expect(await open({ secondaries: [server.address] }).verify(record, never)).toMatchObject({
      outcome: 'verified',
      servers: [expect.any(String), expect.any(String)],
    });
    const stale = await startEmbedded();
    expect(await open({ secondaries: [stale.address] }).verify(record, never)).toMatchObject({
      outcome: 'not-yet',
      words: expect.stringContaining(String(stale.address.port)),
    });
    await stale.stop();
  });
}

const opcodeOf = (bytes: Buffer): number => (bytes[2]! >> 3) & 0xf;

describe('the fake provider', () => {
  const fake = new FakeProvider();
  contract(() => ({
    open: () => fake,
    async put(name, values, ttlSeconds) {
      const read = await fake.read(name, 'A', never);
      const owned = read.outcome === 'found' && read.found.state === 'owned' ? read.found.record : undefined;
      fake.put(name, 'A', owned === undefined ? { state: 'unowned', values, ttlSeconds } : { state: 'owned', record: { ...owned, values, ttlSeconds } });
    },
  }));
  it('answers with each trouble that it is told to have', async () => {
    for (const outcome of ['unreachable', 'slow', 'key-refused', 'refused'] as const) {
      const trouble: Trouble = { outcome, words: 'as told' };
      fake.trouble = trouble;
      expect([await fake.read('x.', 'A', never), await fake.apply(wanted(), never), await fake.verify(wanted(), never)]).toEqual([trouble, trouble, trouble]);
    }
    fake.trouble = undefined;
  });
});

describe('rfc2136 on the embedded server', () => dnsContract(startEmbedded));
describeWithPart(program('named', 'bind9'), 'rfc2136 on BIND', (paths) => dnsContract(() => startBind(paths)));
describeWithPart(program('knotd', 'knot'), 'rfc2136 on Knot', (paths) => dnsContract(() => startKnot(paths)));
describeWithPart([program('pdns_server', 'pdns-server pdns-backend-sqlite3'), program('sqlite3', 'sqlite3')], 'rfc2136 on PowerDNS', (paths) =>
  dnsContract(() => startPowerdns(paths)),
);
