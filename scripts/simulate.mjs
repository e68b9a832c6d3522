/**
 * `npm run simulate`: plays schedules of faults against the real workflows, agents and guards in a simulated world (docs/simulation.md).
 *
 *   -- --schedules 1000000 [--from S] [--processes N]   so many, from that seed on
 *   -- --seed S                                         one, with its story
 *   -- --mutations [--write] [--only ID] [--within N]   takes each rule out in turn, and says in which schedule that was caught
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { MUTATIONS } from '../test/simulation/mutations.mjs';
import { ROOT, ensureDependencies, requireNode, run, say, tool } from './steps.mjs';

const MAIN = path.join(ROOT, 'dist', 'test', 'simulation', 'main.js');
const NODE = ['--max-semi-space-size=64', '--import', path.join(ROOT, 'test', 'simulation', 'load', 'register.mjs'), MAIN];
/** Small enough that every process has work to the end, and that progress is seen. */
const BATCH = 500;

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '10000' },
    from: { type: 'string', default: '1' },
    processes: { type: 'string', default: String(availableParallelism()) },
    seed: { type: 'string' },
    mutations: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    only: { type: 'string' },
    within: { type: 'string' },
    built: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

requireNode();
await ensureDependencies('all');
if (!values.built && (await run(process.execPath, [tool('tsc'), '-p', path.join(ROOT, 'test', 'simulation')])) !== 0) process.exit(1);
if (values.seed !== undefined) process.exitCode = await run(process.execPath, [...NODE, '--seed', values.seed]);
else if (values.mutations) process.exitCode = await takeRulesOut();
else process.exitCode = await playAll();

function playSome(args, mutation) {
  return new Promise((resolve, reject) => {
    const env = mutation === undefined ? process.env : { ...process.env, SIMULATION_MUTATION: JSON.stringify(mutation) };
    const child = spawn(process.execPath, [...NODE, ...args], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (chunk) => (text += chunk));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(JSON.parse(text)) : reject(new Error(`a process of the simulation ended with code ${code}`))));
  });
}

async function playAll() {
  const [count, first, processes] = [Number(values.schedules), Number(values.from), Number(values.processes)];
  const totals = { schedules: 0, events: 0, simulatedMs: 0, acknowledged: 0, promotions: 0, waitsForPerson: 0, slowestHealMs: 0, cpuMs: 0, failures: [] };
  const startedMs = Date.now();
  let next = first;
  await Promise.all(
    Array.from({ length: processes }, async () => {
      while (next < first + count) {
        const from = next;
        next = Math.min(next + BATCH, first + count);
        const played = await playSome(['--from', String(from), '--count', String(next - from)]);
        for (const key of ['schedules', 'events', 'simulatedMs', 'acknowledged', 'promotions', 'waitsForPerson', 'cpuMs']) totals[key] += played[key];
        totals.slowestHealMs = Math.max(totals.slowestHealMs, played.slowestHealMs);
        totals.failures.push(...played.failures);
        if (process.stderr.isTTY) process.stderr.write(`\r${totals.schedules} of ${count}, ${totals.failures.length} failed`);
      }
    }),
  );
  const tookMs = Date.now() - startedMs;
  if (values.json) process.stdout.write(`${JSON.stringify({ ...totals, tookMs })}\n`);
  else {
    for (const { seed, rule, words, story } of totals.failures) say(`\n---- seed ${seed}: ${rule}: ${words}\n${story}`);
    say(
      `\n${totals.schedules} schedules (${totals.events} events, ${Math.round(totals.simulatedMs / 3_600_000)} h simulated, ${totals.acknowledged} writes acknowledged, ${totals.promotions} promotions) in ${(tookMs / 1000).toFixed(1)} s, ${(totals.cpuMs / 1000).toFixed(0)} s of processor; ${totals.waitsForPerson} ended where a person has to speak; ${totals.failures.length} broke a rule`,
    );
  }
  return totals.failures.length === 0 ? 0 : 1;
}

async function takeRulesOut() {
  const chosen = MUTATIONS.filter(({ id }) => values.only === undefined || values.only.split(',').includes(id));
  const caught = [];
  const queue = [...chosen];
  await Promise.all(
    Array.from({ length: Number(values.processes) }, async () => {
      for (let mutation = queue.shift(); mutation !== undefined; mutation = queue.shift()) {
        const within = Number(values.within ?? mutation.within);
        const drawn = ['--brief', '--narrowed', JSON.stringify({ kinds: mutation.kinds, mode: mutation.mode })];
        let schedules = 0;
        let failure;
        while (failure === undefined && schedules < within) {
          const from = String(Number(values.from) + schedules);
          const backing = mutation.backed?.edits ?? [];
          const played = await playSome([...drawn, '--first', '--from', from, '--count', String(within - schedules)], {
            ...mutation,
            edits: [...mutation.edits, ...backing],
          });
          schedules += played.schedules;
          [failure] = played.failures;
          if (failure === undefined) break;
          // What breaks with the rule in place, too, was not caught; nor is a group that is not whole in the end a sign of two that wrote.
          const whole = await playSome(
            [...drawn, '--from', String(failure.seed), '--count', '1'],
            backing.length === 0 ? undefined : { ...mutation, edits: backing },
          );
          if (whole.failures.length > 0 || (failure.rule === 'liveness' && mutation.ends !== true)) failure = undefined;
        }
        caught.push({ ...mutation, schedules, failure });
        if (!values.json)
          say(
            `${failure === undefined ? 'NOT CAUGHT' : 'caught    '}  ${mutation.id}: ${failure === undefined ? `in ${schedules} schedules` : `${failure.rule} in schedule ${schedules}: ${failure.words.split('\n')[0].slice(0, 140)}`}`,
          );
      }
    }),
  );
  const missed = caught.filter(({ failure }) => failure === undefined);
  if (values.json) process.stdout.write(`${JSON.stringify(caught.map(({ id, schedules, failure }) => ({ id, schedules, rule: failure?.rule ?? null })))}\n`);
  else say(`${caught.length - missed.length} of ${caught.length} rules, taken out, were caught`);
  if (values.write) writeTable(chosen.map(({ id }) => caught.find((one) => one.id === id)));
  return missed.length === 0 ? 0 : 1;
}

/** Between the two marks of docs/simulation.md. */
function writeTable(rows) {
  const file = path.join(ROOT, 'docs', 'simulation.md');
  const table = [
    `Written by \`npm run simulate -- --mutations --write\` on ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores.`,
    '',
    '| taken out | protocol | broken | in schedule |',
    '| --- | --- | --- | --- |',
    ...rows.map(
      ({ words, where, backed, failure, schedules }) =>
        `| ${words}${backed === undefined ? '' : `, ${backed.words}`} | ${where} | ${failure === undefined ? 'not caught' : failure.rule} | ${failure === undefined ? `none of ${schedules}` : schedules} |`,
    ),
  ].join('\n');
  const text = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    text.replace(/(<!-- table -->\n)[\s\S]*(<!-- end of table -->)/, (_, begin, end) => `${begin}${table}\n${end}`),
  );
}
