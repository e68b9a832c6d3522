import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostPort } from '../../src/model/config.ts';
import { startEmbeddedServer } from '../../src/providers/embedded/server.ts';
import { query } from '../../src/providers/rfc2136/ask.ts';
import { Frames, frame } from '../../src/providers/rfc2136/exchange.ts';
import { TYPE } from '../../src/providers/rfc2136/rdata.ts';
import { makeKey } from '../../src/providers/rfc2136/tsig.ts';

export const ZONE = 'understudy.test.';
export const KEY = { name: 'fail.over', algorithm: 'hmac-sha256', secret: Buffer.from('a secret of thirty-two bytes ...').toString('base64') } as const;
const START_MS = 15_000;

export interface DnsServer {
  readonly kind: string;
  readonly address: HostPort;
  stop(): Promise<void>;
}

export async function startEmbedded(): Promise<DnsServer> {
  const server = await startEmbeddedServer({
    listen: { host: '127.0.0.1', port: 0 },
    zone: ZONE,
    key: makeKey(KEY.name, KEY.algorithm, KEY.secret),
    records: [],
    onTrouble: (error) => {
      throw error;
    },
  });
  return { kind: 'embedded', address: server.address, stop: () => server.close() };
}

const ZONE_FILE = `$ORIGIN ${ZONE}\n$TTL 60\n@ SOA ns hostmaster 1 60 60 86400 1\n@ NS ns\nns A 127.0.0.1\n`;

/** @param zoneFile a file of somebody else's that it is to serve, and not to update */
export function startBind(paths: Readonly<Record<string, string>>, zoneFile?: string): Promise<DnsServer & { reload(): void }> {
  return startProcess('bind', (dir, port) => {
    if (zoneFile === undefined) writeFileSync(join(dir, 'zone'), ZONE_FILE);
    writeFileSync(
      join(dir, 'named.conf'),
      `key "${KEY.name}" { algorithm ${KEY.algorithm}; secret "${KEY.secret}"; };
       options { directory "${dir}"; listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none; lock-file none; dnssec-validation no; notify no; };
       controls { };
       zone "${ZONE}" { type primary; file "${zoneFile ?? 'zone'}"; ${zoneFile === undefined ? `allow-update { key "${KEY.name}"; };` : ''} };`,
    );
    return [paths['named']!, '-c', join(dir, 'named.conf'), '-g', '-n', '1'];
  });
}

export function startKnot(paths: Readonly<Record<string, string>>): Promise<DnsServer> {
  return startProcess('knot', (dir, port) => {
    writeFileSync(join(dir, 'zone'), ZONE_FILE);
    writeFileSync(
      join(dir, 'knot.conf'),
      `server:\n    rundir: ${dir}\n    listen: 127.0.0.1@${port}\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n` +
        `log:\n  - target: stderr\n    any: info\n` +
        `database:\n    storage: ${dir}\n    journal-db-max-size: 8M\n    kasp-db-max-size: 8M\n    timer-db-max-size: 8M\n` +
        `key:\n  - id: ${KEY.name}.\n    algorithm: ${KEY.algorithm}\n    secret: ${KEY.secret}\n` +
        `acl:\n  - id: change\n    key: ${KEY.name}.\n    action: update\n` +
        `zone:\n  - domain: ${ZONE}\n    storage: ${dir}\n    file: zone\n    acl: change\n`,
    );
    return [paths['knotd']!, '-c', join(dir, 'knot.conf')];
  });
}

/** Where PowerDNS' HTTP API is, beside its DNS. */
export interface PowerdnsServer extends DnsServer {
  readonly api: string;
}
export const API_KEY = 'a key of the API';

export async function startPowerdns(paths: Readonly<Record<string, string>>): Promise<PowerdnsServer> {
  const apiPort = await freePort();
  const server = await startProcess('powerdns', (dir, port) => {
    const database = join(dir, 'pdns.sqlite3');
    const zone = ZONE.replace(/\.$/, '');
    const sql = `
      INSERT INTO domains (id, name, type) VALUES (1, '${zone}', 'NATIVE');
      INSERT INTO records (domain_id, name, type, content, ttl, prio, disabled, auth) VALUES
        (1, '${zone}', 'SOA', 'ns.${ZONE} hostmaster.${ZONE} 1 60 60 86400 1', 60, 0, 0, 1),
        (1, '${zone}', 'NS', 'ns.${zone}', 60, 0, 0, 1), (1, 'ns.${zone}', 'A', '127.0.0.1', 60, 0, 0, 1);
      INSERT INTO tsigkeys (name, algorithm, secret) VALUES ('${KEY.name}', '${KEY.algorithm}', '${KEY.secret}');
      INSERT INTO domainmetadata (domain_id, kind, content) VALUES (1, 'TSIG-ALLOW-DNSUPDATE', '${KEY.name}'), (1, 'SOA-EDIT-DNSUPDATE', 'INCREASE');`;
    execFileSync(paths['sqlite3']!, [database], { input: readFileSync('/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql', 'utf8') + sql });
    writeFileSync(
      join(dir, 'pdns.conf'),
      `launch=gsqlite3\ngsqlite3-database=${database}\nlocal-address=127.0.0.1\nlocal-port=${port}\nsocket-dir=${dir}\nsecurity-poll-suffix=\ndnsupdate=yes\nallow-dnsupdate-from=127.0.0.0/8\n` +
        `distributor-threads=1\nreceiver-threads=1\nloglevel=4\n` +
        `webserver=yes\nwebserver-address=127.0.0.1\nwebserver-port=${apiPort}\napi=yes\napi-key=${API_KEY}\n`,
    );
    return [paths['pdns_server']!, `--config-dir=${dir}`, '--daemon=no', '--guardian=no'];
  });
  return { ...server, api: `http://127.0.0.1:${apiPort}` };
}

/** Starts a server in a directory of its own and waits until it answers for its zone. */
async function startProcess(kind: string, configure: (dir: string, port: number) => string[]): Promise<DnsServer & { reload(): void }> {
  const dir = mkdtempSync(join(tmpdir(), `understudy-${kind}-`));
  const port = await freePort();
  const [command, ...args] = configure(dir, port);
  const child = spawn(command!, args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const stop = async (): Promise<void> => {
    await stopProcess(child);
    rmSync(dir, { recursive: true, force: true });
  };
  const address = { host: '127.0.0.1', port };
  const untilMs = performance.now() + START_MS;
  while (!(await answers(address))) {
    if (child.exitCode !== null || performance.now() > untilMs) {
      await stop();
      throw new Error(`${kind} did not come up:\n${log}`);
    }
    await sleep(20);
  }
  return { kind, address, stop, reload: () => void child.kill('SIGHUP') };
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(timer);
}

async function answers(address: HostPort): Promise<boolean> {
  const answer = await query(address, ZONE, TYPE.SOA, undefined, { timeoutMs: 500, signal: new AbortController().signal });
  return answer.outcome === 'answer' && answer.reply.authoritative;
}

/** A port on which nobody listens, neither over UDP nor over TCP. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

/** A server that takes everything and answers nothing, over UDP and TCP. */
export const startSilent = (): Promise<DnsServer> => startPath('silent', undefined, () => undefined);

type Passed = Buffer | undefined | Promise<Buffer | undefined>;

/** A path to a server that may lose, spoil or hold up what it answers. `back` is given each request and its answer, and returns what goes on. */
export async function startPath(kind: string, to: HostPort | undefined, back: (request: Buffer, answer: Buffer) => Passed): Promise<DnsServer> {
  const tcp = createServer();
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket('udp4');
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  const sockets = new Set<Socket>();
  const onward = new Set<UdpSocket>();
  tcp.on('connection', (client) => {
    sockets.add(client);
    client.on('error', () => client.destroy());
    const requests = new Frames();
    client.on('data', (chunk) => {
      for (const request of requests.push(chunk)) if (to !== undefined) passTcp(to, request, (answer) => back(request, answer), client, sockets);
    });
  });
  udp.on('message', (request, from) => {
    if (to === undefined) return;
    const socket = createSocket('udp4');
    onward.add(socket);
    socket.on('message', (answer) => pass(back(request, answer), (passed) => udp.send(passed, from.port, from.address)));
    socket.send(request, to.port, to.host);
  });
  return {
    kind,
    address: { host: '127.0.0.1', port },
    async stop() {
      for (const socket of sockets) socket.destroy();
      for (const socket of onward) socket.close();
      await Promise.all([new Promise<void>((resolve) => udp.close(() => resolve())), new Promise<void>((resolve) => tcp.close(() => resolve()))]);
    },
  };
}

function passTcp(to: HostPort, request: Buffer, back: (answer: Buffer) => Passed, client: Socket, sockets: Set<Socket>): void {
  const socket = connect(to.port, to.host, () => socket.write(frame(request)));
  sockets.add(socket);
  const replies = new Frames();
  socket.on('data', (chunk) => {
    for (const answer of replies.push(chunk)) pass(back(answer), (passed) => client.write(frame(passed)));
  });
}

/** What fails in `back` fails the test, as an unhandled rejection. */
function pass(back: Passed, on: (answer: Buffer) => void): void {
  void Promise.resolve(back).then((answer) => answer !== undefined && on(answer));
}
