/**
 * A writer in a process of its own. It knows the DNS server, the record's name, the user and the database, and nothing else.
 *
 *     node dist/src/bin/writer.js --dns 127.0.0.1:5353 --record _postgresql._tcp.orders.understudy.test. --user app --database app --log w.jsonl
 *
 * With `--pinned host:port` (once for each member) it holds on to those servers instead, to see whether one that is no longer the
 * primary acknowledges anything; it makes no table. It says `{"ready":true}` at the first acknowledgement, or at once where it is pinned,
 * and ends in order on SIGTERM.
 */
import { parseArgs } from 'node:util';
import { runWriter } from '../stage/writer.ts';
import type { WriterOptions } from '../stage/writer.ts';
import type { HostPort } from '../model/config.ts';

const { values } = parseArgs({
  options: {
    dns: { type: 'string' },
    record: { type: 'string' },
    user: { type: 'string' },
    database: { type: 'string' },
    log: { type: 'string' },
    by: { type: 'string', default: 'writer' },
    'period-ms': { type: 'string', default: '10' },
    'connect-timeout-ms': { type: 'string', default: '300' },
    'query-timeout-ms': { type: 'string', default: '1000' },
    pinned: { type: 'string', multiple: true },
  },
});

function required(name: 'dns' | 'record' | 'user' | 'database' | 'log'): string {
  const value = values[name];
  if (value === undefined) usage(`--${name} is missing`);
  return value;
}

function usage(words: string): never {
  process.stderr.write(`writer: ${words}\nusage: writer (--dns HOST:PORT --record NAME | --pinned HOST:PORT ...) --user U --database D --log FILE\n`);
  process.exit(64);
}

function hostPort(text: string): HostPort {
  const found = /^(.+):(\d+)$/.exec(text);
  if (found === null) usage(`${text} is not HOST:PORT`);
  return { host: found[1] ?? '', port: Number(found[2]) };
}

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());

const common = {
  user: required('user'),
  database: required('database'),
  periodMs: Number(values['period-ms']),
  connectTimeoutMs: Number(values['connect-timeout-ms']),
};
const logFile = required('log');
const writers: WriterOptions[] =
  values.pinned === undefined
    ? [
        {
          ...common,
          by: values.by,
          logFile,
          retryMs: 25,
          queryTimeoutMs: Number(values['query-timeout-ms']),
          target: { find: 'by-name', dns: hostPort(required('dns')), record: required('record') },
        },
      ]
    : // No time-out: an acknowledgement that a frozen server gives a minute later is just what is looked for.
      values.pinned.map((server, index) => ({
        ...common,
        by: `${values.by}-${index + 1}`,
        logFile: `${logFile}.${index + 1}`,
        retryMs: 100,
        target: { find: 'pinned' as const, server: hostPort(server) },
      }));

let ready = false;
const sayReady = (): void => {
  if (ready) return;
  ready = true;
  process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid })}\n`);
};
if (values.pinned !== undefined) sayReady();
await Promise.all(writers.map((writer) => runWriter(writer, stop.signal, sayReady)));
