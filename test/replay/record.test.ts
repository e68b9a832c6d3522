import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import { describe, inject, it } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { NEVER } from '../support/fake-member.ts';
import { useStage } from '../support/workflow-stage.ts';
import { SIGNED, spec, type World } from '../support/workflow-world.ts';

/**
 * Plays one story of each kind and keeps its histories, for replay.test.ts to hold today's code to. Only `npm run golden` does: a history is kept because it is old.
 *
 * What is recorded anew no longer protects workflows that run: first put what breaks their replay behind `workflows/patches.ts`.
 */
const HISTORIES = path.join(import.meta.dirname, 'histories');
const { stage, scene } = useStage();
const record = { name: 'db.test.', type: 'SRV', ttlSeconds: 5, provider: 'dns' } as const;

function keep(name: string, history: History): void {
  const { events } = JSON.parse(historyToJSON(history)) as { events: object[] };
  const text = JSON.stringify(
    { events },
    (key, value: unknown) => (key === 'identity' || (typeof value === 'string' && /^\d+@/.test(value)) ? 'recorded' : value),
    1,
  );
  mkdirSync(HISTORIES, { recursive: true });
  writeFileSync(path.join(HISTORIES, `${name}.json`), `${text}\n`);
}

async function keepIncident(name: string, w: World, id: string): Promise<void> {
  await stage.client.workflow.getHandle(id).result();
  keep(name, await w.history(id));
}

async function settled(w: World): Promise<void> {
  await w.untilStatus('everybody follows', ({ rule, electable, phase }) => phase === 'steady' && rule.names.length === 2 && electable.length === 2);
  await w.untilAtRest();
}

if (!inject('golden')) {
  describe('histories', () => {
    it('are recorded by `npm run golden` only', () => undefined);
  });
} else {
  describe('histories', () => {
    scene('of a crash, a lost lease and a switchover, one after another, in a group that continued as new', { records: [record] }, async (w) => {
      await w.steady({ input: { eventsARun: 150 } });
      const { runId } = await w.handle.describe();
      w.member('pg-a').crash();
      await w.untilPrimary('pg-b');
      await keepIncident('failover-crash', w, `failover/${w.group}/2`);
      await settled(w);
      w.member('pg-b').die();
      await w.untilStatus('another is open', ({ primary, phase }) => primary !== 'pg-b' && phase === 'steady');
      await keepIncident('failover-lease', w, `failover/${w.group}/3`);
      w.member('pg-b').start();
      await settled(w);
      await w.ask('switchover');
      await w.untilStatus('it is over', ({ epoch, phase }) => epoch === 4 && phase === 'steady');
      await keepIncident('switchover', w, `switchover/${w.group}/4`);
      await settled(w);
      const first = stage.client.workflow.getHandle(`group/${w.group}`, runId);
      keep('group-first-run', await first.fetchHistory());
      keep('group-later-run', await w.history());
    });

    scene('of candidates that refuse and die', {}, async (w) => {
      await w.steady();
      w.member('pg-b').once('promote', () => {
        throw new UnderstudyError('DatabaseFailed', 'it stands before the place that was counted on');
      });
      w.member('pg-a').crash();
      await w.untilPrimary('pg-c');
      await keepIncident('failover-next-candidate', w, `failover/${w.group}/2`);
      await settled(w);
      for (const name of ['pg-a', 'pg-b']) {
        w.member(name).once('promote', async (usual) => {
          await usual();
          w.member(name).die();
          return NEVER;
        });
      }
      w.member('pg-c').crash();
      await w.untilStatus('the one after it asks', ({ incidents }) => incidents.length === 3);
      await keepIncident('failover-candidate-died', w, `failover/${w.group}/4`);
      await w.until('it asks again', () => w.asked('inspect').some((id) => id.endsWith('/5/2')));
      for (const name of ['pg-a', 'pg-b']) w.member(name).start();
      await w.untilStatus('the candidate is back', ({ phase }) => phase === 'steady');
      await keepIncident('failover-restarted', w, `failover/${w.group}/5`);
      keep('group-candidates', await w.history());
    });

    scene('of an approval, a hold and an operator', { policy: { ...spec().policy, approval: 'required', minIntervalMs: 3_600_000 } }, async (w) => {
      await w.steady();
      w.member('pg-a').crash();
      await w.untilStatus('it has begun', ({ incidents }) => incidents.length > 0);
      await w.until(
        'a person can be asked',
        async () =>
          (await w.history(`failover/${w.group}/2`)).events?.some(({ timerStartedEventAttributes: timer }) => timer !== null && timer !== undefined) === true,
      );
      await stage.client.workflow.getHandle(`failover/${w.group}/2`).executeUpdate('approve', { args: [SIGNED] });
      await w.untilPrimary('pg-b');
      await keepIncident('failover-approved', w, `failover/${w.group}/2`);
      await settled(w);
      w.member('pg-b').die();
      await w.untilStatus('it is held back', ({ held }) => held !== undefined);
      await w.ask('failover', { fencedByHand: true });
      await w.untilStatus('another is open', ({ primary, phase }) => primary !== 'pg-b' && phase === 'steady');
      await keepIncident('failover-by-hand', w, `failover/${w.group}/3`);
      keep('group-held', await w.history());
    });

    scene('of switchovers that give the role back or are refused', {}, async (w) => {
      await w.steady();
      w.member('pg-b').once('promote', () => {
        throw new UnderstudyError('DatabaseFailed', 'it stands before the place that was counted on');
      });
      await w.ask('switchover', { to: 'pg-b' });
      await w.untilStatus('it is over', ({ incidents, phase }) => phase === 'steady' && incidents.at(-1)?.endedAtMs !== undefined);
      await keepIncident('switchover-given-back', w, `switchover/${w.group}/2`);
      await settled(w);
      w.member('pg-b').database.replayPaused = true;
      await w.ask('switchover', { to: 'pg-b' });
      await w.untilStatus('it is refused', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('refused') === true);
      await keepIncident('switchover-refused', w, `switchover/${w.group}/4`);
      await w.ask('pause', { untilResumed: true });
      await w.ask('change', { spec: { ...w.spec, leaseMs: 2500, durability: { mode: 'async' } } });
      await w.untilStatus('it is in force', ({ rule, phase }) => rule.count === 0 && phase === 'paused');
      await w.ask('resume');
      keep('group-operators', await w.history());
    });

    scene('of a primary that lives, in a group that only observes', { policy: { ...spec().policy, mode: 'observe' } }, async (w) => {
      await w.steady();
      const a = w.member('pg-a');
      a.loseAgent();
      Object.defineProperty(a.database, 'running', { get: () => true, set: () => {}, configurable: true });
      await w.untilStatus('it was seen to live', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('primary-lives') === true);
      await keepIncident('failover-primary-lives', w, `failover/${w.group}/2`);
      Object.defineProperty(a.database, 'running', { value: false, writable: true, configurable: true });
      await w.untilStatus('it is said what would be done', ({ incidents }) => incidents.at(-1)?.outcome.startsWith('observed') === true);
      await keepIncident('failover-observed', w, (await w.status()).incidents.at(-1)?.id ?? '');
    });
  });
}
