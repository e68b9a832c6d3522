import type { RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PowerdnsConfig } from '../../src/model/config.ts';
import type { OwnedRecord } from '../../src/model/record.ts';
import { openProvider } from '../../src/providers/index.ts';
import type { Applied, RecordProvider } from '../../src/providers/provider.ts';
import { query } from '../../src/providers/rfc2136/ask.ts';
import { rdataToText, TYPE } from '../../src/providers/rfc2136/rdata.ts';
import { API_KEY, freePort, startPowerdns, startSilent, ZONE } from '../support/dns-servers.ts';
import type { PowerdnsServer } from '../support/dns-servers.ts';
import { startHttp } from '../support/http-server.ts';
import type { HttpServer } from '../support/http-server.ts';
import { describeWithPart, program } from '../support/part.ts';
import { never, recordContract, wanted } from '../support/record-contract.ts';

const secrets: Record<string, string> = { RIGHT: API_KEY, WRONG: 'no such key' };

function openAt(url: string, given: Partial<PowerdnsConfig> = {}): RecordProvider {
  return openProvider(
    'pdns',
    { type: 'powerdns', url, server: 'localhost', answering: [], zone: ZONE, key: { env: 'RIGHT' }, timeoutMs: 10_000, ...given },
    (ref) => secrets['env' in ref ? ref.env : '']!,
  );
}

describeWithPart([program('pdns_server', 'pdns-server pdns-backend-sqlite3'), program('sqlite3', 'sqlite3')], "powerdns on PowerDNS' HTTP API", (paths) => {
  let server: PowerdnsServer;
  beforeAll(async () => {
    server = await startPowerdns(paths);
  }, 30_000);
  afterAll(() => server.stop());
  const open = (given: Partial<PowerdnsConfig> = {}): RecordProvider => openAt(server.api, given);

  const put = async (name: string, type: string, values: readonly string[], ttl: number): Promise<void> => {
    const rrset = { name, type, ttl, changetype: 'REPLACE', records: values.map((content) => ({ content, disabled: false })) };
    const response = await fetch(`${server.api}/api/v1/servers/localhost/zones/${ZONE}`, {
      method: 'PATCH',
      headers: { 'x-api-key': API_KEY },
      body: JSON.stringify({ rrsets: [rrset] }),
    });
    expect(response.status).toBe(204);
  };
  recordContract(() => ({ open, put: (name, values, ttl) => put(name, 'A', values, ttl) }));

  it('it says that its race is not closed', () => {
    expect(open().compareAndSet).toBe('racy');
  });

  it('record and marker are answered by DNS, and count as verified only when each server that is named answers them', async () => {
    const record = wanted({ epoch: 12 });
    await open().apply(record, never);
    const answer = await query(server.address, `_understudy.a.${record.name}`, TYPE.TXT, undefined, { timeoutMs: 5000, signal: never });
    const texts = answer.outcome === 'answer' ? answer.reply.answer.map(({ rdata }) => rdataToText(TYPE.TXT, rdata)) : [];
    expect(texts).toEqual(['"v=1 owner=default/orders epoch=12"']);
    expect(await open({ answering: [server.address] }).verify(record, never)).toMatchObject({
      outcome: 'verified',
      servers: [new URL(server.api).host, `127.0.0.1:${server.address.port}`],
    });
    const gone = { host: '127.0.0.1', port: await freePort() };
    expect(await open({ answering: [server.address, gone] }).verify(record, never)).toMatchObject({ outcome: 'unreachable' });
  });

  it('a key that the server does not know is refused as a key, and is in no words (I9)', async () => {
    const stranger = open({ key: { env: 'WRONG' } });
    const answers = [await stranger.read(`x.${ZONE}`, 'A', never), await stranger.apply(wanted(), never), await stranger.verify(wanted(), never)];
    expect(answers.map(({ outcome }) => outcome)).toEqual(['key-refused', 'key-refused', 'key-refused']);
    expect(JSON.stringify(answers)).not.toContain(secrets['WRONG']);
  });

  it('a zone and a server that are not there are refused', async () => {
    expect(await open({ zone: 'elsewhere.test.' }).apply(wanted({ name: 'db.elsewhere.test.' }), never)).toMatchObject({ outcome: 'refused' });
    expect(await open({ server: 'another' }).apply(wanted(), never)).toMatchObject({ outcome: 'refused' });
  });

  it('one record of 500 addresses', async () => {
    const record = wanted({ values: Array.from({ length: 500 }, (_none, index) => `10.2.${Math.floor(index / 250)}.${index % 250}`) });
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'applied' });
    expect(await open().verify(record, never)).toMatchObject({ outcome: 'verified' });
  });

  it('a record that is refused holds up none beside it', async () => {
    const [ours, other] = [wanted(), wanted({ type: 'CNAME', values: ['pg-b.example.com.'] })];
    await put(other.name, 'A', ['192.0.2.1'], 60);
    const applied = await Promise.all([open().apply(other, never), open().apply(ours, never)]);
    expect(applied.map(({ outcome }) => outcome)).toEqual(['refused', 'applied']);
  });

  it("I8: a CNAME where an A is wanted is nobody's, and is left as it is", async () => {
    const record = wanted();
    await put(record.name, 'CNAME', ['elsewhere.example.'], 60);
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'foreign-owner', found: { values: ['CNAME elsewhere.example.'] } });
  });

  it('I5: a writer that dies between the write and its answer has written, and the next one hears "already"', async () => {
    const lossy = await startBetween(server.api, (method) => (method === 'PATCH' ? 'lose' : 'pass'));
    const record = wanted();
    expect(await openAt(lossy.url, { timeoutMs: 500 }).apply(record, never)).toMatchObject({ outcome: 'slow' });
    await lossy.stop();
    expect(await open().apply(record, never)).toMatchObject({ outcome: 'already' });
  });

  const between: [name: string, theirs: Partial<OwnedRecord>, outcome: string][] = [
    ['a higher epoch before our write is overwritten, which the server cannot prevent: we are told "applied"', { epoch: 6, values: ['10.0.0.6'] }, 'applied'],
    ['a higher epoch after our write is found when it is read back', { epoch: 6, values: ['10.0.0.6'] }, 'lost-race'],
    ['another owner after our write is found when it is read back (I8)', { owner: 'default/billing' }, 'foreign-owner'],
    ['a lower epoch after our write is replaced', { epoch: 4, values: ['10.0.0.4'] }, 'applied'],
  ];
  for (const [name, theirs, outcome] of between) {
    it(`another process: ${name}`, async () => {
      const record = wanted({ epoch: 5 });
      let theirWrite: Promise<Applied | void> | undefined;
      // The other process writes blindly, as one does that had read before us.
      const writeTheirs = async (): Promise<void> => {
        const { owner, epoch, values } = { ...record, ...theirs };
        await put(record.name, 'A', values, 1);
        await put(`_understudy.a.${record.name}`, 'TXT', [`"v=1 owner=${owner} epoch=${epoch}"`], 1);
      };
      const path = await startBetween(server.api, async (method, when): Promise<'pass'> => {
        if (method === 'PATCH' && when === (name.includes('before') ? 'before' : 'after')) await (theirWrite ??= writeTheirs());
        return 'pass';
      });
      expect(await openAt(path.url).apply(record, never)).toMatchObject({ outcome });
      const left = outcome === 'applied' ? record : { ...record, ...theirs };
      expect(await open().verify(left, never)).toMatchObject({ outcome: 'verified' });
      await path.stop();
    });
  }
});

describe('powerdns where no PowerDNS answers', () => {
  const record = wanted();

  it('a closed port is unreachable', async () => {
    expect(await openAt(`http://127.0.0.1:${await freePort()}`).apply(record, never)).toMatchObject({
      outcome: 'unreachable',
      words: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('a server that never answers is slow, and an abort ends the wait', async () => {
    const silent = await startSilent();
    const url = `http://127.0.0.1:${silent.address.port}`;
    expect(await openAt(url, { timeoutMs: 200 }).read(record.name, 'A', never)).toMatchObject({ outcome: 'slow', words: expect.stringContaining('200 ms') });
    const abort = new AbortController();
    const waiting = openAt(url, { timeoutMs: 60_000 }).apply(record, abort.signal);
    setImmediate(() => abort.abort(new Error('the worker stops')));
    await expect(waiting).rejects.toThrow('the worker stops');
    await silent.stop();
  });

  const answers: [name: string, answer: RequestListener, outcome: string][] = [
    ['a web page', (_ask, answer) => answer.end('<html>'), 'refused'],
    ['JSON of another kind', (_ask, answer) => answer.end('{"rrsets":[{"name":5}]}'), 'refused'],
    ['a redirect, which is not followed', (_ask, answer) => answer.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(), 'refused'],
    ['a gateway without its server', (_ask, answer) => answer.writeHead(502).end('Bad Gateway'), 'unreachable'],
    ['an answer that breaks off', (_ask, answer) => (answer.writeHead(200, { 'content-length': '100' }), answer.write('{'), answer.destroy()), 'unreachable'],
    ['an answer that never ends', (_ask, answer) => (answer.writeHead(200), answer.write('{')), 'slow'],
  ];
  for (const [name, answer, outcome] of answers) {
    it(`${name} is ${outcome}`, async () => {
      const server = await startHttp(answer);
      expect(await openAt(server.url, { timeoutMs: 500 }).read(record.name, 'A', never)).toMatchObject({ outcome });
      await server.stop();
    });
  }
});

type Between = (method: string, when: 'before' | 'after') => 'pass' | 'lose' | Promise<'pass' | 'lose'>;

/** A path to the API on which something happens before a request, or after it; an answer that is lost never comes. */
function startBetween(api: string, happen: Between): Promise<HttpServer> {
  return startHttp((ask, answer) => {
    void (async () => {
      const method = ask.method ?? 'GET';
      const chunks: Buffer[] = [];
      for await (const chunk of ask) chunks.push(chunk as Buffer);
      await happen(method, 'before');
      const headers = { 'x-api-key': String(ask.headers['x-api-key']) };
      const real = await fetch(`${api}${ask.url}`, { method, headers, ...(method === 'GET' ? {} : { body: Buffer.concat(chunks) }) });
      const text = await real.text();
      if ((await happen(method, 'after')) === 'pass') answer.writeHead(real.status).end(text);
    })();
  });
}
