import { expect, it } from 'vitest';
import { renderMarkdown } from '../../src/decide/report-markdown.ts';
import { FAULTS, type FaultKind } from '../../src/stage/faults.ts';
import { runTrial } from '../../src/stage/trial.ts';
import { LIMIT_MS, describeDrill } from './drill.ts';
import { readRecord } from './dns.ts';

const LEASE_MS = 2000;
/** Longer than the lease by far: the thawed node finds everything changed. */
const FREEZE_MS = 6000;

/** What each may be put down to. A frozen node may wake in time to say itself that its lease ran out. */
const CAUSES: Readonly<Record<FaultKind, readonly string[]>> = {
  S1: ['crashed'],
  S2: ['lease-expired'],
  S3: ['lease-expired'],
  S4: ['operator'],
};

describeDrill('the four faults, each judged by the writers and the members', { members: 3, leaseMs: LEASE_MS, durability: 'sync' }, (drill) => {
  for (const kind of ['S1', 'S2', 'S3', 'S4'] as const) {
    it(
      `I1, I2: ${FAULTS[kind].title} (${FAULTS[kind].words}): another member takes over at the next epoch, and nothing acknowledged is lost`,
      async () => {
        const { stage, writers } = drill;
        await drill.untilSteady();
        const timelineBefore = await drill.timeline();
        const trial = await runTrial(stage, writers, kind, { freezeMs: FREEZE_MS, signal: AbortSignal.timeout(LIMIT_MS), tell: () => undefined });
        drill.note({ name: kind, t0Ns: trial.t0Ns, oldPort: trial.victim.port });
        await drill.untilFlowing();

        // By the writers' logs and the members' answers alone: the gap has ended, nothing is lost, and no zombie has answered.
        const verdict = await drill.expectNothingBroken();
        expect(verdict.newPort).toBe(drill.place(trial.primaryAfter).port);
        expect(trial.primaryAfter).not.toBe(trial.victim.name);
        expect(await drill.timeline()).toBe(timelineBefore + 1);

        // One promotion, one epoch; and the record with its marker says so.
        expect(trial.epochAfter).toBe(trial.epochBefore + 1);
        const record = await readRecord(stage);
        expect(record).toEqual({ port: drill.place(trial.primaryAfter).port, marker: `v=1 owner=default/orders epoch=${trial.epochAfter}` });

        // The incident tells it afterwards.
        const { incident } = trial;
        if (incident === undefined) throw new Error(`${kind} has no incident`);
        expect(incident.id).toBe(`${kind === 'S4' ? 'switchover' : 'failover'}/orders/${trial.epochAfter}`);
        expect(CAUSES[kind]).toContain(incident.cause.kind);
        expect(incident.before).toMatchObject({ primary: trial.victim.name, epoch: trial.epochBefore });
        expect(incident.outcome).toMatchObject({ outcome: 'done', primary: trial.primaryAfter, epoch: trial.epochAfter });
        expect(incident.loss.kind).toBe('none');
        const done = incident.steps.filter(({ outcome }) => outcome === 'done').map(({ name }) => name);
        expect(done).toEqual(expect.arrayContaining(kind === 'S4' ? ['check', 'step-down', 'promote', 'publish'] : ['inspect', 'elect', 'promote', 'publish']));
        for (const { startedAtMs, endedAtMs } of incident.steps) expect(endedAtMs).toBeGreaterThanOrEqual(startedAtMs);
        if (kind === 'S4') expect(incident.actor).toMatchObject({ kind: 'person', name: 'the stage' });
        else {
          expect(incident.elections.at(-1)).toMatchObject({ elected: trial.primaryAfter });
          expect(incident.elections.at(-1)?.verdicts.find(({ member }) => member === trial.primaryAfter)).toMatchObject({ fit: true });
        }
        const report = renderMarkdown(incident);
        for (const word of [trial.victim.name, trial.primaryAfter, incident.cause.words]) expect(report).toContain(word);
      },
      LIMIT_MS,
    );
  }

  it(
    'I2: all members end alike, exactly one of them writable',
    async () => {
      await drill.expectAllAlike();
    },
    LIMIT_MS,
  );
});
