import { describe, expect, it } from 'vitest';
import { outcomeWords, summarise } from '../../src/decide/report.ts';
import { renderMarkdown } from '../../src/decide/report-markdown.ts';
import { statusMarkdown } from '../../src/decide/status-markdown.ts';
import { groupStatus } from '../decide/world.ts';
import { failedOver, nobodyFit, otherEnds, switchedOver, ZERO } from './incidents.ts';

// The texts that people review: `npx vitest run test/golden -u` writes them anew; read the difference.
describe('reports', () => {
  it('a failover reads like its golden text', async () => {
    await expect(renderMarkdown(failedOver)).toMatchFileSnapshot('failover.md');
  });
  it('a switchover reads like its golden text', async () => {
    await expect(renderMarkdown(switchedOver)).toMatchFileSnapshot('switchover.md');
  });
  it('an incident in which nobody was fit reads like its golden text', async () => {
    await expect(renderMarkdown(nobodyFit)).toMatchFileSnapshot('nobody-fit.md');
  });

  it('every end has its words', () => {
    expect(otherEnds.map(outcomeWords)).toMatchInlineSnapshot(`
      [
        "it is not over",
        "the role was given back to pg-a: pg-b did not catch up in time",
        "the primary was alive, and nothing was promoted: pg-b still receives",
        "the old primary was started in place: promoting pg-b would lose up to 256 bytes",
        "observed only: would have failed over to pg-b, because the server process ended",
        "observed only: nobody would have been promoted: no member is fit",
        "not approved: nobody answered within 1 min",
        "refused: pg-b is 16 MB behind",
        "failed: every candidate died",
      ]
    `);
  });

  it('the numbers of a failover count from the moment that its cause was known', () => {
    expect(summarise(failedOver)).toMatchObject({ startedAtMs: ZERO, decidedMs: 40, promotedMs: 180, publishedMs: 190, verifiedMs: 255, firstWriteMs: 240, writeGapMs: 240, totalMs: 255, from: 'pg-a', to: 'pg-b', lossKind: 'none' });
  });

  it("a switchover's write gap begins when the old primary is stopped, not when it was asked for", () => {
    expect(summarise(switchedOver)).toMatchObject({ firstWriteMs: 1160, writeGapMs: 250, promotedMs: 1130 });
  });

  it('a record set of which one part was never written is not published', () => {
    expect(summarise(switchedOver)).not.toHaveProperty('publishedMs');
    expect(summarise(nobodyFit)).not.toHaveProperty('promotedMs');
  });

  it('what stands in a cell cannot break the table', () => {
    expect(renderMarkdown(switchedOver)).toContain('new kernel \\| reboot &lt;tonight>');
  });
});

describe('status', () => {
  it('a group reads like its golden text', async () => {
    const status = groupStatus({
      phase: 'held',
      held: { rule: 'min-interval', words: 'the last failover was 4 min ago', untilMs: ZERO + 360_000, override: 'understudy override orders' },
      paused: { by: 'ann', reason: 'new disks', untilMs: ZERO + 60_000 },
      observeOnly: true,
      members: [...groupStatus().members.slice(0, 2), { name: 'pg-c', role: 'standby', epoch: 7, phase: 'cloning', words: '40 % copied', lastEnd: 'failed', excluded: { by: 'bob', reason: 'slow disk' } }],
      incidents: [
        { id: 'failover/orders/7', kind: 'failover', epoch: 7, cause: 'crashed', outcome: 'done', startedAtMs: ZERO - 240_000, endedAtMs: ZERO - 239_700 },
        { id: 'switchover/orders/8', kind: 'switchover', epoch: 8, cause: 'operator', outcome: 'running', startedAtMs: ZERO },
      ],
    });
    await expect(statusMarkdown(status)).toMatchFileSnapshot('status.md');
  });

  it('a quiet group says so in few words', () => {
    expect(statusMarkdown(groupStatus())).toContain('**orders**: primary pg-a, epoch 7; all is well.');
  });
});
