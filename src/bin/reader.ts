/**
 * A reader in a process of its own, which looks at every member all the time:
 *
 *     node dist/src/bin/reader.js --member 10.77.1.2:25405 --member 10.77.2.2:25406 --user app --database app --log reader.jsonl
 *
 * It says `{"ready":true}` when it begins, and ends in order on SIGTERM.
 */
import { parseArgs } from 'node:util';
import { runReader } from '../stage/reader.ts';

const { values } = parseArgs({
  options: {
    member: { type: 'string', multiple: true },
    user: { type: 'string' },
    database: { type: 'string' },
    log: { type: 'string' },
    by: { type: 'string', default: 'writer' },
    'period-ms': { type: 'string', default: '100' },
    'limit-ms': { type: 'string', default: '500' },
  },
});
const { member, user, database, log } = values;
if (member === undefined || user === undefined || database === undefined || log === undefined) {
  process.stderr.write('usage: reader --member HOST:PORT ... --user U --database D --log FILE\n');
  process.exit(64);
}
const members = member.map((text) => {
  const [host = '', port] = text.split(':');
  return { host, port: Number(port) };
});
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());
process.stdout.write(`${JSON.stringify({ ready: true, pid: process.pid })}\n`);
await runReader(
  { members, user, database, logFile: log, by: values.by, periodMs: Number(values['period-ms']), limitMs: Number(values['limit-ms']) },
  stop.signal,
);
