import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RuntimeSocket } from '../../src/providers/haproxy/ask.ts';
import { HaproxyDriver } from '../../src/providers/haproxy/haproxy.ts';
import type { FoundServer, PoolApplied, PoolRead, WantedServer } from '../../src/providers/pool-driver.ts';
import { freePort, startSilent } from '../support/dns-servers.ts';
import { startHaproxy, startWeb } from '../support/haproxy.ts';
import type { Haproxy, WebServer } from '../support/haproxy.ts';
import { describeWithPart, program } from '../support/part.ts';

const never = new AbortController().signal;
const driver = (sockets: readonly RuntimeSocket[], timeoutMs = 5000): HaproxyDriver => new HaproxyDriver({ sockets, timeoutMs });

async function read(socket: RuntimeSocket, pool = 'web', timeoutMs?: number): Promise<PoolRead> {
  const [only] = await driver([socket], timeoutMs).read(pool, never);
  return only!.answer;
}

async function apply(socket: RuntimeSocket, server: string, wanted: WantedServer, pool = 'web'): Promise<PoolApplied> {
  const [only] = await driver([socket]).apply(pool, server, wanted, never);
  return only!.answer;
}

async function server(socket: RuntimeSocket, name: string): Promise<FoundServer> {
  const answer = await read(socket);
  if (answer.outcome !== 'found') throw new Error(JSON.stringify(answer));
  return answer.servers.find((one) => one.name === name)!;
}

describeWithPart(program('haproxy', 'haproxy'), 'haproxy by its runtime API, with real traffic', (paths) => {
  let haproxy: Haproxy;
  const webs: WebServer[] = [];
  /** Requests to `/hold` wait for it. */
  let release: () => void = () => undefined;
  let held: Promise<void> = Promise.resolve();

  beforeAll(async () => {
    for (const name of ['a', 'b']) {
      const web = await startWeb((ask, answer) => {
        if (ask.url !== '/hold') return void answer.end(name);
        answer.flushHeaders();
        void held.then(() => answer.end(name));
      });
      webs.push(web);
    }
    haproxy = await startHaproxy(
      paths['haproxy']!,
      { a: webs[0]!.port, b: webs[1]!.port },
      `backend huge\n  server-template s 3000 127.0.0.1:9\nbackend off\n  server x 127.0.0.1:9 disabled\n  server y 127.0.0.1:9 track web/a\n`,
    );
  }, 30_000);
  afterAll(async () => {
    await haproxy.stop();
    await Promise.all(webs.map((web) => web.stop()));
  });
  beforeEach(async () => {
    for (const name of ['a', 'b']) await apply(haproxy.socket, name, { state: 'ready', weight: 1 });
    await expect.poll(async () => (await server(haproxy.socket, 'a')).health + (await server(haproxy.socket, 'b')).health).toBe('upup');
  });

  const ask = async (): Promise<string> => {
    const response = await fetch(haproxy.url);
    return `${response.status} ${await response.text()}`;
  };
  const askMany = async (count: number): Promise<string[]> => {
    const answers: string[] = [];
    for (let index = 0; index < count; index += 1) answers.push(await ask());
    return [...new Set(answers)].sort();
  };

  it('reads each server with state, weight, sessions and health, over a path and over TCP', async () => {
    const found = { state: 'ready', weight: 1, sessions: 0, health: 'up' };
    await expect
      .poll(() => read(haproxy.socket))
      .toEqual({
        outcome: 'found',
        servers: [
          { name: 'a', ...found },
          { name: 'b', ...found },
        ],
      });
    expect(await read(haproxy.runtime)).toMatchObject({ outcome: 'found', servers: [{ name: 'a' }, { name: 'b' }] });
  });

  it('a server that stops answering is down', async () => {
    const port = webs[1]!.port;
    await webs[1]!.stop();
    await expect.poll(async () => (await server(haproxy.socket, 'b')).health, { timeout: 10_000 }).toBe('down');
    const again = await startWeb((_ask, answer) => void answer.end('b'), port);
    webs[1] = again;
    await expect.poll(async () => (await server(haproxy.socket, 'b')).health, { timeout: 10_000 }).toBe('up');
  });

  for (const state of ['drain', 'maint'] as const) {
    it(`${state}: no new request goes there, and ready brings it back`, async () => {
      expect(await askMany(10)).toEqual(['200 a', '200 b']);
      expect(await apply(haproxy.socket, 'a', { state })).toMatchObject({ outcome: 'applied', server: { name: 'a', state } });
      expect(await askMany(20)).toEqual(['200 b']);
      expect(await apply(haproxy.runtime, 'a', { state: 'ready' })).toMatchObject({ outcome: 'applied', server: { state: 'ready' } });
      await expect.poll(() => askMany(10)).toEqual(['200 a', '200 b']);
    });
  }

  it('I5: apply, asked twice, changes once and answers "already"', async () => {
    const wanted = { state: 'drain', weight: 7 } as const;
    expect(await apply(haproxy.socket, 'a', wanted)).toMatchObject({ outcome: 'applied', server: { weight: 7 } });
    expect(await apply(haproxy.socket, 'a', wanted)).toMatchObject({ outcome: 'already', server: { state: 'drain', weight: 7 } });
    expect(await apply(haproxy.socket, 'a', { state: 'drain' })).toMatchObject({ outcome: 'already', server: { weight: 7 } });
  });

  it('weight 0 takes no new requests while the state stays', async () => {
    expect(await apply(haproxy.socket, 'a', { state: 'ready', weight: 0 })).toMatchObject({ outcome: 'applied', server: { state: 'ready', weight: 0 } });
    expect(await askMany(20)).toEqual(['200 b']);
  });

  it('from maint to drain and back: each state replaces the other', async () => {
    for (const state of ['maint', 'drain', 'maint', 'ready'] as const) {
      expect(await apply(haproxy.socket, 'a', { state })).toMatchObject({ outcome: 'applied', server: { state } });
    }
  });

  it('a drain lets what is under way finish, and shows when it is over', async () => {
    held = new Promise((resolve) => (release = resolve));
    expect(await apply(haproxy.socket, 'b', { state: 'maint' })).toMatchObject({ outcome: 'applied' });
    const long = await fetch(`${haproxy.url}hold`);
    await apply(haproxy.socket, 'b', { state: 'ready' });
    await expect.poll(async () => (await server(haproxy.socket, 'b')).health).toBe('up');
    await apply(haproxy.socket, 'a', { state: 'drain' });
    expect(await askMany(20)).toEqual(['200 b']);
    expect(await server(haproxy.socket, 'a')).toMatchObject({ state: 'drain', sessions: 1 });
    release();
    expect([long.status, await long.text()]).toEqual([200, 'a']);
    await expect.poll(async () => (await server(haproxy.socket, 'a')).sessions).toBe(0);
  });

  it('no request is lost while servers are drained and made ready by turns', async () => {
    let going = true;
    const answers: string[] = [];
    const clients = Array.from({ length: 8 }, async () => {
      while (going) answers.push(await ask().catch(String));
    });
    for (let turn = 0; turn < 10; turn += 1) {
      const name = turn % 2 === 0 ? 'a' : 'b';
      expect(await apply(haproxy.socket, name, { state: 'drain' })).toMatchObject({ outcome: 'applied' });
      const sofar = answers.length;
      await expect.poll(() => answers.length, { interval: 5 }).toBeGreaterThan(sofar + 20);
      expect(await apply(haproxy.socket, name, { state: 'ready' })).toMatchObject({ outcome: 'applied' });
      await expect.poll(async () => (await server(haproxy.socket, name)).health).toBe('up');
    }
    going = false;
    await Promise.all(clients);
    expect(answers.length).toBeGreaterThan(200);
    expect(answers.filter((answer) => !answer.startsWith('200 '))).toEqual([]);
  });

  it('a change takes less than 50 ms from the call to its reading back', async () => {
    const tookMs: number[] = [];
    for (const state of ['drain', 'ready', 'drain', 'ready', 'drain'] as const) {
      const beganMs = performance.now();
      expect(await apply(haproxy.socket, 'a', { state })).toMatchObject({ outcome: 'applied' });
      tookMs.push(performance.now() - beganMs);
    }
    // The quickest, since this machine may be busy with other tests.
    expect(Math.min(...tookMs)).toBeLessThan(50);
    expect(await askMany(20)).toEqual(['200 b']);
  });

  for (const signal of ['SIGUSR1', 'SIGKILL'] as const) {
    it(`a HAProxy that was restarted (${signal}) has forgotten it, shows that, and takes it again`, async () => {
      await apply(haproxy.socket, 'a', { state: 'drain', weight: 9 });
      await haproxy.restart(signal);
      expect(await server(haproxy.socket, 'a')).toMatchObject({ state: 'ready', weight: 1 });
      expect(await apply(haproxy.socket, 'a', { state: 'drain', weight: 9 })).toMatchObject({ outcome: 'applied' });
      expect(await askMany(20)).toEqual(['200 b']);
    });
  }

  it('a server and a backend that it does not know are outcomes', async () => {
    expect(await apply(haproxy.socket, 'zz', { state: 'drain' })).toMatchObject({ outcome: 'unknown-server', words: expect.stringContaining('only a, b') });
    expect(await apply(haproxy.socket, 'a', { state: 'drain' }, 'nope')).toMatchObject({ outcome: 'unknown-pool', words: expect.stringContaining('nope') });
    expect(await read(haproxy.socket, 'nope')).toMatchObject({ outcome: 'unknown-pool' });
  });

  it('a server that is disabled in the file is in maint, and can be made ready', async () => {
    expect(await read(haproxy.socket, 'off')).toMatchObject({ servers: [{ name: 'x', state: 'maint', health: 'unknown' }, { name: 'y' }] });
    expect(await apply(haproxy.socket, 'x', { state: 'ready' }, 'off')).toMatchObject({ outcome: 'applied' });
  });

  it('a socket that may only look is refused as a key', async () => {
    expect(await apply(haproxy.userSocket, 'a', { state: 'drain' })).toMatchObject({ outcome: 'key-refused' });
    expect(await server(haproxy.socket, 'a')).toMatchObject({ state: 'ready' });
  });

  it('3,000 servers in one backend are read whole', async () => {
    const answer = await read(haproxy.socket, 'huge');
    expect(answer).toMatchObject({ outcome: 'found' });
    expect(answer.outcome === 'found' ? answer.servers.length : 0).toBe(3000);
    expect(await apply(haproxy.socket, 's2999', { state: 'maint' }, 'huge')).toMatchObject({ outcome: 'applied' });
  });

  it('several HAProxy for one pool: each one answers for itself, and a dead or silent one holds up no other', async () => {
    const silent = await startSilent();
    const dead = { host: '127.0.0.1', port: await freePort() };
    const sockets = [dead, silent.address, haproxy.socket];
    const began = performance.now();
    const applied = await driver(sockets, 500).apply('web', 'a', { state: 'drain' }, never);
    expect(applied.map(({ instance, answer }) => [instance, answer.outcome])).toEqual([
      [`127.0.0.1:${dead.port}`, 'unreachable'],
      [`127.0.0.1:${silent.address.port}`, 'slow'],
      [haproxy.socket, 'applied'],
    ]);
    expect(performance.now() - began).toBeLessThan(5000);
    await silent.stop();
  });

  it('a socket that nobody listens on any more is unreachable', async () => {
    expect(await read(`${haproxy.socket}.none`)).toMatchObject({ outcome: 'unreachable', words: expect.stringContaining('ENOENT') });
  });

  it('what could end a command is refused before anything is sent', async () => {
    await expect(apply(haproxy.socket, 'a; shutdown', { state: 'drain' })).rejects.toMatchObject({ code: 'BadInput' });
    await expect(read(haproxy.socket, 'web\nshow info')).rejects.toMatchObject({ code: 'BadInput' });
    await expect(apply(haproxy.socket, 'a', { state: 'ready', weight: 257 })).rejects.toMatchObject({ code: 'BadInput' });
  });
});

describe('haproxy where no HAProxy answers', () => {
  it('an abort ends the wait', async () => {
    const silent = await startSilent();
    const abort = new AbortController();
    const waiting = driver([silent.address], 60_000).read('web', abort.signal);
    setImmediate(() => abort.abort(new Error('the worker stops')));
    await expect(waiting).rejects.toThrow('the worker stops');
    await silent.stop();
  });

  const HEADER = '# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_uweight\n';
  const answers: [name: string, answer: string, outcome: string][] = [
    ['nothing', '', 'unreachable'],
    ['an answer that breaks off', `1\n${HEADER}3 web 1 a 2 0`, 'unreachable'],
    ['a table of another version', `2\n${HEADER}3 web 1 a 2 0 1\n\n`, 'refused'],
    ['a table without its columns', '1\n# be_id\n3\n\n', 'refused'],
    ['a number that is none', `1\n${HEADER}3 web 1 a 2 x 1\n\n`, 'refused'],
    ['a web server', 'HTTP/1.1 400 Bad Request\r\n\r\n\n', 'refused'],
    ['bytes', `${Buffer.from([0xff, 0x00, 0xfe]).toString('latin1')}\n\n`, 'refused'],
  ];
  for (const [name, answer, outcome] of answers) {
    it(`${name} is ${outcome}`, async () => {
      const liar = createServer((socket) => void socket.once('data', () => socket.end(answer))).listen(0, '127.0.0.1');
      await once(liar, 'listening');
      expect(await read({ host: '127.0.0.1', port: (liar.address() as AddressInfo).port })).toMatchObject({ outcome });
      liar.close();
      await once(liar, 'close');
    });
  }
});
