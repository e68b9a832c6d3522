import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { GrpcProbeConfig } from '../../src/model/probe.ts';
import { openProbe } from '../../src/probes/index.ts';
import type { Look } from '../../src/probes/probe.ts';
import { freePort, until } from '../support/postgres.ts';
import { flood, startTcp } from '../support/probe-servers.ts';
import type { ProbeServer } from '../support/probe-servers.ts';

const never = new AbortController().signal;
const LONG = 's'.repeat(300);
/** Answers by service: the response's bytes, or a gRPC status. */
const ANSWERS: Readonly<Record<string, Buffer | number>> = {
  '': Buffer.from([8, 1]),
  [LONG]: Buffer.from([8, 1]),
  sick: Buffer.from([8, 2]),
  blank: Buffer.alloc(0),
  huge: Buffer.alloc(10_000_000, 8),
  secret: status.UNAUTHENTICATED,
  overloaded: status.UNAVAILABLE,
};

const look = (port: number, values: Partial<GrpcProbeConfig> = {}, signal = never): Promise<Look> =>
  openProbe({ type: 'grpc', host: '127.0.0.1', port, timeoutMs: 10_000, ...values }, () => '').look(signal);

interface Request {
  readonly service: string;
}

/** The service that a request names: one field, whose length may take two bytes. */
const readRequest = (bytes: Buffer): Request => ({ service: bytes.length === 0 ? '' : bytes.subarray((bytes[1] as number) > 0x7f ? 3 : 2).toString() });

describe('the grpc probe', () => {
  const server = new Server();
  let port: number;

  beforeAll(async () => {
    const definition = {
      Check: {
        path: '/grpc.health.v1.Health/Check',
        requestStream: false,
        responseStream: false,
        requestSerialize: ({ service }: Request) => Buffer.from(service),
        requestDeserialize: readRequest,
        responseSerialize: (bytes: Buffer) => bytes,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    };
    server.addService(definition, {
      Check: ({ request }: ServerUnaryCall<Request, Buffer>, answer: sendUnaryData<Buffer>) => {
        if (request.service === 'hung') return;
        const found = ANSWERS[request.service] ?? status.NOT_FOUND;
        if (typeof found === 'number') answer({ code: found, details: 'said so' });
        else answer(null, found);
      },
    });
    port = await new Promise((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error === null ? resolve(bound) : reject(error)));
    });
  });
  afterAll(() => server.forceShutdown());

  const table: [service: string | undefined, expected: object][] = [
    [undefined, { outcome: 'up', latencyMs: expect.any(Number) }],
    [LONG, { outcome: 'up' }],
    ['sick', { outcome: 'down', words: expect.stringContaining('NOT_SERVING') }],
    ['blank', { outcome: 'down', words: expect.stringContaining('UNKNOWN') }],
    ['none', { outcome: 'down', words: expect.stringContaining('gRPC status 5') }],
    ['huge', { outcome: 'down', words: expect.stringContaining('larger than 64 kB') }],
    ['overloaded', { outcome: 'down', words: expect.stringContaining('gRPC status 14: said so') }],
    ['secret', { outcome: 'unknown', words: expect.stringContaining('gRPC status 16') }],
  ];
  it.each(table)('service %s', async (service, expected) => {
    expect(await look(port, service === undefined ? {} : { service })).toMatchObject(expected);
  });

  it('a service that hangs is down when the timeout is over', async () => {
    expect(await look(port, { service: 'hung', timeoutMs: 200 })).toMatchObject({ outcome: 'down', words: 'no answer in 200 ms (waiting for the answer)' });
  });
});

describe('the grpc probe where no gRPC answers', () => {
  const servers: ProbeServer[] = [];
  const serve = async (...args: Parameters<typeof startTcp>): Promise<ProbeServer> => {
    const server = await startTcp(...args);
    servers.push(server);
    return server;
  };
  afterEach(async () => {
    for (const server of servers) await until('nothing stays open', () => server.open() === 0);
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  it('a closed port is down, again and again', async () => {
    const port = await freePort();
    for (const _look of [1, 2]) expect(await look(port)).toMatchObject({ outcome: 'down', words: expect.stringContaining('ECONNREFUSED') });
  });

  it('what is not gRPC, 10 MB of it, and silence are down', async () => {
    expect(await look((await serve((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))).port, { timeoutMs: 1000 })).toMatchObject({ outcome: 'down' });
    expect(await look((await serve(flood)).port, { timeoutMs: 1000 })).toMatchObject({ outcome: 'down' });
    expect(await look((await serve()).port, { timeoutMs: 200 })).toMatchObject({ outcome: 'down', words: expect.stringContaining('no answer') });
  });

  it('I3: an address that this host may not send to, and a look that is aborted, are unknown', async () => {
    expect(await look(80, { host: '255.255.255.255' })).toMatchObject({ outcome: 'unknown' });
    const server = await serve();
    const stop = new AbortController();
    const looking = look(server.port, { timeoutMs: 60_000 }, stop.signal);
    await until('it is connected', () => server.open() === 1);
    stop.abort();
    expect(await looking).toMatchObject({ outcome: 'unknown', words: expect.stringContaining('stopped') });
  });
});
