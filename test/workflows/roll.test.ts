import { describe, expect } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { useStage } from '../support/workflow-stage.ts';
import type { World } from '../support/workflow-world.ts';

const { scene } = useStage();

const ended = (w: World) => w.untilStatus('the roll is over', ({ roll }) => roll?.ended !== undefined);
const restarts = (w: World): string[] => w.journal.filter(({ act }) => act === 'restart' || act === 'stepDown').map(({ act, member }) => `${act} ${member}`);

describe('a rolling restart', () => {
  scene('restarts the standbys one after another, hands the role to one of them, and waits for the old primary', {}, async (w) => {
    await w.steady();
    await w.ask('roll');
    const { roll, primary, incidents } = await ended(w);
    expect(roll).toMatchObject({ by: 'ada', left: [], ended: { outcome: 'done' } });
    expect(roll?.done.map(({ member, words }) => [member, words])).toEqual([
      ['pg-b', '15.1 -> 15.2, 5 ms'],
      ['pg-c', '15.1 -> 15.2, 5 ms'],
      ['pg-a', `${roll?.incidents[0]}: handed its role to pg-b, and came back`],
    ]);
    expect(restarts(w)).toEqual(['restart pg-b', 'restart pg-c', 'stepDown pg-a']);
    expect(primary).toBe('pg-b');
    expect(incidents.map(({ id }) => id)).toEqual(roll?.incidents);
  });

  scene('waits between two members while the group is paused, through new runs of its workflow', {}, async (w) => {
    await w.steady({ input: { eventsARun: 60 } });
    const { runId } = await w.handle.describe();
    w.member('pg-b').once('restart', async (usual) => {
      await w.ask('pause', { untilResumed: true });
      return usual();
    });
    await w.ask('roll');
    await w.untilStatus('pg-b is done', ({ roll }) => roll?.done.length === 1);
    await w.untilAtRest();
    expect(restarts(w)).toEqual(['restart pg-b']);
    await w.ask('resume');
    expect((await ended(w)).roll).toMatchObject({ left: [], ended: { outcome: 'done' } });
    expect((await w.handle.describe()).runId).not.toBe(runId);
  });

  scene('stops at a member that does not come back, and says where it stands; another roll takes the rest', {}, async (w) => {
    await w.steady();
    w.member('pg-c').once('restart', () => {
      throw new UnderstudyError('DatabaseFailed', 'the new programs are for another machine');
    });
    await w.ask('roll');
    const { roll } = await ended(w);
    expect(roll).toMatchObject({ left: ['pg-c', 'pg-a'], ended: { outcome: 'stopped', words: expect.stringContaining('for another machine') } });
    await w.untilStatus('everybody follows', ({ members }) => members.every(({ phase }) => phase === 'open' || phase === 'following'));
    await w.ask('roll', { members: ['pg-c'] });
    await w.untilStatus('the second roll is done', (status) => status.roll?.id !== roll?.id && status.roll?.ended?.outcome === 'done');
    expect(restarts(w)).toEqual(['restart pg-b', 'restart pg-c', 'restart pg-c']);
  });

  scene('stops where an incident begins meanwhile', {}, async (w) => {
    await w.steady();
    w.member('pg-b').once('restart', async (usual) => {
      const answer = await usual();
      w.member('pg-a').crash();
      return answer;
    });
    await w.ask('roll');
    const { roll } = await ended(w);
    expect(roll).toMatchObject({ ended: { outcome: 'stopped', words: expect.stringMatching(/began meanwhile/) } });
    expect(restarts(w)).toEqual(['restart pg-b']);
  });

  scene('is refused where a member does not follow, and beside another', {}, async (w) => {
    await w.steady();
    const refused = async (ask: object): Promise<unknown> =>
      w.ask('roll', ask).catch((error: { cause?: { details?: { rule?: string }[] } }) => error.cause?.details?.[0]?.rule);
    expect(await refused({ members: ['pg-z'] })).toBe('unknown-member');
    expect(await refused({ reason: ' ' })).toBe('no-reason');
    w.cut.add('pg-c');
    w.look();
    w.member('pg-c').look();
    await w.untilStatus('pg-c does not follow', ({ electable }) => !electable.includes('pg-c'));
    expect(await refused({})).toBe('not-following');
    expect(restarts(w)).toEqual([]);
  });
});
