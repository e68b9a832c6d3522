import { it } from 'vitest';
import type { SwitchoverAsk } from '../../src/decide/operator.ts';
import { switchoverWorkflowId } from '../../src/model/name.ts';
import type { Started } from '../../src/model/operator.ts';
import { GROUP } from '../../src/stage/stage-file.ts';
import { begin, describeDrill, itEndsAlike, LIMIT_MS } from './drill.ts';
import type { Act, Moment } from './turns.ts';
import { LEASE_MS, expectOnePromotion, walkAndKill } from './worker-drill.ts';

const SWITCHOVER: readonly Act[] = ['inspect', 'checkpoint', 'stepDown', 'promote', 'publishRecord'];
const DURING_SWITCHOVER: readonly Moment[] = [
  { act: 'inspect', when: 'ordered' },
  { act: 'checkpoint', when: 'done' },
  { act: 'stepDown', when: 'ordered' },
  { act: 'stepDown', when: 'done' },
  { act: 'promote', when: 'ordered' },
  { act: 'promote', when: 'done' },
  { act: 'publishRecord', when: 'ordered' },
];

describeDrill('the only worker is killed in a switchover', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  for (const moment of DURING_SWITCHOVER) {
    it(
      `I5: in a switchover, ${moment.act} ${moment.when}: another worker goes on, promotes once, and nothing is lost`,
      async () => {
        const { epoch, name } = await begin(drill);
        const id = switchoverWorkflowId(GROUP, epoch + 1);
        const agents = drill.stage.members.map((member) => drill.running(member.name).agent);
        await walkAndKill(drill, id, SWITCHOVER, moment, agents, async () => {
          drill.mark(`switchover, ${moment.act} ${moment.when}`, name);
          await drill.group.executeUpdate<Started, [SwitchoverAsk]>('switchover', { args: [{ by: 'a drill', reason: `${moment.act} ${moment.when}` }] });
        });
        await expectOnePromotion(drill, id, epoch, name);
      },
      LIMIT_MS,
    );
  }

  itEndsAlike(drill);
});
