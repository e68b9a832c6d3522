import { createServer, type Server } from 'node:http';
import type { Logger } from 'pino';
import type { HostPort } from '../model/config.ts';

/**
 * Tells the metrics to whoever asks on this machine. A port that is taken costs the metrics, and nothing else: it is logged, and the agent goes on.
 */
export function serveMetrics({ host, port }: HostPort, text: () => string, log: Logger): Server {
  const server = createServer((request, response) => {
    if ((request.method !== 'GET' && request.method !== 'HEAD') || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('GET /metrics\n');
      return;
    }
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text());
  });
  // A reader that is slow or silent holds no place.
  server.requestTimeout = 5000;
  server.headersTimeout = 5000;
  server.maxConnections = 16;
  server.on('error', (error) => log.error({ err: error, host, port }, 'metrics are not told'));
  server.listen(port, host, () => log.info({ host, port }, 'metrics are told'));
  server.unref();
  return server;
}
