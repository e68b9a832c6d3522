// How many single evaluations a second the flag server answers on one core, and how fast at half of the wanted rate: `node test/flags/load.mjs [seconds]`.
//
// wrk (Debian) asks from the other core: first as fast as it can over 64 connections, then paced to about 10,000 a second: 100 connections that each wait
// 9 ms before the next request. The server runs in a process of its own, held to one core, and its CPU time is read from /proc.
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { rolldown } from 'rolldown';

const seconds = Number(process.argv[2] ?? 10);
const directory = mkdtempSync(path.join(tmpdir(), 'flags-load-'));
const say = (words) => process.stdout.write(`${words}\n`);

const made = await rolldown({ input: path.join(import.meta.dirname, 'server-process.mjs'), platform: 'node', logLevel: 'silent' });
const { output } = await made.generate({ format: 'esm', codeSplitting: false });
await made.close();
const program = path.join(directory, 'server.mjs');
writeFileSync(program, output[0].code);

// What node:http alone can do here: it reads the body and answers the same bytes, whatever was asked.
const bare = path.join(directory, 'bare.mjs');
writeFileSync(
  bare,
  `import { createServer } from 'node:http';
const server = createServer((request, response) => {
  request.on('data', () => {}).on('end', () => {
    const body = Buffer.from(JSON.stringify({ key: 'feature.2', value: true, reason: 'STATIC', variant: 'on' }));
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  });
}).listen(0, '127.0.0.1', () => process.send({ url: 'http://127.0.0.1:' + server.address().port }));
process.on('disconnect', () => process.exit());`,
);

const limits = { perSecond: 1e6, burst: 1e6 };
const start = async (file) => {
  const child = fork(file, [JSON.stringify({ directory: path.join(directory, 'state'), port: 0, limits })], {
    env: { ...process.env, SHOP_KEY: 'shop-secret' },
    execArgv: [],
  });
  const [{ url }] = await once(child, 'message');
  execFileSync('taskset', ['-apc', '0', String(child.pid)], { stdio: 'ignore' });
  return { child, url };
};
const ours = await start(program);
const theirs = await start(bare);
try {
  const features = Object.fromEntries(Array.from({ length: 20 }, (_, nth) => [`feature.${nth}`, nth % 2 === 0]));
  for (const message of [{ source: 'up' }, { put: { service: 'checkout', level: 'full', score: 100, features, revision: 1, sinceMs: Date.now() } }]) {
    ours.child.send(message);
    await once(ours.child, 'message');
  }

  const script = (delayMs) => `
wrk.method = "POST"
wrk.body = '{"context":{"targetingKey":"u1","plan":"gold"}}'
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer shop-secret"
${delayMs === 0 ? '' : `function delay() return ${delayMs} end`}
function done(summary, latency, requests)
  io.write(string.format('{"requests":%d,"us":%d,"p50":%d,"p99":%d,"p999":%d,"errors":%d}',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end`;
  const cpuMs = ({ child: server }) => {
    const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  };
  const run = (target, connections, delayMs, forSeconds) => {
    const file = path.join(directory, 'wrk.lua');
    writeFileSync(file, script(delayMs));
    const beforeMs = cpuMs(target);
    const args = ['-c', '1', 'wrk', '-t1', `-c${connections}`, `-d${forSeconds}s`, '-s', file, `${target.url}/ofrep/v1/evaluate/flags/feature.2`];
    const text = execFileSync('taskset', args, { encoding: 'utf8' });
    const found = JSON.parse(/\{"requests".*\}/.exec(text)[0]);
    return { ...found, perSecond: Math.round(found.requests / (found.us / 1e6)), cpu: Math.round((100 * (cpuMs(target) - beforeMs)) / (found.us / 1000)) };
  };
  for (const target of [ours, theirs]) run(target, 64, 0, 3); // Compiled by now.
  for (const { title, target, connections, delayMs } of [
    { title: 'as fast as it can', target: ours, connections: 64, delayMs: 0 },
    { title: 'node:http alone, as fast as it can', target: theirs, connections: 64, delayMs: 0 },
    { title: 'paced', target: ours, connections: 100, delayMs: 9 },
  ]) {
    const { perSecond, p50, p99, p999, errors, cpu } = run(target, connections, delayMs, seconds);
    say(
      `${title}: ${perSecond} evaluations/s, p50 ${p50 / 1000} ms, p99 ${p99 / 1000} ms, p99.9 ${p999 / 1000} ms, errors ${errors}, server CPU ${cpu} %: ${Math.round((100 * perSecond) / cpu)} a second of CPU`,
    );
  }
  say(`${cpus()[0].model}, Node ${process.version}`);
} finally {
  for (const { child } of [ours, theirs]) {
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  rmSync(directory, { recursive: true, force: true });
}
