import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './dns-servers.ts';

const START_MS = 15_000;

export interface WebServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** A server of a pool; at a port of before, it is back. */
export async function startWeb(listener: RequestListener, port = 0): Promise<WebServer> {
  const server = createServer(listener).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export interface Haproxy {
  /** Of the runtime API, at the level `admin`. */
  readonly socket: string;
  /** The same over TCP. */
  readonly runtime: { readonly host: string; readonly port: number };
  /** A socket that may only look. */
  readonly userSocket: string;
  /** Where clients come. */
  readonly url: string;
  /** Ends it with a signal, as an upgrade or a crash does, and starts it anew with the same configuration. */
  restart(signal: 'SIGUSR1' | 'SIGKILL'): Promise<void>;
  stop(): Promise<void>;
}

/** A HAProxy with the backend `web`, and further ones as `more` has them. */
export async function startHaproxy(program: string, servers: Readonly<Record<string, number>>, more = ''): Promise<Haproxy> {
  const dir = mkdtempSync(join(tmpdir(), 'understudy-haproxy-'));
  const [port, runtimePort] = [await freePort(), await freePort()];
  const [socket, userSocket] = [join(dir, 'admin.sock'), join(dir, 'user.sock')];
  const lines = Object.entries(servers).map(([name, serverPort]) => `  server ${name} 127.0.0.1:${serverPort} check inter 100ms fall 2 rise 1`);
  writeFileSync(
    join(dir, 'haproxy.cfg'),
    `global\n  nbthread 1\n  stats socket ${socket} mode 600 level admin\n  stats socket ipv4@127.0.0.1:${runtimePort} level admin\n  stats socket ${userSocket} mode 600 level user\n` +
      `defaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n` +
      `frontend in\n  bind 127.0.0.1:${port}\n  default_backend web\nbackend web\n  balance roundrobin\n${lines.join('\n')}\n${more}\n`,
  );
  let child = await start(program, dir, socket);
  return {
    socket,
    userSocket,
    runtime: { host: '127.0.0.1', port: runtimePort },
    url: `http://127.0.0.1:${port}/`,
    async restart(signal) {
      await end(child, signal);
      child = await start(program, dir, socket);
    },
    async stop() {
      await end(child, 'SIGTERM');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function start(program: string, dir: string, socket: string): Promise<ChildProcess> {
  const child = spawn(program, ['-f', join(dir, 'haproxy.cfg'), '-db'], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const untilMs = performance.now() + START_MS;
  while (!(await takes(socket))) {
    if (child.exitCode !== null || performance.now() > untilMs) {
      await end(child, 'SIGKILL');
      throw new Error(`haproxy did not come up:\n${log}`);
    }
    await sleep(10);
  }
  return child;
}

async function takes(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === 'connect') return false;
    throw error;
  } finally {
    socket.destroy();
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
