import { parseArgs } from 'node:util';
import { play, prepare } from './play.ts';
import { drawSchedule, type Narrowed, type Schedule } from './schedule.ts';
import { shrink, tell } from './shrink.ts';

/** One process of the simulation: plays a range of seeds and prints one line of JSON, or one schedule with its story. `scripts/simulate.mjs` starts as many as are wanted. */
const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '1' },
    count: { type: 'string', default: '1' },
    /** Ends at the first schedule that breaks something. */
    first: { type: 'boolean', default: false },
    /** Tells a schedule, that of this seed or this very one as JSON. */
    seed: { type: 'string' },
    schedule: { type: 'string' },
    /** Failures are told by their seed alone. */
    brief: { type: 'boolean', default: false },
    /** What schedules are drawn of, as JSON. */
    narrowed: { type: 'string', default: '{}' },
  },
});

const narrowed = JSON.parse(values.narrowed) as Narrowed;
prepare();
// In a turn of its own: the world drains its microtasks itself, which no microtask can.
setImmediate(() => {
  const text = values.seed !== undefined || values.schedule !== undefined ? tellOne() : playMany();
  // A story is longer than a pipe holds at once.
  process.stdout.write(text, () => process.exit());
});

function tellOne(): string {
  const schedule = values.schedule === undefined ? drawSchedule(Number(values.seed), narrowed) : (JSON.parse(values.schedule) as Schedule);
  const played = play(schedule, true);
  process.exitCode = played.violation === undefined ? 0 : 1;
  return tell(schedule, played);
}

function playMany(): string {
  const [from, count] = [Number(values.from), Number(values.count)];
  const began = process.hrtime.bigint();
  const failures: object[] = [];
  let [schedules, events, simulatedMs, acknowledged, promotions, waitsForPerson, slowestHealMs] = [0, 0, 0, 0, 0, 0, 0];
  for (let seed = from; seed < from + count; seed += 1) {
    const schedule = drawSchedule(seed, narrowed);
    const played = play(schedule);
    schedules += 1;
    events += played.events;
    simulatedMs += played.simulatedMs;
    acknowledged += played.acknowledged;
    promotions += Math.max(0, played.epoch - 1);
    if (played.waitsFor !== undefined) waitsForPerson += 1;
    slowestHealMs = Math.max(slowestHealMs, played.healedInMs ?? 0);
    if (played.violation === undefined) continue;
    const { rule, words } = played.violation;
    if (values.brief) failures.push({ seed, rule, words: words.slice(0, 300) });
    else {
      const least = shrink(schedule, rule);
      failures.push({ seed, rule, words: words.slice(0, 300), story: tell(least.schedule, play(least.schedule, true)), schedule: least.schedule });
    }
    if (values.first) break;
  }
  const cpu = process.cpuUsage();
  const tookMs = Number(process.hrtime.bigint() - began) / 1e6;
  return `${JSON.stringify({ schedules, events, simulatedMs, acknowledged, promotions, waitsForPerson, slowestHealMs, tookMs, cpuMs: (cpu.user + cpu.system) / 1000, failures })}\n`;
}
