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

const limits = { perSecond: 1e6, burst: 1e6 };
const server = fork(program, [JSON.stringify({ directory: path.join(directory, 'state'), port: 0, limits })], {
  env: { ...process.env, SHOP_KEY: 'shop-secret' },
  execArgv: [],
});
try {
  const [{ url }] = await once(server, 'message');
  execFileSync('taskset', ['-apc', '0', String(server.pid)], { stdio: 'ignore' });
  const features = Object.fromEntries(Array.from({ length: 20 }, (_, nth) => [`feature.${nth}`, nth % 2 === 0]));
  server.send({ source: 'up' });
  await once(server, 'message');
  server.send({ put: { service: 'checkout', level: 'full', score: 100, features, revision: 1, sinceMs: Date.now() } });
  await once(server, 'message');

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
  const cpuMs = () => {
    const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  };
  const run = (connections, delayMs, forSeconds) => {
    const file = path.join(directory, 'wrk.lua');
    writeFileSync(file, script(delayMs));
    const beforeMs = cpuMs();
    const args = ['-c', '1', 'wrk', '-t1', `-c${connections}`, `-d${forSeconds}s`, '-s', file, `${url}/ofrep/v1/evaluate/flags/feature.2`];
    const text = execFileSync('taskset', args, { encoding: 'utf8' });
    const found = JSON.parse(/\{"requests".*\}/.exec(text)[0]);
    return { ...found, perSecond: Math.round(found.requests / (found.us / 1e6)), cpu: Math.round((100 * (cpuMs() - beforeMs)) / (found.us / 1000)) };
  };
  run(64, 0, 3); // Compiled by now.
  for (const [title, connections, delayMs] of [
    ['as fast as it can', 64, 0],
    ['paced', 100, 9],
  ]) {
    const { perSecond, p50, p99, p999, errors, cpu } = run(connections, delayMs, seconds);
    say(`${title}: ${perSecond} evaluations/s, p50 ${p50 / 1000} ms, p99 ${p99 / 1000} ms, p99.9 ${p999 / 1000} ms, errors ${errors}, server CPU ${cpu} %`);
  }
  say(`${cpus()[0].model}, Node ${process.version}`);
} finally {
  const gone = once(server, 'exit');
  server.kill('SIGKILL');
  await gone;
  rmSync(directory, { recursive: true, force: true });
}
