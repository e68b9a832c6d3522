import { describe, expect } from 'vitest';
import { useStage } from '../support/workflow-stage.ts';
import type { Noted, World } from '../support/workflow-world.ts';

const { scene } = useStage();
const LONG_MS = 4000;
const SHORT_MS = 1000;

const promotion = (w: World): Noted | undefined => w.journal.find(({ act }) => act === 'promote');

describe('a lease that is made shorter', () => {
  scene('I1: the longer one is waited out where the primary is lost before its deadline can have come nearer', { leaseMs: LONG_MS }, async (w) => {
    await w.steady();
    // Its agent dies as the change comes: the deadline that it has renewed last stands.
    w.member('pg-a').loseAgent();
    await w.ask('change', { spec: { ...w.spec, leaseMs: SHORT_MS } });
    const begunMs = Date.now();
    await w.untilStatus('another is the primary', ({ primary, phase }) => primary !== 'pg-a' && phase === 'steady');
    const asked = promotion(w);
    expect(asked).toMatchObject({ ask: { leaseMs: LONG_MS } });
    expect((asked?.atMs ?? 0) - begunMs).toBeGreaterThan(LONG_MS);
  });

  scene('counts once the primary has gone by it for as long as the longer one was', { leaseMs: 2000 }, async (w) => {
    await w.steady();
    await w.ask('change', { spec: { ...w.spec, leaseMs: SHORT_MS } });
    await w.untilStatus('pg-a goes by it', ({ phase }) => phase === 'steady');
    const begunMs = Date.now();
    await w.until('the longer one is over', () => Date.now() - begunMs > 2500);
    w.member('pg-a').die();
    await w.untilStatus('another is the primary', ({ primary, phase }) => primary !== 'pg-a' && phase === 'steady');
    expect(promotion(w)).toMatchObject({ ask: { leaseMs: SHORT_MS } });
  });
});
