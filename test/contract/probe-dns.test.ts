import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DnsProbeConfig } from '../../src/model/probe.ts';
import { openProbe } from '../../src/probes/index.ts';
import type { Look } from '../../src/probes/probe.ts';
import { startEmbeddedServer } from '../../src/providers/embedded/server.ts';
import type { EmbeddedServer } from '../../src/providers/embedded/server.ts';
import { makeKey } from '../../src/providers/rfc2136/tsig.ts';
import { freePort, KEY, startPath, startSilent, ZONE } from '../support/dns-servers.ts';
import { until } from '../support/postgres.ts';

const never = new AbortController().signal;
const NAME = `db.${ZONE}`;
const many = Array.from({ length: 60 }, (_none, index) => `10.0.1.${index}`);
let server: EmbeddedServer;

const look = (values: Partial<DnsProbeConfig> = {}, signal = never): Promise<Look> =>
  openProbe({ type: 'dns', server: server.address, name: NAME, recordType: 'A', timeoutMs: 10_000, ...values }, () => '').look(signal);
const ofDns = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'UDPWRAP' || kind === 'TCPSocketWrap').length;

describe('the dns probe', () => {
  beforeAll(async () => {
    server = await startEmbeddedServer({
      listen: { host: '127.0.0.1', port: 0 },
      zone: ZONE,
      key: makeKey(KEY.name, KEY.algorithm, KEY.secret),
      records: [
        `db.${ZONE} 1 A 10.0.0.1`,
        `db.${ZONE} 1 A 10.0.0.2`,
        `words.${ZONE} 1 TXT "some words"`,
        `www.${ZONE} 1 CNAME db.${ZONE}`,
        ...many.map((address) => `many.${ZONE} 1 A ${address}`),
      ],
      onTrouble: (error) => {
        throw error;
      },
    });
  });
  afterAll(() => server.close());

  const table: [title: string, values: Partial<DnsProbeConfig>, expected: object][] = [
    ['a record that is there is up', {}, { outcome: 'up', latencyMs: expect.any(Number), words: expect.stringContaining('10.0.0.1') }],
    ['every value that is expected is up', { expect: ['10.0.0.2', '10.0.0.1'], authoritative: true }, { outcome: 'up' }],
    ['a value that is missing is down', { expect: ['10.0.0.1', '10.0.0.9'] }, { outcome: 'down', words: expect.stringContaining('without 10.0.0.9') }],
    ['text is joined', { name: `words.${ZONE}`, recordType: 'TXT', expect: ['some words'] }, { outcome: 'up' }],
    ['names are the same in any case', { name: `WWW.${ZONE}`, recordType: 'CNAME', expect: ['DB.understudy.test'] }, { outcome: 'up' }],
    ['a name that is not there is down', { name: `none.${ZONE}` }, { outcome: 'down', words: expect.stringContaining('NXDOMAIN') }],
    ['another type is down', { recordType: 'AAAA' }, { outcome: 'down', words: expect.stringContaining('no AAAA record') }],
    ['a zone of somebody else is down', { name: 'example.com.' }, { outcome: 'down', words: expect.stringContaining('REFUSED') }],
    ['an answer too long for a datagram comes over TCP', { name: `many.${ZONE}`, expect: many }, { outcome: 'up' }],
  ];
  it.each(table)('%s', async (_title, values, expected) => {
    const before = ofDns();
    expect(await look(values)).toMatchObject(expected);
    await until('nothing stays open', () => ofDns() <= before);
  });

  it('a server that never answers, and one that answers garbage or another question, are down when the timeout is over', async () => {
    const garbage = await startPath('garbage', server.address, () => Buffer.from('no message at all'));
    const other = await startPath('other', server.address, (_request, answer) => {
      answer.writeUInt16BE(answer.readUInt16BE(0) ^ 1);
      return answer;
    });
    for (const path of [await startSilent(), garbage, other]) {
      expect(await look({ server: path.address, timeoutMs: 200 })).toMatchObject({ outcome: 'down', words: 'no answer in 200 ms (asked over UDP)' });
      await path.stop();
    }
  });

  it('a datagram that is lost is sent again', async () => {
    let lost = 0;
    const path = await startPath('lossy', server.address, (_request, answer) => (lost++ === 0 ? undefined : answer));
    expect(await look({ server: path.address, timeoutMs: 2000 })).toMatchObject({ outcome: 'up' });
    await path.stop();
  });

  it('an answer from a cache is down where an authority is asked for', async () => {
    const path = await startPath('cache', server.address, (_request, answer) => {
      answer.writeUInt8(answer.readUInt8(2) & ~0x04, 2);
      return answer;
    });
    expect(await look({ server: path.address, authoritative: true })).toMatchObject({ outcome: 'down', words: expect.stringContaining('not as an authority') });
    expect(await look({ server: path.address })).toMatchObject({ outcome: 'up' });
    await path.stop();
  });

  it('a closed port is down at once', async () => {
    expect(await look({ server: { host: '127.0.0.1', port: await freePort() }, timeoutMs: 60_000 })).toMatchObject({
      outcome: 'down',
      words: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('I3: an address that this host may not send to, and a look that is aborted, are unknown', async () => {
    expect(await look({ server: { host: '255.255.255.255', port: 53 } })).toMatchObject({ outcome: 'unknown' });
    const silent = await startSilent();
    const stop = new AbortController();
    const looking = look({ server: silent.address, timeoutMs: 60_000 }, stop.signal);
    stop.abort();
    expect(await looking).toMatchObject({ outcome: 'unknown' });
    await silent.stop();
  });
});
