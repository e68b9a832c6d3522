import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPort } from '../../src/model/config.ts';
import { startEmbeddedServer } from '../../src/providers/embedded/server.ts';
import { openProvider } from '../../src/providers/index.ts';
import { query, update } from '../../src/providers/rfc2136/ask.ts';
import type { Reply } from '../../src/providers/rfc2136/ask.ts';
import { exchange } from '../../src/providers/rfc2136/exchange.ts';
import { decodeMessage, encodeMessage, message, OPCODE, RCODE } from '../../src/providers/rfc2136/message.ts';
import type { ResourceRecord } from '../../src/providers/rfc2136/message.ts';
import { CLASS, rdataToText, textToRdata, TYPE } from '../../src/providers/rfc2136/rdata.ts';
import type { TypeName } from '../../src/providers/rfc2136/rdata.ts';
import { check, decodeTsig, makeKey, sign } from '../../src/providers/rfc2136/tsig.ts';
import { KEY, startEmbedded, ZONE } from '../support/dns-servers.ts';
import type { DnsServer } from '../support/dns-servers.ts';
import { describeWithPart, program } from '../support/part.ts';

const limits = { timeoutMs: 5000, signal: new AbortController().signal };
const key = makeKey(KEY.name, KEY.algorithm, KEY.secret);
const zone = { name: ZONE, type: TYPE.SOA };
const at = (label: string): string => `${label}.${ZONE}`;
const rr = (name: string, type: TypeName, text: string, ttl = 5): ResourceRecord => ({
  name,
  type: TYPE[type],
  class: CLASS.IN,
  ttl,
  rdata: textToRdata(TYPE[type], text),
});
const none = (name: string, type: TypeName, klass: 'ANY' | 'NONE'): ResourceRecord => ({
  name,
  type: TYPE[type],
  class: CLASS[klass],
  ttl: 0,
  rdata: Buffer.alloc(0),
});
const texts = (answer: Reply): string[] => (answer.outcome === 'answer' ? answer.reply.answer.map(({ type, rdata }) => rdataToText(type, rdata)) : []);
const rcode = (answer: Reply): number | string => (answer.outcome === 'answer' ? answer.reply.rcode : answer.outcome);

describe('the embedded DNS server', () => {
  let server: DnsServer;
  beforeEach(async () => {
    server = await startEmbedded();
  });
  afterEach(() => server.stop());
  const ask = (name: string, type: TypeName): Promise<Reply> => query(server.address, name, TYPE[type], undefined, limits);
  const send = (prerequisites: ResourceRecord[], updates: ResourceRecord[]): Promise<Reply> =>
    update(server.address, zone, prerequisites, updates, key, limits);

  it('answers for its zone with authority, SOA and NS included', async () => {
    const answer = await ask(ZONE, 'SOA');
    expect(answer).toMatchObject({ outcome: 'answer', reply: { authoritative: true, rcode: 0 } });
    expect(texts(await ask(ZONE, 'NS'))).toEqual([`ns.${ZONE}`]);
  });

  it('tells a name that is not there from a name without that type, and gives the SOA with both', async () => {
    await send([], [rr(at('a.b'), 'A', '10.0.0.1')]);
    expect(await ask(at('no'), 'A')).toMatchObject({ reply: { rcode: RCODE.NXDOMAIN, authority: [{ type: TYPE.SOA }] } });
    expect(await ask(at('a.b'), 'AAAA')).toMatchObject({ reply: { rcode: 0, answer: [], authority: [{ type: TYPE.SOA }] } });
    expect(await ask(at('b'), 'A')).toMatchObject({ reply: { rcode: 0, answer: [], authority: [{ type: TYPE.SOA }] } });
  });

  it('refuses what lies outside its zone', async () => {
    expect(rcode(await ask('elsewhere.test.', 'A'))).toBe(RCODE.REFUSED);
  });

  it('follows an alias inside the zone, and ends a loop', async () => {
    await send([], [rr(at('alias'), 'CNAME', at('real')), rr(at('real'), 'A', '10.0.0.1'), rr(at('x'), 'CNAME', at('y')), rr(at('y'), 'CNAME', at('x'))]);
    expect(texts(await ask(at('alias'), 'A'))).toEqual([at('real'), '10.0.0.1']);
    expect(rcode(await ask(at('x'), 'A'))).toBe(0);
  });

  it('keeps the case of the question, and knows names in any case', async () => {
    await send([], [rr(at('db'), 'A', '10.0.0.1')]);
    const answer = await ask('Db.UnderStudy.TEST.', 'A');
    expect(answer).toMatchObject({ reply: { question: [{ name: 'Db.UnderStudy.TEST.' }] } });
    expect(texts(answer)).toEqual(['10.0.0.1']);
  });

  it('raises the serial with each change, and not without one', async () => {
    const serial = async (): Promise<number> => Number(texts(await ask(ZONE, 'SOA'))[0]!.split(' ')[2]);
    const before = await serial();
    await send([], [rr(at('db'), 'A', '10.0.0.1')]);
    expect(await serial()).toBe(before + 1);
    await send([], [rr(at('db'), 'A', '10.0.0.1')]);
    expect(await serial()).toBe(before + 1);
  });

  // One record that is there, and each prerequisite of RFC 2136, 2.4, with what it answers.
  const db = at('db');
  const prerequisites: [name: string, prerequisite: ResourceRecord[], rcode: number][] = [
    ['a set exists', [none(db, 'A', 'ANY')], RCODE.NOERROR],
    ['a set exists, which does not', [none(db, 'AAAA', 'ANY')], RCODE.NXRRSET],
    ['a set has these values, in another order and case', [rr(db, 'A', '10.0.0.2', 0), rr(db.toUpperCase(), 'A', '10.0.0.1', 0)], RCODE.NOERROR],
    ['a set has these values, but one is missing', [rr(db, 'A', '10.0.0.1', 0)], RCODE.NXRRSET],
    ['a set has these values, but one is too many', [rr(db, 'A', '10.0.0.1', 0), rr(db, 'A', '10.0.0.2', 0), rr(db, 'A', '10.0.0.3', 0)], RCODE.NXRRSET],
    ['a set does not exist', [none(db, 'AAAA', 'NONE')], RCODE.NOERROR],
    ['a set does not exist, which does', [none(db, 'A', 'NONE')], RCODE.YXRRSET],
    ['a name is in use', [none(db, 'ANY', 'ANY')], RCODE.NOERROR],
    ['a name is in use, which is not', [none(at('no'), 'ANY', 'ANY')], RCODE.NXDOMAIN],
    ['a name is not in use', [none(at('no'), 'ANY', 'NONE')], RCODE.NOERROR],
    ['a name is not in use, which is', [none(db, 'ANY', 'NONE')], RCODE.YXDOMAIN],
    ['a prerequisite with a TTL', [rr(db, 'A', '10.0.0.1', 5)], RCODE.FORMERR],
    ['a prerequisite outside the zone', [none('elsewhere.test.', 'A', 'NONE')], RCODE.NOTZONE],
  ];
  for (const [name, prerequisite, expected] of prerequisites) {
    it(`prerequisite: ${name}`, async () => {
      await send([], [rr(db, 'A', '10.0.0.1'), rr(db, 'A', '10.0.0.2')]);
      expect(rcode(await send(prerequisite, [rr(at('mark'), 'A', '10.0.0.9')]))).toBe(expected);
      expect(texts(await ask(at('mark'), 'A'))).toEqual(expected === RCODE.NOERROR ? ['10.0.0.9'] : []);
    });
  }

  it('does all of an update or nothing', async () => {
    expect(rcode(await send([], [rr(db, 'A', '10.0.0.1'), rr('elsewhere.test.', 'A', '10.0.0.2')]))).toBe(RCODE.NOTZONE);
    expect(rcode(await ask(db, 'A'))).toBe(RCODE.NXDOMAIN);
  });

  it('never deletes its SOA and its last NS, and takes no alias beside other records', async () => {
    await send(
      [],
      [none(ZONE, 'ANY', 'ANY'), { ...rr(ZONE, 'NS', `ns.${ZONE}`, 0), class: CLASS.NONE }, rr(db, 'A', '10.0.0.1'), rr(db, 'CNAME', at('other'))],
    );
    expect(texts(await ask(ZONE, 'SOA'))).toHaveLength(1);
    expect(texts(await ask(ZONE, 'NS'))).toHaveLength(1);
    expect(texts(await ask(db, 'CNAME'))).toEqual([]);
  });

  it('answers BADTIME, signed and with its own time, to a key whose clock is off', async () => {
    const sentMs = Date.now() - 3_600_000;
    const { bytes, mac } = sign(encodeMessage(message({ id: 3, opcode: OPCODE.UPDATE, question: [{ ...zone, class: CLASS.IN }] })), key, sentMs);
    const got = await exchange(server.address, bytes, limits, (reply) => reply);
    const answer = got.outcome === 'answer' ? got.answer : Buffer.alloc(0);
    const reply = decodeMessage(answer);
    const tsig = decodeTsig(reply.signature!.record);
    expect([reply.rcode, tsig.error]).toEqual([RCODE.NOTAUTH, RCODE.BADTIME]);
    expect(Math.abs(tsig.other.readUIntBE(0, 6) - Date.now() / 1000)).toBeLessThan(30);
    expect(check(answer, reply, key, sentMs, mac)).toMatchObject({ outcome: 'good' });
  });

  it('refuses an update without a signature', async () => {
    const bytes = encodeMessage(message({ id: 3, opcode: OPCODE.UPDATE, question: [{ ...zone, class: CLASS.IN }], authority: [rr(db, 'A', '10.0.0.1')] }));
    const got = await exchange(server.address, bytes, limits, (reply) => decodeMessage(reply));
    expect(got).toMatchObject({ outcome: 'answer', answer: { rcode: RCODE.REFUSED } });
    expect(rcode(await ask(db, 'A'))).toBe(RCODE.NXDOMAIN);
  });
});

/** Compiled, as it runs in production: `npm run build` makes it. */
const DNS = new URL('../../dist/src/bin/dns.js', import.meta.url).pathname;

describe('the embedded DNS server with a state file', () => {
  it('does not do what it cannot keep', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'understudy-dns-'));
    const troubles: string[] = [];
    const server = await startEmbeddedServer({
      listen: { host: '127.0.0.1', port: 0 },
      zone: ZONE,
      key,
      records: [],
      stateFile: join(dir, 'zone'),
      onTrouble: (error) => troubles.push(error.message),
    });
    rmSync(dir, { recursive: true });
    expect(rcode(await update(server.address, zone, [], [rr(at('db'), 'A', '10.0.0.1')], key, limits))).toBe(RCODE.SERVFAIL);
    expect(rcode(await query(server.address, at('db'), TYPE.A, undefined, limits))).toBe(RCODE.NXDOMAIN);
    expect(troubles).toEqual([expect.stringContaining('ENOENT')]);
    await server.close();
  });
});

describe('the DNS process', () => {
  const children: ChildProcess[] = [];
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'understudy-dns-'));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) await end(child, 'SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });

  function start(args: readonly string[], env: Readonly<Record<string, string>> = { TSIG: KEY.secret }): ChildProcess {
    const child = spawn(process.execPath, [DNS, ...args], { env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    return child;
  }
  async function ready(child: ChildProcess): Promise<HostPort> {
    const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
    const { ready: isReady, address } = JSON.parse(line) as { ready: boolean; address: string };
    expect(isReady).toBe(true);
    const [host, port] = address.split(':');
    return { host: host!, port: Number(port) };
  }
  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | string | null> {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? child.signalCode;
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code, by] = (await exited) as [number | null, string | null];
    return code ?? by;
  }
  async function failure(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<{ code: number; words: string }> {
    const child = start(args, env);
    let words = '';
    child.stderr!.on('data', (chunk: Buffer) => (words += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, words };
  }
  const usual = ['--zone', ZONE, '--key', `${KEY.name}:${KEY.algorithm}`, '--secret-env', 'TSIG'];

  it('says its address in one line, serves the records it was given, and ends on SIGTERM', async () => {
    const child = start(['--listen', '127.0.0.1:0', ...usual, '--record', `pg-a.${ZONE} 1 A 127.0.0.1`, '--record', `pg-b.${ZONE} 1 A 127.0.0.2`]);
    const address = await ready(child);
    expect(texts(await query(address, at('pg-b'), TYPE.A, undefined, limits))).toEqual(['127.0.0.2']);
    expect(await end(child, 'SIGTERM')).toBe(0);
  }, 20_000);

  it('keeps what was written over a kill -9 where it has a state file', async () => {
    const stateFile = join(dir, 'zone');
    const secretFile = join(dir, 'secret');
    writeFileSync(secretFile, `${KEY.secret}\n`);
    const args = [
      '--zone',
      ZONE,
      '--key',
      `${KEY.name}:${KEY.algorithm}`,
      '--secret-file',
      secretFile,
      '--state-file',
      stateFile,
      '--record',
      `pg-a.${ZONE} 1 A 127.0.0.1`,
    ];
    const open = (server: HostPort): ReturnType<typeof openProvider> =>
      openProvider(
        'dns',
        { type: 'rfc2136', server, secondaries: [], zone: ZONE, timeoutMs: 5000, tsig: { name: KEY.name, algorithm: KEY.algorithm, secret: { env: 'X' } } },
        () => KEY.secret,
      );
    const record = { name: at('db'), type: 'SRV', ttlSeconds: 1, values: [`0 0 5432 pg-a.${ZONE}`], owner: 'default/orders', epoch: 4 } as const;
    const first = start(args);
    expect(await open(await ready(first)).apply(record, limits.signal)).toMatchObject({ outcome: 'applied' });
    await end(first, 'SIGKILL');
    const second = start(args);
    const address = await ready(second);
    expect(await open(address).apply(record, limits.signal)).toMatchObject({ outcome: 'already' });
    expect(await open(address).verify(record, limits.signal)).toMatchObject({ outcome: 'verified' });
    expect(texts(await query(address, at('pg-a'), TYPE.A, undefined, limits))).toEqual(['127.0.0.1']);
    expect(readFileSync(stateFile, 'utf8')).toContain(`db.${ZONE} 1 SRV 0 0 5432 pg-a.${ZONE}`);
  }, 20_000);

  const mistakes: [name: string, args: string[], code: number, words: string][] = [
    ['no zone', ['--key', 'k:hmac-sha256', '--secret-env', 'TSIG'], 64, '--zone'],
    ['an algorithm that it does not know', ['--zone', ZONE, '--key', 'k:hmac-md5', '--secret-env', 'TSIG'], 64, 'hmac-sha256'],
    ['no secret', ['--zone', ZONE, '--key', 'k:hmac-sha256'], 64, '--secret-env'],
    ['a secret that is not there', ['--zone', ZONE, '--key', 'k:hmac-sha256', '--secret-env', 'NO_SUCH'], 1, 'NO_SUCH'],
    ['a record that cannot be read', [...usual, '--record', 'pg-a A'], 64, 'pg-a A'],
    ['a record of another zone', [...usual, '--record', 'pg-a.example.com. 1 A 10.0.0.1'], 64, 'zone'],
    ['an option that it does not know', [...usual, '--nope'], 64, '--nope'],
  ];
  for (const [name, args, code, words] of mistakes) {
    it(`ends with code ${code} and says why: ${name}`, async () => {
      const failed = await failure(args);
      expect(failed).toMatchObject({ code, words: expect.stringContaining(words) });
      expect(failed.words).not.toContain(KEY.secret);
    }, 20_000);
  }
});

function run(path: string, args: readonly string[], input = ''): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    const child = execFile(path, args, { timeout: 15_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), out: stdout + stderr }),
    );
    child.stdin!.end(input);
  });
}

/** What other people's clients and our server make of each other. */
function clients(tools: { update: string; dig: string }): void {
  let server: DnsServer;
  beforeEach(async () => {
    server = await startEmbedded();
  });
  afterEach(() => server.stop());
  const script = (...lines: string[]): string => [`server 127.0.0.1 ${server.address.port}`, `zone ${ZONE}`, ...lines, 'send', ''].join('\n');
  const change = (...lines: string[]): Promise<{ code: number; out: string }> => run(tools.update, ['-y', specOf(KEY.secret)], script(...lines));
  const dig = async (...args: string[]): Promise<string> => (await run(tools.dig, ['@127.0.0.1', '-p', String(server.address.port), ...args])).out.trim();

  it('an update by another client is applied, and read by another client, over UDP and TCP', async () => {
    expect(await change(`update add _pg._tcp.${ZONE} 5 SRV 0 0 5432 pg-a.${ZONE}`, `update add pg-a.${ZONE} 5 A 127.0.0.1`)).toMatchObject({ code: 0 });
    expect(await dig('+short', `_pg._tcp.${ZONE}`, 'SRV')).toBe(`0 0 5432 pg-a.${ZONE}`);
    expect(await dig('+short', '+tcp', `pg-a.${ZONE}`, 'A')).toBe('127.0.0.1');
    const whole = await dig(`_pg._tcp.${ZONE}`, 'SRV');
    expect(whole).toMatch(/flags: [^;]*\baa\b/i);
    expect(whole).toMatch(/NOERROR/);
  });

  it('a compare-and-set by another client holds once, and then says NXRRSET', async () => {
    const db = `db.${ZONE}`;
    await change(`update add ${db} 5 A 10.0.0.1`);
    const swap = [`prereq yxrrset ${db} IN A 10.0.0.1`, `update delete ${db} A`, `update add ${db} 5 A 10.0.0.2`];
    expect(await change(...swap)).toMatchObject({ code: 0 });
    const again = await change(...swap);
    expect(again.code).not.toBe(0);
    expect(again.out).toContain('NXRRSET');
    expect(await dig('+short', db, 'A')).toBe('10.0.0.2');
  });

  it('a wrong secret is refused, and changes nothing', async () => {
    const refused = await run(tools.update, ['-y', specOf(Buffer.from('wrong').toString('base64'))], script(`update add db.${ZONE} 5 A 10.0.0.1`));
    expect(refused.code).not.toBe(0);
    expect(refused.out).toMatch(/BADSIG|bad signature|NOTAUTH/i);
    expect(await dig('+short', `db.${ZONE}`, 'A')).toBe('');
  });

  it('an answer that is too long for a datagram is fetched over TCP', async () => {
    await change(...Array.from({ length: 100 }, (_none, index) => `update add many.${ZONE} 5 A 10.0.4.${index}`));
    expect((await dig('+short', `many.${ZONE}`, 'A')).match(/^10\.0\.4\.\d+$/gm)).toHaveLength(100);
  });
}

const specOf = (secret: string): string => `${KEY.algorithm}:${KEY.name}:${secret}`;
describeWithPart([program('nsupdate', 'bind9-dnsutils'), program('dig', 'bind9-dnsutils')], 'the embedded DNS server, for nsupdate and dig', (paths) =>
  clients({ update: paths['nsupdate']!, dig: paths['dig']! }),
);
describeWithPart([program('knsupdate', 'knot-dnsutils'), program('kdig', 'knot-dnsutils')], 'the embedded DNS server, for knsupdate and kdig', (paths) =>
  clients({ update: paths['knsupdate']!, dig: paths['kdig']! }),
);
