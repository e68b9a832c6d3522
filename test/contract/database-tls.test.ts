import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { PostgresConfig } from '../../src/model/config.ts';
import { loadConfig } from '../../src/runtime/config.ts';
import { Authority, OPENSSL } from '../support/certificates.ts';
import { describeWithPart } from '../support/part.ts';
import { TestGroup, type TestMember, describePostgres, forever, streams, until } from '../support/postgres.ts';

const EXAMPLE = path.join(import.meta.dirname, '..', '..', 'deploy', 'tls');
const ignore = (): void => undefined;

describeWithPart(OPENSSL, 'replication with TLS and passwords, as deploy/tls has it', () => {
  describePostgres('replication with TLS', (bin) => {
    let dir: string;
    let group: TestGroup | undefined;
    let authority: Authority;
    let postgres: PostgresConfig;

    beforeEach(async () => {
      dir = mkdtempSync(path.join(tmpdir(), 'understudy-tls-'));
      chmodSync(dir, 0o755);
      authority = new Authority(dir);
      const { key } = authority.issue('member');
      // The database's account reads its key, and refuses one that others could read.
      if (process.geteuid?.() === 0) {
        const { uid, gid } = await databaseAccount();
        chownSync(key, uid, gid);
      }
      writeFileSync(path.join(dir, 'replication'), 'unmistakable-replication');
      const yaml = path.join(dir, 'understudy.yaml');
      writeFileSync(yaml, placed('understudy.yaml'));
      const found = (await loadConfig(yaml)).groups['orders'];
      if (found === undefined) throw new Error('the example has no group orders');
      postgres = found.postgres;
    });
    afterEach(async () => {
      await group?.close();
      group = undefined;
      rmSync(dir, { recursive: true, force: true });
    }, 60_000);

    /** The example's file, its paths those of this test. */
    const placed = (name: string): string =>
      readFileSync(path.join(EXAMPLE, name), 'utf8').replaceAll('/etc/understudy/tls', dir).replaceAll('/etc/understudy/secrets', dir);

    const openPrimary = async (overrides: Partial<PostgresConfig> = {}): Promise<[TestMember, TestMember]> => {
      group = await TestGroup.make(bin, ['pg-a', 'pg-b'], { ...postgres, bin, ...overrides });
      const [a, b] = [group.member(0), group.member(1)];
      await a.driver.found(forever());
      const owner = statSync(path.join(a.dataDir, 'postgresql.conf'));
      writeFileSync(path.join(a.dataDir, 'pg_hba.conf'), placed('pg_hba.conf'));
      writeFileSync(path.join(a.dataDir, 'postgresql.conf'), `${placed('postgresql.conf')}${a.readConf('postgresql.conf')}`);
      chownSync(path.join(a.dataDir, 'postgresql.conf'), owner.uid, owner.gid);
      const live = await a.start('primary');
      await live.ensureAccounts();
      await live.slots(['pg-b']);
      return [a, b];
    };
    const connect = async (member: TestMember, ssl: boolean): Promise<void> => {
      const client = new Client({
        host: '127.0.0.1',
        port: member.spec.port,
        user: 'understudy_replication',
        password: 'unmistakable-replication',
        database: 'postgres',
        ...(ssl ? { ssl: { ca: readFileSync(authority.ca) } } : {}),
      });
      client.on('error', ignore);
      try {
        await client.connect();
      } finally {
        await client.end();
      }
    };

    it('a standby clones, follows and rewinds over TLS alone, and verifies whom it asks', async () => {
      const [a, b] = await openPrimary();
      await expect(connect(a, false)).rejects.toThrow(/no encryption|pg_hba/);
      await connect(a, true);
      await b.driver.clone(a.upstream, forever(), ignore);
      const live = await b.start('standby', a);
      await streams(b);
      expect(b.readConf('understudy.conf')).toMatch(/primary_conninfo = '.*sslmode=''verify-ca'' sslrootcert=''.*ca\.pem''/);
      expect(b.readConf('understudy.conf')).not.toContain('unmistakable');
      const own = await a.live?.look();
      expect(own?.followers).toMatchObject([{ name: 'pg-b', state: 'streaming' }]);
      const log = readFileSync(path.join(a.stateDir, 'postgres.log'), 'utf8');
      expect(log).not.toContain('unmistakable');
      expect((await b.driver.history(a.upstream, forever())).writable).toBe(true);

      await a.stop('SIGQUIT');
      await until('its place is known', async () => (await live.pulse()).inRecovery);
      await live.promote(20_000);
      await live.checkpoint();
      expect(await a.driver.rewind(b.upstream, forever(), ignore)).toMatchObject({ outcome: 'rewound' });
      await a.start('standby', b);
      await streams(a);
    });

    it('a member that another authority vouches for is not copied from, nor believed', async () => {
      const stranger = new Authority(dir, 'stranger').ca;
      const [a, b] = await openPrimary({ tls: { mode: 'verify-ca', ca: stranger } });
      await expect(b.driver.clone(a.upstream, forever(), ignore)).rejects.toMatchObject({
        code: 'CloneFailed',
        message: expect.stringMatching(/certificate/),
      });
      await expect(b.driver.history(a.upstream, forever())).rejects.toMatchObject({
        code: 'DatabaseUnreachable',
        message: expect.stringMatching(/certificate/),
      });
    });

    it('verify-full wants the name, too; a file that is not there is named', async () => {
      const [a, b] = await openPrimary({ tls: { mode: 'verify-full', ca: authority.ca } });
      expect((await b.driver.history(a.upstream, forever())).writable).toBe(true);
      await group?.close();
      const [c, d] = await openPrimary({ tls: { mode: 'verify-ca', ca: '/nowhere.pem' } });
      await expect(d.driver.history(c.upstream, forever())).rejects.toMatchObject({
        code: 'ConfigInvalid',
        message: expect.stringMatching(/\/nowhere\.pem of postgres\.tls cannot be read \(ENOENT\)/),
      });
    });
  });
});

/** As the driver finds it where it is root. */
async function databaseAccount(): Promise<{ uid: number; gid: number }> {
  const { execaSync } = await import('execa');
  for (const name of ['postgres', 'nobody']) {
    const [uid, gid] = ['-u', '-g'].map((flag) => execaSync('id', [flag, '--', name], { reject: false }));
    if (uid?.failed === false && gid?.failed === false) return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  }
  throw new Error('no account for the database');
}
