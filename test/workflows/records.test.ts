import { describe, expect } from 'vitest';
import type { Published } from '../../src/model/act.ts';
import type { Incident } from '../../src/model/incident.ts';
import { useStage } from '../support/workflow-stage.ts';

const { stage, scene } = useStage();
const record = { name: 'db.test.', type: 'SRV', ttlSeconds: 5, provider: 'dns' } as const;
const good = (): Published => ({ outcome: 'applied', words: 'written and read back', publishedAtMs: Date.now(), verifiedAtMs: Date.now() });

describe('the records of a group', () => {
  scene('a DNS that fails for long holds no promotion up, and is tried until it holds', { records: [record] }, async (w) => {
    let works = true;
    const tried: number[] = [];
    w.publish = ({ record: wanted }) => {
      tried.push(wanted.epoch);
      return works ? good() : { outcome: 'unreachable', words: 'no answer from 127.0.0.1' };
    };
    await w.steady();
    await w.until('the first primary is published', () => tried.includes(1));
    works = false;
    w.member('pg-a').crash();
    await w.untilStatus('pg-b is open, though DNS fails', ({ primary, phase }) => primary === 'pg-b' && phase === 'steady');
    await w.until('it is tried again', () => tried.filter((epoch) => epoch === 2).length > 2);
    const shown = await stage.client.workflow.getHandle(`failover/${w.group}/2`).query<Incident>('incident');
    expect(shown.records).toMatchObject([{ name: 'db.test.', outcome: 'unreachable', words: 'no answer from 127.0.0.1' }]);
    // Nobody has to wait for DNS to act.
    await w.untilStatus('both others follow', ({ electable, rule }) => electable.length === 2 && rule.names.length === 2);
    await w.ask('exclude', { member: 'pg-c' });
    works = true;
    const incident = await w.failover(2);
    expect(incident.records[0]?.verifiedAtMs).toBeDefined();
    expect(incident.steps.find(({ name }) => name === 'publish')?.outcome).toBe('done');
  });

  scene('I8: what another owner wrote ends the try, and is shown', { records: [record] }, async (w) => {
    await w.steady();
    w.publish = () => ({ outcome: 'foreign-owner', words: 'it belongs to other/orders' });
    w.member('pg-a').crash();
    await w.untilPrimary('pg-b');
    const { outcome, records, steps } = await w.failover(2);
    expect(outcome.outcome).toBe('done');
    expect(records).toMatchObject([{ outcome: 'foreign-owner', words: 'it belongs to other/orders', attempts: 1 }]);
    expect(steps.find(({ name }) => name === 'publish')).toMatchObject({ outcome: 'failed' });
  });

  scene('a worker that lacks the provider stops neither group nor incident', { records: [record] }, async (w) => {
    let lacking = true;
    w.publish = () => {
      if (lacking) throw new Error('this worker knows no record provider "dns"');
      return good();
    };
    await w.steady();
    w.member('pg-a').crash();
    await w.untilStatus('pg-b is open', ({ primary, phase }) => primary === 'pg-b' && phase === 'steady');
    lacking = false;
    expect((await w.failover(2)).records[0]?.verifiedAtMs).toBeDefined();
  });

  scene('an incident that is terminated while it publishes leaves the rest to its group', { records: [record] }, async (w) => {
    let works = false;
    w.publish = (ask) => {
      w.published.push(ask);
      return works ? good() : { outcome: 'slow', words: 'no answer in time' };
    };
    await w.steady();
    w.member('pg-a').crash();
    await w.untilStatus('pg-b is open', ({ primary, phase }) => primary === 'pg-b' && phase === 'steady');
    await w.until('it has been tried', () => w.published.some((ask) => ask.record.epoch === 2));
    await w.terminate(`failover/${w.group}/2`);
    works = true;
    const before = w.published.length;
    await w.until('the group publishes', () => w.published.slice(before).some((ask) => ask.record.epoch === 2));
    await w.untilPrimary('pg-b');
  });
});
