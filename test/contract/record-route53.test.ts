import { ChangeResourceRecordSetsCommand, CreateHostedZoneCommand, ListResourceRecordSetsCommand, Route53Client } from '@aws-sdk/client-route-53';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Route53Config } from '../../src/model/config.ts';
import type { OwnedRecord, Routing } from '../../src/model/record.ts';
import { openProvider } from '../../src/providers/index.ts';
import type { RecordProvider } from '../../src/providers/provider.ts';
import { freePort, startSilent, ZONE } from '../support/dns-servers.ts';
import { MOTO, startMoto } from '../support/moto.ts';
import type { Moto } from '../support/moto.ts';
import { startHttp } from '../support/http-server.ts';
import type { HttpServer } from '../support/http-server.ts';
import { describeWithPart } from '../support/part.ts';
import { never, recordContract, wanted } from '../support/record-contract.ts';

const SECRET = 'a secret access key';

function openAt(endpoint: string, zoneId: string, given: Partial<Route53Config> = {}): RecordProvider {
  return openProvider(
    'aws',
    {
      type: 'route53',
      zone: ZONE,
      zoneId,
      region: 'us-east-1',
      endpoint,
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: { env: 'X' } },
      timeoutMs: 10_000,
      ...given,
    },
    () => SECRET,
  );
}

describeWithPart(MOTO, "route53 on moto's emulation, which is not AWS", (paths) => {
  let moto: Moto;
  let client: Route53Client;
  let zoneId: string;
  beforeAll(async () => {
    moto = await startMoto(paths['moto_server']!);
    client = new Route53Client({ endpoint: moto.url, region: 'us-east-1', credentials: { accessKeyId: 'x', secretAccessKey: 'y' } });
    const { HostedZone } = await client.send(new CreateHostedZoneCommand({ Name: ZONE, CallerReference: 'test' }));
    zoneId = HostedZone!.Id!.replace('/hostedzone/', '');
  }, 90_000);
  afterAll(async () => {
    client.destroy();
    await moto.stop();
  });
  const open = (given: Partial<Route53Config> = {}): RecordProvider => openAt(moto.url, zoneId, given);

  const setsAt = async (name: string) =>
    ((await client.send(new ListResourceRecordSetsCommand({ HostedZoneId: zoneId }))).ResourceRecordSets ?? []).filter((set) => set.Name === name);
  const put = async (name: string, values: readonly string[], ttl: number): Promise<void> => {
    const there = (await setsAt(name)).find((set) => set.Type === 'A');
    const changes =
      values.length === 0
        ? [{ Action: 'DELETE' as const, ResourceRecordSet: there! }]
        : [{ Action: 'UPSERT' as const, ResourceRecordSet: { Name: name, Type: 'A' as const, TTL: ttl, ResourceRecords: values.map((Value) => ({ Value })) } }];
    await client.send(new ChangeResourceRecordSetsCommand({ HostedZoneId: zoneId, ChangeBatch: { Changes: changes } }));
  };
  recordContract(() => ({ open, put }));

  it('the marker is a TXT record in the same batch', async () => {
    const record = wanted({ epoch: 12 });
    await open().apply(record, never);
    expect(await setsAt(`_understudy.a.${record.name}`)).toMatchObject([{ Type: 'TXT', ResourceRecords: [{ Value: '"v=1 owner=default/orders epoch=12"' }] }]);
  });

  const sibling = (record: OwnedRecord, setIdentifier: string, policy: Routing['policy'], value: string): OwnedRecord => ({
    ...record,
    values: [value],
    routing: { setIdentifier, policy },
  });
  const pairs: [name: string, one: Routing['policy'], two: Routing['policy']][] = [
    ['weighted', { kind: 'weighted', weight: 100 }, { kind: 'weighted', weight: 0 }],
    ['failover', { kind: 'failover', role: 'primary' }, { kind: 'failover', role: 'secondary' }],
    ['geolocation', { kind: 'geolocation', continent: 'EU' }, { kind: 'geolocation', country: '*' }],
  ];
  for (const [name, one, two] of pairs) {
    it(`${name}: several sets at one name stand side by side, each with its marker and its epoch`, async () => {
      const record = wanted();
      const [idEu, idUs] = [`eu-${name}`, `us-${name}`];
      const [eu, us] = [sibling(record, idEu, one, '10.0.0.1'), { ...sibling(record, idUs, two, '10.0.0.2'), epoch: 3 }];
      expect(await open().apply(eu, never)).toEqual({ outcome: 'applied', record: eu });
      expect(await open().apply(us, never)).toEqual({ outcome: 'applied', record: us });
      expect(await open().read(record.name, 'A', never, idEu)).toEqual({ outcome: 'found', found: { state: 'owned', record: eu } });
      expect(await open().read(record.name, 'A', never, idUs)).toEqual({ outcome: 'found', found: { state: 'owned', record: us } });
      expect(await open().apply(us, never)).toMatchObject({ outcome: 'already' });
      const moved = { ...eu, epoch: 2, values: ['10.0.0.9'] };
      expect(await open().apply(moved, never)).toMatchObject({ outcome: 'applied' });
      expect(await open().verify(moved, never)).toMatchObject({ outcome: 'verified' });
      expect(await open().verify(us, never)).toMatchObject({ outcome: 'verified' });
      expect(await setsAt(record.name)).toHaveLength(2);
      // One that is not there is absent, whatever its siblings are; without an identifier they are nobody's that we know (I8).
      expect(await open().read(record.name, 'A', never, 'ap')).toMatchObject({ found: { state: 'absent' } });
      expect(await open().apply(record, never)).toMatchObject({ outcome: 'foreign-owner' });
    });
  }

  // moto deletes whatever has that identifier in the whole zone, so that each test has its own.
  it('a weight that somebody changed is no verified one, and is put right', async () => {
    const record = sibling(wanted(), 'eu-changed', { kind: 'weighted', weight: 10 }, '10.0.0.1');
    await open().apply(record, never);
    const other: OwnedRecord = { ...record, routing: { setIdentifier: 'eu-changed', policy: { kind: 'weighted', weight: 200 } } };
    expect(await open().verify(other, never)).toMatchObject({ outcome: 'not-yet', words: expect.stringContaining('weight 200') });
    expect(await open().apply(other, never)).toMatchObject({ outcome: 'applied' });
    expect(await open().verify(other, never)).toMatchObject({ outcome: 'verified' });
  });

  it('a set identifier, a weight and a place that cannot be are refused before anything is sent', async () => {
    for (const routing of [
      { setIdentifier: '', policy: { kind: 'weighted', weight: 1 } },
      { setIdentifier: 'eu', policy: { kind: 'weighted', weight: 256 } },
      { setIdentifier: 'eu', policy: { kind: 'geolocation' } },
    ] as const)
      await expect(open().apply(wanted({ routing }), never)).rejects.toMatchObject({ code: 'BadInput' });
  });

  it('one record of 300 addresses', async () => {
    const record = wanted({ values: Array.from({ length: 300 }, (_none, index) => `10.2.${Math.floor(index / 250)}.${index % 250}`) });
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'applied' });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'verified' });
  });

  it('a record that is refused holds up none beside it', async () => {
    const theirs = wanted({ owner: 'default/billing' });
    const ours = wanted();
    await open().apply(theirs, never);
    const applied = await Promise.all([{ ...theirs, owner: 'default/orders' }, ours].map((record) => open().apply(record, never)));
    expect(applied.map(({ outcome }) => outcome)).toEqual(['foreign-owner', 'applied']);
  });

  // moto takes the deletion of whatever was there at any time, so that AWS' refusal is given here in its place.
  it("a write between our reading and ours: the batch deletes what was read to the letter, and AWS' refusal of it is a lost race", async () => {
    const record = wanted({ epoch: 5 });
    await open().apply({ ...record, epoch: 3 }, never);
    const [before] = await setsAt(`_understudy.a.${record.name}`);
    const theirs = { ...record, epoch: 6, values: ['10.0.0.6'] };
    const batches: string[] = [];
    const path = await startBetween(moto.url, async (method, _url, body) => {
      if (method !== 'POST') return 'pass';
      batches.push(body);
      for (const [Name, Type, Value] of [
        [record.name, 'A', '10.0.0.6'],
        [`_understudy.a.${record.name}`, 'TXT', '"v=1 owner=default/orders epoch=6"'],
      ] as const)
        await client.send(
          new ChangeResourceRecordSetsCommand({
            HostedZoneId: zoneId,
            ChangeBatch: { Changes: [{ Action: 'UPSERT', ResourceRecordSet: { Name, Type, TTL: 1, ResourceRecords: [{ Value }] } }] },
          }),
        );
      return { status: 400, body: errorXml('InvalidChangeBatch') };
    });
    expect(await openAt(path.url, zoneId).apply(record, never)).toMatchObject({ outcome: 'lost-race', found: { record: { epoch: 6 } } });
    expect(batches).toHaveLength(1);
    expect(batches[0]).toMatch(new RegExp(`<Action>DELETE</Action>.*<TTL>${before!.TTL}</TTL>.*epoch=3`));
    expect(await open().verify(theirs, never)).toMatchObject({ outcome: 'verified' });
    await path.stop();
  });

  it('a batch that is refused for another reason than a race is refused in the end', async () => {
    let batches = 0;
    const path = await startBetween(moto.url, async (method) => {
      if (method !== 'POST') return 'pass';
      batches += 1;
      return { status: 400, body: errorXml('InvalidChangeBatch') };
    });
    expect(await openAt(path.url, zoneId).apply(wanted(), never)).toMatchObject({ outcome: 'refused', words: expect.stringContaining('InvalidChangeBatch') });
    expect(batches).toBe(4);
    await path.stop();
  });

  it('I5: a writer that dies between the write and its answer has written, and the next one hears "already"', async () => {
    const lossy = await startBetween(moto.url, async (method) => (method === 'POST' ? 'lose' : 'pass'));
    const record = wanted();
    expect(await openAt(lossy.url, zoneId, { timeoutMs: 1000 }).apply(record, never)).toMatchObject({ outcome: 'slow' });
    await lossy.stop();
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'already' });
  });

  it('a change counts as verified only when Route 53 says that all of its servers have it', async () => {
    let asked = 0;
    const path = await startBetween(moto.url, async (_method, url) => {
      if (!url.includes('/change/')) return 'pass';
      asked += 1;
      return asked > 1 ? 'pass' : (text) => text.replace('INSYNC', 'PENDING');
    });
    const provider = openAt(path.url, zoneId);
    const record = wanted();
    await provider.apply(record, never);
    expect(await provider.verify(record, never)).toMatchObject({ outcome: 'not-yet', words: expect.stringContaining('PENDING') });
    expect(await provider.verify(record, never)).toMatchObject({ outcome: 'verified' });
    expect(await provider.verify(record, never)).toMatchObject({ outcome: 'verified' });
    expect(asked).toBe(2);
    await path.stop();
  });

  it('a zone that is not there is refused', async () => {
    expect(await openAt(moto.url, 'ZNOSUCHZONE').apply(wanted(), never)).toMatchObject({
      outcome: 'refused',
      words: expect.stringContaining('NoSuchHostedZone'),
    });
  });
});

describe('route53 where AWS does not answer as wished (a fake, with the errors that AWS documents)', () => {
  const record = wanted();

  it('a closed port is unreachable', async () => {
    expect(await openAt(`http://127.0.0.1:${await freePort()}`, 'Z1').apply(record, never)).toMatchObject({ outcome: 'unreachable' });
  });

  it('a server that never answers is slow, and an abort ends the wait', async () => {
    const silent = await startSilent();
    const url = `http://127.0.0.1:${silent.address.port}`;
    expect(await openAt(url, 'Z1', { timeoutMs: 300 }).read(record.name, 'A', never)).toMatchObject({
      outcome: 'slow',
      words: expect.stringContaining('300 ms'),
    });
    const abort = new AbortController();
    const waiting = openAt(url, 'Z1', { timeoutMs: 60_000 }).apply(record, abort.signal);
    setImmediate(() => abort.abort(new Error('the worker stops')));
    await expect(waiting).rejects.toThrow('the worker stops');
    await silent.stop();
  });

  const errors: [code: string, status: number, outcome: string][] = [
    ['InvalidClientTokenId', 403, 'key-refused'],
    ['SignatureDoesNotMatch', 403, 'key-refused'],
    ['AccessDenied', 403, 'key-refused'],
    ['Throttling', 400, 'slow'],
    ['PriorRequestNotComplete', 400, 'slow'],
    ['NoSuchHostedZone', 404, 'refused'],
    ['ServiceUnavailable', 503, 'unreachable'],
  ];
  for (const [code, status, outcome] of errors) {
    it(`${code} is ${outcome}, and the key is in no words (I9)`, async () => {
      const fake = await startHttp((_ask, answer) => answer.writeHead(status, { 'content-type': 'text/xml' }).end(errorXml(code)));
      const read = await openAt(fake.url, 'Z1').read(record.name, 'A', never);
      expect(read).toMatchObject({ outcome });
      expect(JSON.stringify(read)).not.toContain(SECRET);
      await fake.stop();
    });
  }
});

const errorXml = (code: string): string =>
  `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>${code}</Code><Message>as told</Message></Error><RequestId>1</RequestId></ErrorResponse>`;

describe('route53 where no Route 53 answers', () => {
  for (const [status, outcome] of [
    [200, 'refused'],
    [502, 'unreachable'],
  ] as const) {
    it(`a web page with status ${status} is ${outcome}`, async () => {
      const fake = await startHttp((_ask, answer) => answer.writeHead(status, { 'content-type': 'text/html' }).end('<html><p>Bad Gateway</html>'));
      expect(await openAt(fake.url, 'Z1').read(wanted().name, 'A', never)).toMatchObject({ outcome });
      await fake.stop();
    });
  }
});

type Passed = 'pass' | 'lose' | ((text: string) => string) | { readonly status: number; readonly body: string };

/** A path to the emulator on which something happens before a request, and its answer may be lost or changed. */
function startBetween(url: string, happen: (method: string, path: string, body: string) => Promise<Passed>): Promise<HttpServer> {
  return startHttp((ask, answer) => {
    void (async () => {
      const method = ask.method ?? 'GET';
      const chunks: Buffer[] = [];
      for await (const chunk of ask) chunks.push(chunk as Buffer);
      const passed = await happen(method, ask.url ?? '/', Buffer.concat(chunks).toString());
      if (typeof passed === 'object') return void answer.writeHead(passed.status, { 'content-type': 'text/xml' }).end(passed.body);
      const headers = Object.fromEntries(
        ['authorization', 'x-amz-date', 'content-type'].flatMap((key) => (ask.headers[key] === undefined ? [] : [[key, String(ask.headers[key])]])),
      );
      const real = await fetch(`${url}${ask.url}`, { method, headers, ...(method === 'GET' ? {} : { body: Buffer.concat(chunks) }) });
      const text = await real.text();
      if (passed === 'lose') return;
      answer.writeHead(real.status, { 'content-type': 'text/xml' }).end(passed === 'pass' ? text : passed(text));
    })();
  });
}
