import { describe, expect, it } from 'vitest';
import { UnderstudyError } from '../../src/model/error.ts';
import { openDriver, type DriverOptions } from '../../src/database/index.ts';
import { makeVerifier } from '../../src/database/postgres/accounts.ts';
import { endAfter, segmentName } from '../../src/database/postgres/end-of-log.ts';
import { parseHistory } from '../../src/database/postgres/history.ts';
import { classify } from '../../src/database/postgres/probe-write.ts';
import { listenOn, makeSettings, makeSyncNames, printSettings, type OwnValues } from '../../src/database/postgres/settings.ts';

const own: OwnValues = {
  walLevel: 'replica',
  maxWalSenders: 10,
  maxReplicationSlots: 10,
  superuserReserved: 3,
  synchronousCommit: 'on',
  listenAddresses: 'localhost',
  socketDirectories: '/tmp',
  version: 150_000,
};
const make = (over: Partial<OwnValues> = {}, count = 0) =>
  makeSettings({
    group: 'orders',
    member: 'pg-a',
    memberCount: 3,
    own: { ...own, ...over },
    passFile: '/state/db/passfile',
    settings: { upstream: { member: 'pg-b', host: "h'x", port: 5432 }, rule: { names: ['pg-b', 'pg-c'], count }, leaseMs: 1000 },
    postgres: {
      superuser: { user: 'postgres' },
      replication: { user: 'repl', password: { env: 'X' } },
      maintenanceDatabase: 'postgres',
      auth: 'trust',
      maxWalKeptBytes: 2 ** 30,
      failoverSlots: true,
    },
  });

describe('settings of PostgreSQL', () => {
  it('the rule names each standby in quotes', () => {
    expect(makeSyncNames({ names: ['pg-b', 'pg-c'], count: 1 })).toBe('ANY 1 ("pg-b", "pg-c")');
    expect(makeSyncNames({ names: ['pg-b'], count: 0 })).toBe('');
  });
  it('what the user has set higher is left to him', () => {
    const lines = make({ walLevel: 'logical', maxWalSenders: 50, maxReplicationSlots: 50 });
    for (const name of ['wal_level', 'max_wal_senders', 'max_replication_slots', 'synchronous_commit']) expect(lines.has(name)).toBe(false);
    expect(make({ walLevel: 'minimal' }).get('wal_level')).toBe('replica');
    expect(Number(make({ maxWalSenders: 2 }).get('max_wal_senders'))).toBeGreaterThan(2);
  });
  it('I2: a rule in force never leaves synchronous_commit below on, and leaves what is above', () => {
    for (const low of ['off', 'local', 'remote_write']) expect(make({ synchronousCommit: low }, 1).get('synchronous_commit')).toBe('on');
    expect(make({ synchronousCommit: 'remote_apply' }, 1).has('synchronous_commit')).toBe(false);
    expect(make({ synchronousCommit: 'off' }, 0).has('synchronous_commit')).toBe(false);
  });
  it('I9: the connection string names a password file, and quotes survive both levels of quoting', () => {
    const text = printSettings('orders', make());
    expect(text).toContain("passfile=''/state/db/passfile''");
    expect(text).toContain("host=''h\\\\''x''");
    expect(text).not.toMatch(/password=/);
  });
  const listening: [own: string, host: string, wanted: string][] = [
    ['localhost', '127.0.0.1', 'localhost'],
    ['localhost', '10.0.0.1', 'localhost,10.0.0.1'],
    ['*', '10.0.0.1', '*'],
    ['0.0.0.0', '10.0.0.1', '0.0.0.0'],
    ['10.0.0.1, 10.0.0.2', '10.0.0.1', '10.0.0.1,10.0.0.2'],
    ['', 'db1', 'db1'],
  ];
  for (const [addresses, host, wanted] of listening)
    it(`${host} beside "${addresses}" listens on "${wanted}"`, () => expect(listenOn(addresses, host)).toBe(wanted));
});

describe('places in the log', () => {
  const table: [name: string, at: bigint, bytes: number, end: bigint][] = [
    ['a record is aligned to eight bytes', 0x3000028n, 114, 0x30000a0n],
    ['one that fills its page ends on the boundary', 0x3001f88n, 120, 0x3002000n],
    ['one that goes on to the next page passes its header', 0x3001fc0n, 120, 0x3002000n + 24n + 56n],
    ['one that goes on to the next segment passes the long header', 0x3ffffc0n, 120, 0x4000000n + 40n + 56n],
  ];
  for (const [name, at, bytes, end] of table) it(name, () => expect(endAfter(at, bytes, 8192, 16 * 2 ** 20)).toBe(end));
  it('a segment is named by timeline and place', () => {
    expect(segmentName(1, 0x3000028n, 16 * 2 ** 20)).toBe('000000010000000000000003');
    expect(segmentName(10, 0x1_0500_0000n, 16 * 2 ** 20)).toBe('0000000A0000000100000005');
  });
  it("a timeline's history is read past its comments", () => {
    expect(parseHistory('1\t0/401A040\tno recovery target specified\n\n2\t0/5000000\tby hand\n')).toEqual([
      { timeline: 1, endLsn: '0/401A040' },
      { timeline: 2, endLsn: '0/5000000' },
    ]);
  });
});

describe('what a failed probe says', () => {
  const table: [code: string | undefined, words: string, timeUp: boolean, outcome: string][] = [
    ['53300', 'sorry, too many clients already', false, 'unknown'],
    ['57P03', 'the database system is starting up', false, 'unknown'],
    ['53100', 'could not extend file', false, 'disk-full'],
    ['25006', 'cannot execute x in a read-only transaction', false, 'read-only'],
    ['58030', 'could not write file: Read-only file system', false, 'read-only'],
    ['55000', 'recovery is in progress', false, 'in-recovery'],
    ['57014', 'canceling statement due to statement timeout', false, 'slow'],
    [undefined, 'was not answered', true, 'slow'],
    ['ECONNREFUSED', 'connect ECONNREFUSED', false, 'broken'],
  ];
  for (const [code, words, timeUp, outcome] of table) {
    it(`${code ?? 'no answer'} (${words}) is ${outcome}`, () =>
      expect(classify(new UnderstudyError('DatabaseFailed', words, { code, timeUp })).outcome).toBe(outcome));
  }
});

it("the password verifier is that of RFC 7677's example", () => {
  // User "user", password "pencil": the stored and the server key follow from salt and iterations alone.
  expect(makeVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096)).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

it('an unknown kind of database is refused by name', () => {
  expect(() => openDriver('oracle', {} as DriverOptions)).toThrow(/there is: postgres/);
});
