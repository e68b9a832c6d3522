import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** A server that counts its open connections, so that a test can see what a probe leaves behind. */
export interface ProbeServer {
  readonly port: number;
  open(): number;
  stop(): Promise<void>;
}

/** Any server of Node's, plain or with TLS, on a free port; what is still connected at its end is cut off. */
export async function listen(server: Server): Promise<ProbeServer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()); // A probe may reset what it has seen enough of.
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    open: () => sockets.size,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Takes connections and hands each to `serve`; without it, never says a word. */
export function startTcp(serve: (socket: Socket) => void = () => undefined): Promise<ProbeServer> {
  return listen(
    createServer((socket) => {
      socket.resume();
      serve(socket);
    }),
  );
}

/** Sends 10 MB as fast as it is taken. */
export function flood(socket: NodeJS.WritableStream): void {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let left = 160;
  const more = (): void => {
    while (left > 0) {
      left -= 1;
      if (!socket.write(chunk)) return void socket.once('drain', more);
    }
    socket.end();
  };
  more();
}
