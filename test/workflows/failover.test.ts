import { describe, expect, it, onTestFinished } from 'vitest';
import { useStage, type World } from '../support/workflow-world.ts';

const { stage } = useStage();
function world(...more: Parameters<typeof stage.world>): World {
  const made = stage.world(...more);
  onTestFinished(() => made.close());
  return made;
}

describe('a failover', () => {
  it('a crash is told by the agent, and the most advanced follower is promoted at the next epoch', async () => {
    const w = await world().steady();
    w.member('pg-a').crash();
    await w.untilPrimary('pg-b');
    const incident = await w.failover(2);
    expect(incident.outcome).toMatchObject({ outcome: 'done', primary: 'pg-b', epoch: 2 });
  });
});
