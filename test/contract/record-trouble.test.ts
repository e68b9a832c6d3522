import { describe, expect, it } from 'vitest';
import type { Rfc2136Config } from '../../src/model/config.ts';
import type { OwnedRecord } from '../../src/model/record.ts';
import { openProvider } from '../../src/providers/index.ts';
import type { RecordProvider } from '../../src/providers/provider.ts';
import { update } from '../../src/providers/rfc2136/ask.ts';
import type { Reply } from '../../src/providers/rfc2136/ask.ts';
import { CLASS, textToRdata, TYPE } from '../../src/providers/rfc2136/rdata.ts';
import { makeKey } from '../../src/providers/rfc2136/tsig.ts';
import { freePort, KEY, startEmbedded, startPath, startSilent, ZONE } from '../support/dns-servers.ts';

const never = new AbortController().signal;
const record: OwnedRecord = { name: `db.${ZONE}`, type: 'A', ttlSeconds: 1, values: ['10.0.0.1'], owner: 'default/orders', epoch: 1 };

/** An update that is too long for a datagram, so that it goes over TCP. */
function sendLong(port: number, timeoutMs: number): Promise<Reply> {
  const adds = Array.from({ length: 60 }, (_none, index) => ({
    name: `x${index}.${ZONE}`,
    type: TYPE.A,
    class: CLASS.IN,
    ttl: 1,
    rdata: textToRdata(TYPE.A, '10.0.0.1'),
  }));
  return update({ host: '127.0.0.1', port }, { name: ZONE, type: TYPE.SOA }, [], adds, makeKey(KEY.name, KEY.algorithm, KEY.secret), {
    timeoutMs,
    signal: never,
  });
}

describe('rfc2136 where no server answers', () => {
  const open = (port: number, values: Partial<Rfc2136Config> = {}): RecordProvider =>
    openProvider(
      'dns',
      {
        type: 'rfc2136',
        server: { host: '127.0.0.1', port },
        secondaries: [],
        zone: ZONE,
        timeoutMs: 200,
        tsig: { name: KEY.name, algorithm: KEY.algorithm, secret: { env: 'X' } },
        ...values,
      },
      () => KEY.secret,
    );

  it('a closed port is unreachable, and is known at once, over UDP and TCP', async () => {
    const port = await freePort();
    const patient = open(port, { timeoutMs: 60_000 });
    expect(await patient.read(record.name, 'A', never)).toMatchObject({ outcome: 'unreachable', words: expect.stringContaining('ECONNREFUSED') });
    expect(await patient.apply(record, never)).toMatchObject({ outcome: 'unreachable' });
    expect(await patient.verify(record, never)).toMatchObject({ outcome: 'unreachable' });
    expect(await sendLong(port, 60_000)).toMatchObject({ outcome: 'unreachable' });
  });

  it('an address that this host may not send to is unreachable', async () => {
    expect(await open(53, { server: { host: '255.255.255.255', port: 53 }, timeoutMs: 60_000 }).read(record.name, 'A', never)).toMatchObject({
      outcome: 'unreachable',
      words: expect.stringContaining('EACCES'),
    });
  });

  it('a host name that nobody knows is unreachable', async () => {
    expect(await open(53, { server: { host: 'no-such-host.invalid', port: 53 }, timeoutMs: 20_000 }).read(record.name, 'A', never)).toMatchObject({
      outcome: 'unreachable',
    });
  }, 25_000);

  it('a server that never answers is slow, over UDP and TCP', async () => {
    const silent = await startSilent();
    expect(await open(silent.address.port).read(record.name, 'A', never)).toMatchObject({ outcome: 'slow', words: expect.stringContaining('200 ms') });
    expect(await open(silent.address.port).apply(record, never)).toMatchObject({ outcome: 'slow' });
    expect(await sendLong(silent.address.port, 200)).toMatchObject({ outcome: 'slow' });
    await silent.stop();
  });

  // What comes back for the first datagram; the next ones are answered as they should be.
  const firsts: [name: string, first: (answer: Buffer) => Buffer | undefined][] = [
    ['a datagram that is lost is sent again', () => undefined],
    ['bytes that are no message are left alone, and the wait goes on', () => Buffer.from('hello')],
    ['an answer to another question is left alone, and the wait goes on', (answer) => Buffer.concat([Buffer.from([answer[0]! ^ 1]), answer.subarray(1)])],
    [
      'a question that comes back is left alone, and the wait goes on',
      (answer) => Buffer.concat([answer.subarray(0, 2), Buffer.from([answer[2]! & 0x7f]), answer.subarray(3)]),
    ],
  ];
  for (const [name, first] of firsts) {
    it(name, async () => {
      const server = await startEmbedded();
      const seen = new Set<string>();
      const path = await startPath('odd', server.address, (request, answer) => {
        const id = request.toString('hex', 0, 2);
        if (seen.has(id)) return answer;
        seen.add(id);
        return first(answer);
      });
      expect(await open(path.address.port, { timeoutMs: 4000 }).read(record.name, 'A', never)).toEqual({ outcome: 'found', found: { state: 'absent' } });
      expect(seen.size).toBe(2);
      await path.stop();
      await server.stop();
    });
  }

  it('an abort ends the wait for a server that never answers', async () => {
    const silent = await startSilent();
    const abort = new AbortController();
    const waiting = open(silent.address.port, { timeoutMs: 60_000 }).apply(record, abort.signal);
    setImmediate(() => abort.abort(new Error('the worker stops')));
    await expect(waiting).rejects.toThrow('the worker stops');
    await silent.stop();
  });

  it('I9: a secret that is none is an error that does not show it', async () => {
    const provider = openProvider(
      'dns',
      {
        type: 'rfc2136',
        server: { host: '127.0.0.1', port: 9 },
        secondaries: [],
        zone: ZONE,
        timeoutMs: 100,
        tsig: { name: 'k', algorithm: 'hmac-sha256', secret: { env: 'X' } },
      },
      () => 'not base64!',
    );
    const error = await provider.read(`x.${ZONE}`, 'A', never).then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: 'ConfigInvalid' });
    expect(JSON.stringify(error) + error!.message).not.toContain('not base64');
  });
});
