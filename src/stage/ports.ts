import dgram from 'node:dgram';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { UnderstudyError } from '../model/error.ts';

/** Every port of a stage. All are of 127.0.0.1. */
export interface StagePorts {
  readonly temporal: number;
  readonly ui: number;
  readonly temporalHttp: number;
  readonly temporalMetrics: number;
  readonly dns: number;
  readonly members: readonly number[];
}

export const HOST = '127.0.0.1';
export const DEFAULT_PORT_BASE = 25_400;
const BESIDES_MEMBERS = 5;

export const portsFrom = (base: number, members: number): StagePorts => ({
  temporal: base,
  ui: base + 1,
  temporalHttp: base + 2,
  temporalMetrics: base + 3,
  dns: base + 4,
  members: Array.from({ length: members }, (_, index) => base + BESIDES_MEMBERS + index),
});

/**
 * The ports of a stage, all of them free now.
 *
 * @param base the lowest; 0: found. They lie below the range from which the kernel serves outgoing connections: a member that is down
 * for a while must find its port free when it returns.
 * @throws UnderstudyError `BadInput` that names a port that is taken
 */
export async function choosePorts(base: number, members: number): Promise<StagePorts> {
  const count = BESIDES_MEMBERS + members;
  if (base !== 0) {
    if (!Number.isInteger(base) || base < 1024 || base + count > 65_535)
      throw new UnderstudyError('BadInput', `--port-base ${base}: the stage needs ${count} ports from there on, between 1024 and 65535; 0 finds free ones`);
    for (let port = base; port < base + count; port += 1) {
      const code = await whyTaken(port, port === base + 4);
      if (code !== undefined) {
        throw new UnderstudyError(
          'BadInput',
          `port ${port} of ${HOST} is taken (${code}), and the stage needs ${base} to ${base + count - 1}. Next: end what listens there, or choose others with --port-base (0 finds free ones)`,
          { port },
        );
      }
    }
    return portsFrom(base, members);
  }
  const [lowest, highest] = [10_000, firstOutgoing() - count];
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const chosen = lowest + Math.floor(Math.random() * (highest - lowest));
    const wanted = Array.from({ length: count }, (_, index) => chosen + index);
    const taken = await Promise.all(wanted.map((port) => whyTaken(port, port === chosen + 4)));
    if (taken.every((code) => code === undefined)) return portsFrom(chosen, members);
  }
  throw new UnderstudyError('BadInput', `no ${count} free ports in a row were found between ${lowest} and ${highest}. Next: name a place with --port-base`);
}

/** Whether the stage could have its ports from there on. */
export async function isPortBaseFree(base: number, members: number): Promise<boolean> {
  const ports = Array.from({ length: BESIDES_MEMBERS + members }, (_, index) => base + index);
  const codes = await Promise.all(ports.map((port) => whyTaken(port, true)));
  return codes.every((code) => code === undefined);
}

function firstOutgoing(): number {
  const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/);
  const first = Number(range[0]);
  return first > 20_000 ? first : 32_768;
}

/** The error's code; undefined where the port is free. */
async function whyTaken(port: number, datagrams: boolean): Promise<string | undefined> {
  const stream = net.createServer();
  const taken = await new Promise<string | undefined>((resolve) => {
    stream.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    stream.listen(port, HOST, () => resolve(undefined));
  });
  if (taken !== undefined) return taken;
  await new Promise((resolve) => stream.close(resolve));
  if (!datagrams) return undefined;
  const socket = dgram.createSocket('udp4');
  const busy = await new Promise<string | undefined>((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.bind(port, HOST, () => resolve(undefined));
  });
  socket.close();
  return busy;
}
