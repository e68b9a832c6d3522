import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, chmodSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { compareLsn } from '../../src/model/lsn.ts';
import { TestGroup, describePostgres, forever, settings, until, type TestMember } from '../support/postgres.ts';

/** Some client that receives the log under a member's name, without being it. */
function receiveAs(bin: string, name: string, from: TestMember, directory: string, more: readonly string[] = []): ChildProcess {
  const conninfo = `host=${from.spec.host} port=${from.spec.port} user=replicator application_name=${name}`;
  return spawn(path.join(bin, 'pg_receivewal'), ['-d', conninfo, '-D', directory, '--synchronous', ...more], { stdio: 'ignore' });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await gone;
}

describePostgres('whose word counts for a primary', (bin) => {
  let group: TestGroup;
  let a: TestMember;
  let b: TestMember;
  const scratch = mkdtempSync('/tmp/understudy-receive-');

  beforeAll(async () => {
    chmodSync(scratch, 0o755);
    group = await TestGroup.make(bin, ['pg-a', 'pg-b']);
    [a, b] = [group.member(0), group.member(1)];
    await group.openAll();
  }, 120_000);
  afterAll(async () => {
    await group.close();
    rmSync(scratch, { recursive: true, force: true });
  }, 60_000);

  const follower = async (name: string) => (await a.live?.pulse())?.followers.find((one) => one.name === name);

  it('a mark is flushed here when it returns, and a standby that follows confirms it', async () => {
    for (let round = 0; round < 5; round += 1) {
      const mark = (await a.live?.mark(2000)) ?? 'F/0';
      expect(compareLsn((await a.live?.pulse())?.flushedLsn ?? '0/0', mark)).toBeGreaterThanOrEqual(0);
      const confirmed = await until('pg-b confirms the mark', async () => {
        const found = await follower('pg-b');
        return found !== undefined && compareLsn(found.flushedLsn, mark) >= 0 && found;
      });
      expect(confirmed).toMatchObject({ state: 'streaming', holdsSlot: true });
    }
  });

  it('a mark waits for no standby, whatever the commit rule says', async () => {
    await a.live?.settle(settings(undefined, { names: ['pg-z'], count: 1 }));
    expect(await a.live?.mark(2000)).toMatch(/\//);
    await a.live?.settle(settings());
  });

  it("I1: a client that calls itself by a member's name confirms marks, but does not hold the member's slot", async () => {
    await b.stop();
    mkdirSync(path.join(scratch, 'wal'));
    const receiver = receiveAs(bin, 'pg-b', a, path.join(scratch, 'wal'));
    try {
      const mark = (await a.live?.mark(2000)) ?? 'F/0';
      const found = await until('somebody confirms the mark as pg-b', async () => {
        const one = await follower('pg-b');
        return one !== undefined && compareLsn(one.flushedLsn, mark) >= 0 && one;
      });
      expect(found).toMatchObject({ state: 'streaming', holdsSlot: false });
    } finally {
      await ended(receiver);
      await b.start('standby', a);
    }
  });

  it('I2: a copy in the making confirms no commits in the name of the member that it is made for', async () => {
    await until('pg-b streams', async () => (await follower('pg-b'))?.holdsSlot === true);
    await b.stop();
    await until('pg-b is gone', async () => (await follower('pg-b')) === undefined);
    await a.live?.settle(settings(undefined, { names: ['pg-b'], count: 1 }));
    const seen = new Set<string>();
    const copy = b.driver.clone(a.upstream, forever(), () => {});
    let over = false;
    const watched = until('the copy streams', async () => {
      const followers = (await a.live?.pulse())?.followers ?? [];
      for (const one of followers)
        seen.add(`${one.name} ${one.confirms ? 'confirms' : 'confirms nothing'} ${one.holdsSlot ? "by the member's slot" : 'by no slot of its own'}`);
      return over && seen.size > 0;
    });
    await copy.finally(() => {
      over = true;
    });
    await watched;
    expect([...seen].sort()).toEqual(['understudy_clone confirms nothing by no slot of its own']);
    await a.live?.settle(settings());
    await b.start('standby', a);
  });
});
