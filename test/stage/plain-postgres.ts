import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { findPostgres } from '../../src/runtime/tools/postgres.ts';
import { accountOf } from '../../src/stage/account.ts';

/** A PostgreSQL server of no group, for tests of the writer. */
export interface PlainPostgres {
  readonly port: number;
  readonly pid: number;
  end(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function startPlainPostgres(): Promise<PlainPostgres> {
  const { binDir } = await findPostgres({ fetch: true });
  const dir = mkdtempSync(path.join(tmpdir(), 'understudy-plain-'));
  const account = accountOf();
  const as = account === undefined ? {} : { uid: account.uid, gid: account.gid };
  if (account !== undefined) chownSync(dir, account.uid, account.gid);
  const data = path.join(dir, 'data');
  await execa(path.join(binDir, 'initdb'), ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '-E', 'UTF8', '--no-locale'], { ...as, cwd: dir });
  writeFileSync(path.join(data, 'postgresql.auto.conf'), `listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n`);
  const port = await freePort();
  const server = execa('setpriv', ['--pdeathsig', 'KILL', '--', path.join(binDir, 'postgres'), '-D', data, '-p', String(port)], {
    ...as,
    cwd: dir,
    stdio: 'ignore',
    reject: false,
  });
  const end = async (): Promise<void> => {
    server.kill('SIGKILL');
    await server;
    rmSync(dir, { recursive: true, force: true });
  };
  const limitMs = Date.now() + 15_000;
  for (;;) {
    if (await answers(port)) return { port, pid: server.pid ?? 0, end };
    if (Date.now() > limitMs) {
      await end();
      throw new Error(`PostgreSQL does not answer on port ${port}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
