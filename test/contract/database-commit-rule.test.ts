import { Client } from 'pg';
import { expect, it } from 'vitest';
import { explainRule, implies, nextRuleStep, wantedRule } from '../../src/decide/durability.ts';
import { UnderstudyError } from '../../src/model/error.ts';
import { NO_RULE, type CommitRule } from '../../src/model/group.ts';
import { compareLsn } from '../../src/model/lsn.ts';
import { TestGroup, describePostgres, settings, streams, until, type TestMember } from '../support/postgres.ts';

const WRITERS = 6;
const ROUNDS = 4;
const ROUND_MS = 5000;

/** mulberry32: a round that fails is played again by its seed. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Clients that know nothing of rules: each notes what it was told is committed. */
class Writers {
  readonly acknowledged: number[] = [];
  #next = 0;
  #stopped = false;
  #running: Promise<void>[] = [];

  start(primary: TestMember): void {
    this.#stopped = false;
    this.#running = Array.from({ length: WRITERS }, () => this.#write(primary));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
  }

  async #write(primary: TestMember): Promise<void> {
    const client = new Client({ host: '127.0.0.1', port: primary.spec.port, user: 'postgres', database: 'postgres' });
    let warned = false;
    client.on('error', () => {});
    client.on('notice', () => {
      warned = true;
    });
    try {
      await client.connect();
      while (!this.#stopped) {
        this.#next += 1;
        const n = this.#next;
        warned = false;
        await client.query('insert into seen values ($1)', [n]);
        if (!warned) this.acknowledged.push(n);
      }
    } catch (error) {
      // The primary was killed: whatever was under way is not acknowledged.
      if (!(error instanceof Error)) throw error;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

describePostgres('the commit rule under load', (bin) => {
  it(
    'I2: standbys come and go, the rule follows them, orders get lost and the primary is killed at any moment: each acknowledged commit is on as many of the recorded names as recorded',
    { timeout: 240_000 },
    async () => {
      const seed = Number(process.env['UNDERSTUDY_SEED'] ?? Date.now() % 1_000_000);
      process.stdout.write(`seed ${seed} (UNDERSTUDY_SEED)\n`);
      const random = dice(seed);
      const group = await TestGroup.make(bin, ['pg-a', 'pg-b', 'pg-c', 'pg-d']);
      try {
        await group.openAll();
        const [a, ...standbys] = group.members as [TestMember, ...TestMember[]];
        await a.sql('create table seen (n int)');
        const writers = new Writers();
        let recorded: CommitRule = NO_RULE;
        const seenRules = new Set<string>();
        for (let round = 1; round <= ROUNDS; round += 1) {
          let [over, steps] = [false, 0];
          let known: CommitRule | undefined = recorded;
          let [confirm, relaxed] = [1, false];
          const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;

          /** As the workflow's rule keeper does it, with orders whose end nobody hears of. */
          const govern = async (): Promise<void> => {
            const followers = (await a.live?.pulse())?.followers ?? [];
            const following = followers.filter(({ state, holdsSlot }) => state === 'streaming' && holdsSlot).map(({ name }) => name);
            const wanted = wantedRule({
              durability: { mode: 'sync', confirm },
              primary: 'pg-a',
              following,
              previous: recorded,
              relaxed: relaxed && following.length === 0,
            });
            const next = nextRuleStep({ recorded, inForce: known, wanted });
            if (next.step === 'none') return;
            steps += 1;
            if (next.step === 'record') {
              recorded = next.rule;
              return;
            }
            known = undefined;
            await a.live?.settle(settings(undefined, next.rule));
            if (random() < 0.2) return;
            known = next.rule;
            if (next.step !== 'confirm-then-record') return;
            const mark = (await a.live?.pulse())?.flushedLsn ?? 'F/0';
            for (let look = 0; look < 30 && !over; look += 1) {
              const now = (await a.live?.pulse())?.followers ?? [];
              const flushed = now.filter(({ name, flushedLsn }) => next.rule.names.includes(name) && compareLsn(flushedLsn, mark) >= 0);
              if (flushed.length >= next.rule.count) {
                recorded = next.rule;
                seenRules.add(explainRule(recorded));
                return;
              }
              await new Promise((resolve) => setTimeout(resolve, 10));
            }
          };
          const governing = (async () => {
            while (!over) {
              try {
                await govern();
              } catch (error) {
                // The primary was killed in the middle of it, or a standby was stopped while it was asked for: the order's end is not known.
                if (!(error instanceof UnderstudyError)) throw error;
              }
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          })();
          const disturbing = (async () => {
            while (!over) {
              confirm = pick([1, 1, 2]);
              relaxed = random() < 0.3;
              const one = pick(standbys);
              const how = pick(['kill', 'stop', 'freeze'] as const);
              if (how === 'freeze') one.signalAll('SIGSTOP');
              else await one.stop(how === 'kill' ? 'SIGKILL' : 'SIGINT');
              await new Promise((resolve) => setTimeout(resolve, random() * 500));
              if (how === 'freeze') one.signalAll('SIGCONT');
              else await one.start('standby', a);
              await new Promise((resolve) => setTimeout(resolve, random() * 300));
            }
          })();
          writers.start(a);
          await new Promise((resolve) => setTimeout(resolve, ROUND_MS * (0.5 + random())));
          const killed = a.stop('SIGKILL');
          const atDeath = recorded;
          over = true;
          await Promise.all([killed, governing, disturbing, writers.stop()]);
          // A step that was under way at the kill may have recorded what it had confirmed before it.
          expect(implies(atDeath, recorded) || implies(recorded, atDeath)).toBe(true);

          const has = new Map<string, Set<number>>();
          for (const one of standbys) {
            await until(`${one.spec.name} has replayed what it has`, async () => {
              const pulse = await one.live?.pulse();
              return pulse !== undefined && compareLsn(pulse.replayedLsn, pulse.flushedLsn) >= 0;
            });
            has.set(one.spec.name, new Set((await one.sql<{ n: number }>('select n from seen')).map(({ n }) => n)));
          }
          const thin = writers.acknowledged.filter((n) => recorded.names.filter((name) => has.get(name)?.has(n)).length < recorded.count);
          process.stdout.write(
            `round ${round}: ${writers.acknowledged.length} acknowledged, ${steps} steps, ${explainRule(recorded)}: ${thin.length} on too few\n`,
          );
          expect({ round, rule: explainRule(recorded), thin: thin.slice(0, 5) }).toEqual({ round, rule: explainRule(recorded), thin: [] });

          await a.start('primary', undefined, recorded);
          await a.live?.slots(standbys.map(({ spec }) => spec.name));
          for (const one of standbys) await streams(one);
        }
        expect(writers.acknowledged.length).toBeGreaterThan(100);
        expect(seenRules.size).toBeGreaterThan(1);
      } finally {
        await group.close();
      }
    },
  );
});
