import dgram from 'node:dgram';
import dns from 'dns-packet';
import type { Answer, DecodedPacket, SrvAnswer } from 'dns-packet';
import type { HostPort } from '../model/config.ts';

/**
 * Where a service is now, asked of the authoritative server itself: no resolver's cache stands between.
 *
 * @param name of an SRV set, absolute or not
 * @throws Error where there is no answer in time, or it names nobody
 */
export async function resolveService(server: HostPort, name: string, timeoutMs: number): Promise<HostPort> {
  const reply = await ask(server, name, 'SRV', timeoutMs);
  const service = (reply.answers ?? [])
    .filter((answer): answer is SrvAnswer & Answer => answer.type === 'SRV')
    .map((answer) => answer.data)
    .sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0))[0];
  if (service === undefined) throw new Error(`${name} has no SRV record (${codeOf(reply)})`);
  const given = addressIn([...(reply.additionals ?? []), ...(reply.answers ?? [])], service.target);
  const host = given ?? addressIn((await ask(server, service.target, 'A', timeoutMs)).answers ?? [], service.target);
  if (host === undefined) throw new Error(`${service.target}, which ${name} points to, has no address`);
  return { host, port: service.port };
}

function addressIn(answers: readonly Answer[], name: string): string | undefined {
  const found = answers.find((answer) => answer.type === 'A' && plain(answer.name) === plain(name));
  return found?.type === 'A' ? found.data : undefined;
}

const plain = (name: string): string => name.replace(/\.$/, '').toLowerCase();
const codeOf = (reply: DecodedPacket): string => (reply as DecodedPacket & { rcode?: string }).rcode ?? 'no code';

let nextId = process.pid & 0xffff;

function ask(server: HostPort, name: string, type: 'SRV' | 'A', timeoutMs: number): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    nextId = (nextId + 1) & 0xffff;
    const id = nextId;
    const socket = dgram.createSocket('udp4');
    const timer = setTimeout(() => finish(() => reject(new Error(`no answer from DNS ${server.host}:${server.port} within ${timeoutMs} ms`))), timeoutMs);
    const finish = (then: () => void): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      // A socket that was closed by its own error has nothing to close.
      socket.on('error', () => undefined);
      socket.close();
      then();
    };
    socket.on('error', (error) => finish(() => reject(error)));
    socket.on('message', (message) => {
      const reply = dns.decode(message);
      if (reply.id === id) finish(() => resolve(reply));
    });
    // Connected, so that a port where nobody listens is an error and not a silence.
    socket.connect(server.port, server.host, () => {
      socket.send(dns.encode({ type: 'query', id, flags: 0, questions: [{ type, name: plain(name) }] }));
    });
  });
}
