import dgram from 'node:dgram';
import dns, { type DecodedPacket } from 'dns-packet';
import { HOST } from '../../src/stage/ports.ts';
import type { Stage } from '../../src/stage/stage.ts';
import { RECORD } from '../../src/stage/stage-file.ts';

const LIMIT_MS = 5000;

/** The group's record as any client may ask for it: the port that it points to, and the marker beside it. */
export async function readRecord(stage: Stage): Promise<{ port: number; marker: string }> {
  const [service, marker] = await Promise.all([ask(stage.dnsPort, RECORD, 'SRV'), ask(stage.dnsPort, `_understudy.srv.${RECORD}`, 'TXT')]);
  const ports = (service.answers ?? []).flatMap((answer) => (answer.type === 'SRV' ? [answer.data.port] : []));
  const texts = (marker.answers ?? []).flatMap((answer) => (answer.type === 'TXT' ? [[answer.data].flat().map(String).join('')] : []));
  const [port, text] = [ports[0], texts[0]];
  if (port === undefined || text === undefined || ports.length > 1 || texts.length > 1)
    throw new Error(`one record and one marker were expected: ${JSON.stringify({ ports, texts })}`);
  return { port, marker: text };
}

function ask(port: number, name: string, type: 'SRV' | 'TXT'): Promise<DecodedPacket> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket('udp4');
    const timer = setTimeout(() => socket.emit('error', new Error(`no answer about ${name} ${type} within ${LIMIT_MS} ms`)), LIMIT_MS);
    const end = (then: () => void): void => {
      clearTimeout(timer);
      socket.close();
      then();
    };
    socket.once('error', (error) => end(() => reject(error)));
    socket.once('message', (message) => end(() => resolve(dns.decode(message))));
    socket.send(dns.encode({ type: 'query', id: 1, flags: 0, questions: [{ type, name: name.replace(/\.$/, '') }] }), port, HOST);
  });
}
