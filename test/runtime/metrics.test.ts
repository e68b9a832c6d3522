import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { AgentMetrics } from '../../src/agent/metrics.ts';
import { serveMetrics } from '../../src/agent/metrics-server.ts';
import { bootTimeMs } from '../../src/runtime/clock.ts';
import { Metrics } from '../../src/runtime/metrics.ts';
import { IDLE } from '../support/watched.ts';

const LINE = /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"(,[a-z_]+="(?:[^"\\\n]|\\[\\"n])*")*\} -?\d+(\.\d+)?(e[+-]?\d+)?)$/;

describe('metrics', () => {
  it('every line is one that Prometheus reads, whatever the labels hold', () => {
    const metrics = new Metrics({ group: 'a"b\\c\nd', member: 'm' });
    metrics.counter('x_total', 'answer', ['ok', 'gone'], 'Words.')('ok');
    metrics.total('y_total', 'Words.')();
    metrics.gauge('z', [], 'Words.', () => 1.5);
    metrics.gauge('none', [], 'Words.', () => undefined);
    const seen = metrics.histogram('h_seconds', [0.1, 1], 'Words.');
    for (const value of [0.05, 0.5, 5]) seen(value);
    const lines = metrics.text().trimEnd().split('\n');
    for (const line of lines) expect(line).toMatch(LINE);
    expect(lines.filter((line) => !line.startsWith('#')).map((line) => line.replace(/group="[^ ]*?",member="m",?/, ''))).toEqual([
      'x_total{answer="ok"} 1',
      'x_total{answer="gone"} 0',
      'y_total{group="a\\"b\\\\c\\nd",member="m"} 1'.replace(/group=.*,member="m"/, ''),
      'z{} 1.5',
      'h_seconds_bucket{le="0.1"} 1',
      'h_seconds_bucket{le="1"} 2',
      'h_seconds_bucket{le="+Inf"} 3',
      'h_seconds_sum{} 5.55',
      'h_seconds_count{} 3',
    ]);
  });

  it('a member tells role, lease, renewals and probes', async () => {
    const deadlineMs = bootTimeMs() + 2000;
    const metrics = new AgentMetrics('orders', 'pg-a', {
      ...IDLE,
      guard: { status: { ...IDLE.guard.status, database: { state: 'running', pid: 1, startedAtMs: 0 }, lease: { epoch: 7, deadlineMs } } },
      state: { state: { cluster: 'c/default', highestEpoch: 7 } },
    });
    metrics.renewed('ok');
    metrics.renewed('unanswered');
    metrics.secondLease('confirmed');
    await metrics.timeProbe(async () => ({ outcome: 'written' }));
    const text = metrics.text();
    const valueOf = (line: string): number => Number(new RegExp(`^${line} (.*)$`, 'm').exec(text)?.[1]);
    const own = 'group="orders",member="pg-a"';
    expect(valueOf(`understudy_epoch{${own}}`)).toBe(7);
    expect(valueOf(`understudy_database_up{${own}}`)).toBe(1);
    expect(valueOf(`understudy_lease_left_seconds{${own}}`)).toBeGreaterThan(1);
    expect(valueOf(`understudy_lease_renewals_total{${own},answer="ok"}`)).toBe(1);
    expect(valueOf(`understudy_lease_renewals_total{${own},answer="unanswered"}`)).toBe(1);
    expect(valueOf(`understudy_second_lease_renewals_total{${own},outcome="confirmed"}`)).toBe(1);
    expect(valueOf(`understudy_write_probe_seconds_count{${own}}`)).toBe(1);
    expect(valueOf(`understudy_fence{${own},kind="kernel",realtime="true"}`)).toBe(1);
    expect(text).not.toMatch(/^understudy_fed_ago_seconds\{/m);
  });

  it('are told on this machine by GET /metrics, and by nothing else; a port that is taken is no end of the agent', async () => {
    const log = pino({ level: 'silent' });
    const server = serveMetrics({ host: '127.0.0.1', port: 0 }, () => 'x{} 1\n', log);
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const at = `http://127.0.0.1:${port}`;
    expect(await (await fetch(`${at}/metrics`)).text()).toBe('x{} 1\n');
    expect((await fetch(`${at}/metrics`, { method: 'POST' })).status).toBe(404);
    expect((await fetch(`${at}/`)).status).toBe(404);
    const second = serveMetrics({ host: '127.0.0.1', port }, () => '', log);
    await new Promise((resolve) => second.once('error', resolve));
    await new Promise((resolve) => server.close(resolve));
  });
});
