import { play, prepare } from './play.ts';
import { drawSchedule } from './schedule.ts';

prepare();
const [from = '1', count = '1', story = ''] = process.argv.slice(2);
setImmediate(() => {
  const began = process.hrtime.bigint();
  const totals = { schedules: 0, events: 0, simulatedMs: 0, failures: 0 };
  for (let seed = Number(from); seed < Number(from) + Number(count); seed += 1) {
    const played = play(drawSchedule(seed), story !== '');
    totals.schedules += 1;
    totals.events += played.events;
    totals.simulatedMs += played.simulatedMs;
    if (story !== '') process.stdout.write(`${played.story.join('\n')}\n`);
    if (played.violation !== undefined) {
      totals.failures += 1;
      process.stdout.write(`seed ${seed}: ${JSON.stringify(played.violation).slice(0, 600)}\n`);
    }
  }
  const tookMs = Number(process.hrtime.bigint() - began) / 1e6;
  process.stdout.write(`${JSON.stringify({ ...totals, tookMs, perSchedule: tookMs / totals.schedules })}\n`);
  process.exit(0);
});
