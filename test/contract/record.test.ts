import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
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
import { never, recordContract, wanted } from '../support/record-contract.ts';

const TIMEOUT_MS = 5000;

/** The suite for what speaks DNS, real servers and our own alike. */
function dnsContract(start: () => Promise<DnsServer>, ownClock: boolean): void {
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

  recordContract(() => ({ open, put: (name, values, ttl) => put(name, TYPE.A, ttl, values) }));

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

  // Our own server shares this process's clock.
  if (ownClock) {
    it('a clock that is an hour off refuses the key, and says by how much where the server tells', async () => {
      vi.setSystemTime(Date.now() + 3_600_000);
      const read = await open().read(wanted().name, 'A', never);
      vi.useRealTimers();
      const told = server.kind === 'powerdns' ? 'without a signature' : 'clock is 3600 s behind';
      expect(read).toMatchObject({ outcome: 'key-refused', words: expect.stringContaining(told) });
    });
  }

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
  recordContract(() => ({
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

describe('rfc2136 on the embedded server', () => dnsContract(startEmbedded, false));
describeWithPart(program('named', 'bind9'), 'rfc2136 on BIND', (paths) => dnsContract(() => startBind(paths), true));
describeWithPart(program('knotd', 'knot'), 'rfc2136 on Knot', (paths) => dnsContract(() => startKnot(paths), true));
describeWithPart([program('pdns_server', 'pdns-server pdns-backend-sqlite3'), program('sqlite3', 'sqlite3')], 'rfc2136 on PowerDNS', (paths) =>
  dnsContract(() => startPowerdns(paths), true),
);
