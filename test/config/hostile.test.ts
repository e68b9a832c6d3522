import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fc, it as property } from '@fast-check/vitest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { makeSettings, printSettings, quoteSetting } from '../../src/database/postgres/settings.ts';
import { FormatError, encodeName } from '../../src/providers/rfc2136/rdata.ts';
import type { PostgresConfig } from '../../src/model/config.ts';
import { checkConfig, loadConfig, printMistakes } from '../../src/runtime/config.ts';

const SLOW_MS = 5000;

/** A configuration that is right, but for what is put into it. */
function withMember(member: object, more: { group?: object; name?: string; temporal?: object; record?: object; postgres?: object } = {}): string {
  return stringify({
    temporal: more.temporal ?? {},
    providers: { main: { type: 'rfc2136', server: '127.0.0.1', zone: 'db.test.', tsig: { name: 'k', secret: { env: 'K' } } } },
    groups: {
      orders: {
        durability: 'async',
        members: { [more.name ?? 'pg-a']: { address: '10.0.0.1:5432', dataDir: '/srv/data', stateDir: '/srv/state', ...member } },
        ...(more.record === undefined ? {} : { records: [{ name: 'orders.db.test.', type: 'A', provider: 'main', ...more.record }] }),
        ...(more.postgres === undefined ? {} : { postgres: more.postgres }),
        ...more.group,
      },
    },
  });
}

function wordsOf(text: string): string[] {
  const answer = checkConfig(text, 'u.yaml');
  return 'config' in answer ? [] : answer.mistakes.map(({ path: where, words }) => `${where}: ${words}`);
}

const HOST = 'host:port, such as 10.0.0.1:5432 or [fd00::1]:5432';
const PATH = 'an absolute path, such as /var/lib/understudy';

describe('a hostile configuration ends in a clear message', () => {
  it.each<[string, string, RegExp]>([
    ['lists in lists without end', '['.repeat(50_000), /more than 64 levels/],
    ['mappings in mappings', Array.from({ length: 700 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'), /more than 64 levels/],
    ['a list of lists, each of them short', `a: ${'['.repeat(70)}${']'.repeat(70)}`, /more than 64 levels/],
    ['a text that is too long', `# ${'x'.repeat(600_000)}`, /larger than 512 KiB/],
    [
      'aliases of aliases of aliases',
      `${Array.from(
        { length: 12 },
        (_, n) =>
          `a${n}: &a${n} [${Array(9)
            .fill(n === 0 ? 'x' : `*a${n - 1}`)
            .join(', ')}]`,
      ).join('\n')}\n`,
      /aliases make more than 100000 values/,
    ],
    ['an alias of nothing', 'groups: *nothing', /\*nothing names nothing/],
    ['an alias in what it names', 'groups: &g { orders: *g }', /\*g stands inside what it names/],
    ['an alias in a mapping below it', 'groups: &g { orders: { members: *g } }', /\*g stands inside what it names/],
    ['a tag that would make something', 'groups: !!js/function "() => 1"', /Unresolved tag/],
    ['a name of the language', '__proto__: { groups: {} }\nconstructor: 1', /unknown key/],
    ['three thousand unknown keys', Array.from({ length: 3000 }, (_, n) => `a${n}: 1`).join('\n'), /unknown key/],
    ['a mapping as a key', '? { a: b }\n: c', /unknown key/],
    ['a number for a mapping', 'groups: 7', /names, each with its settings/],
    ['a NUL in a key', '"gro\\0ups": {}', /unknown key/],
  ])('%s', (_, text, words) => {
    const startedMs = performance.now();
    const answer = checkConfig(text, 'u.yaml');
    if ('config' in answer) throw new Error('it was taken for a configuration');
    expect(answer.mistakes.length).toBeGreaterThan(0);
    expect(answer.mistakes.length).toBeLessThanOrEqual(100);
    expect(printMistakes(answer.mistakes)).toMatch(words);
    expect(performance.now() - startedMs).toBeLessThan(SLOW_MS);
  });

  it.each<[string, string, string]>([
    ['two hosts to libpq', withMember({ address: '10.0.0.1,evil.test:5432' }), `groups.orders.members.pg-a.address: ${HOST}`],
    ['a quote in a host', withMember({ address: "a'b:5432" }), `groups.orders.members.pg-a.address: ${HOST}`],
    ['a line break in a host', withMember({ address: "a\nshared_preload_libraries='x':5432" }), `groups.orders.members.pg-a.address: ${HOST}`],
    ['a NUL in a host', withMember({ address: 'a\0b:5432' }), `groups.orders.members.pg-a.address: ${HOST}`],
    ['letters that look alike', withMember({ address: 'раypal.test:5432' }), `groups.orders.members.pg-a.address: ${HOST}`],
    ['an option in the place of a host', withMember({ address: '-c:5432' }), `groups.orders.members.pg-a.address: ${HOST}`],
    [
      'a way out of a path',
      withMember({}, { name: '../../etc' }),
      'groups.orders.members.../../etc: a name: small letters, digits and hyphens, a letter first, at most 48 characters',
    ],
    ['a NUL in a path', withMember({ dataDir: '/srv/data\0/etc' }), `groups.orders.members.pg-a.dataDir: ${PATH}`],
    ['a line break in a path', withMember({ dataDir: '/srv/data\nport = 1' }), `groups.orders.members.pg-a.dataDir: ${PATH}`],
    [
      'two sockets',
      withMember({ stateDir: '/srv/a,/etc' }),
      'groups.orders.members.pg-a.stateDir: a comma or a quote would make several sockets of the one in it',
    ],
    [
      'a quote in a role',
      withMember({}, { postgres: { superuser: { user: 'x"; drop table t; --' } } }),
      'groups.orders.postgres.superuser.user: the name of a role: 1 to 63 characters, no quotes or backslashes',
    ],
    [
      'a NUL in a database',
      withMember({}, { postgres: { maintenanceDatabase: 'a\0user\0b' } }),
      'groups.orders.postgres.maintenanceDatabase: the name of a database',
    ],
    ['a space in a record', withMember({}, { record: { name: 'a b.db.test.' } }), 'groups.orders.records[0].name: an absolute DNS name, with its final dot'],
    [
      'a line break in a record',
      withMember({}, { record: { name: 'a.\nb.db.test.' } }),
      'groups.orders.records[0].name: an absolute DNS name, with its final dot',
    ],
    [
      'a label of 64 letters',
      withMember({}, { record: { name: `${'a'.repeat(64)}.db.test.` } }),
      'groups.orders.records[0].name: an absolute DNS name, with its final dot',
    ],
    [
      'metrics for everybody',
      withMember({ metrics: { listen: '0.0.0.0:9187' } }),
      'groups.orders.members.pg-a.metrics.listen: 0.0.0.0 is reached from other machines, and nobody is asked who he is',
    ],
    ['a key without its certificate', withMember({}, { temporal: { tls: { key: '/k' } } }), 'temporal.tls.cert: missing: key is of no use without it'],
    [
      'an API key that is written',
      withMember({}, { temporal: { apiKey: 'hunter2' } }),
      'temporal.apiKey: a secret is named, never written: { env: NAME } or { file: /path }',
    ],
    [
      'a codec without its key',
      withMember({}, { temporal: { codec: { encodeWith: 'b', keys: { a: { env: 'A' } } } } }),
      'temporal.codec.encodeWith: no key is named "b"',
    ],
    [
      'a way out in a key id',
      withMember({}, { temporal: { codec: { encodeWith: '../a', keys: { '../a': { env: 'A' } } } } }),
      'temporal.codec.keys.../a: the id of a key: letters, digits, dots and hyphens, at most 64',
    ],
    [
      'verification against nothing',
      withMember({}, { postgres: { tls: { mode: 'verify-ca' } } }),
      'groups.orders.postgres.tls.ca: missing: verify-ca verifies against it',
    ],
  ])('%s', (_, text, words) => {
    expect(wordsOf(text)).toContain(words);
  });

  it('what moves the cursor or turns the text is shown as a mark', () => {
    const answer = checkConfig('"gr\u001b[2Joups": 1\nna\u202eme: 2\n', 'u.yaml');
    if ('config' in answer) throw new Error('no mistake was found');
    // oxlint-disable-next-line no-control-regex
    expect(printMistakes(answer.mistakes)).not.toMatch(/[\u001b\u202e]/);
  });

  property.prop([fc.anything({ maxDepth: 5, withNullPrototype: true })], { numRuns: 300 })(
    'whatever the values are, the answer is a list of mistakes',
    (value) => {
      let text: string;
      try {
        text = stringify(value, { aliasDuplicateObjects: false });
      } catch {
        fc.pre(false);
        return;
      }
      if (text === undefined) return;
      expect('mistakes' in checkConfig(text, 'u.yaml')).toBe(true);
    },
  );

  property.prop([fc.string({ unit: 'binary', maxLength: 300 })], { numRuns: 500 })('whatever the text is', (text) => {
    expect('mistakes' in checkConfig(text, 'u.yaml')).toBe(true);
    expect('mistakes' in checkConfig(`groups: ${text}\n`, 'u.yaml')).toBe(true);
  });

  property.prop([fc.string({ unit: 'binary', maxLength: 80 })], { numRuns: 500 })(
    'a host that is accepted has no character that means more elsewhere',
    (host) => {
      const answer = checkConfig(withMember({ address: host }), 'u.yaml');
      if ('mistakes' in answer) return;
      expect(answer.config.groups['orders']?.spec.members[0]?.host).toMatch(/^[A-Za-z0-9_.:-]+$/);
    },
  );
});

describe('a file that is no configuration', () => {
  let dir: string;
  beforeAll(() => void (dir = mkdtempSync(path.join(tmpdir(), 'understudy-hostile-'))));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const file = (name: string, bytes: Buffer): string => {
    writeFileSync(path.join(dir, name), bytes);
    return path.join(dir, name);
  };

  it.each<[string, () => string, RegExp]>([
    ['a device without end', () => '/dev/zero', /larger than 512 KiB/],
    ['a huge file', () => file('huge', Buffer.alloc(5_000_000, 'a')), /larger than 512 KiB/],
    ['bytes that are no text', () => file('bytes', Buffer.from([0x67, 0xff, 0xfe, 0x00])), /no text in UTF-8/],
    ['a directory', () => dir, /it is a directory/],
    ['nothing', () => path.join(dir, 'none'), /there is no such file/],
  ])('%s', async (_, make, words) => {
    await expect(loadConfig(make())).rejects.toMatchObject({ code: 'ConfigInvalid', message: expect.stringMatching(words) });
  });
});

describe('a value that reaches a file of PostgreSQL stays a value', () => {
  const postgres: PostgresConfig = {
    superuser: { user: 'postgres' },
    replication: { user: 'r' },
    maintenanceDatabase: 'postgres',
    auth: 'trust',
    maxWalKeptBytes: 2 ** 30,
    failoverSlots: true,
  };
  const own = {
    version: 150_000,
    walLevel: 'replica',
    maxWalSenders: 10,
    maxReplicationSlots: 10,
    superuserReserved: 3,
    synchronousCommit: 'on',
    listenAddresses: '',
    socketDirectories: '',
  };
  /** As the server reads it: a line is a name and a quoted text. @see PostgreSQL manual, "Parameter Interaction via the Configuration File" */
  const LINE = /^[a-z_.]+ = '(?:[^'\\\n]|''|\\.)*'$/;

  property.prop([fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'))], { numRuns: 500 })('whatever it holds', (text) => {
    expect(`x = ${quoteSetting(text)}`).toMatch(LINE);
  });

  property.prop([fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })], { numRuns: 300 })(
    "though a workflow's order names what no configuration could",
    (member, host, group) => {
      fc.pre(!`${member}${host}`.includes('\0'));
      const settings = { upstream: { member, host, port: 1 }, rule: { names: [member], count: 1 }, leaseMs: 3000 };
      const lines = printSettings(group, makeSettings({ group, member, memberCount: 3, settings, own, postgres, passFile: '/p' }))
        .trimEnd()
        .split('\n');
      for (const line of lines) expect(line.startsWith('#') || LINE.test(line), line).toBe(true);
    },
  );

  property.prop([fc.string({ unit: 'binary', maxLength: 80 })], { numRuns: 500 })('a name reaches DNS whole, or not at all', (name) => {
    let wire: Buffer;
    try {
      wire = encodeName(name);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
      return;
    }
    // As long as the labels that were written, each with its length before it: none ended early, none became two.
    expect(wire.length).toBe(name === '' || name === '.' ? 1 : Buffer.byteLength(name.replace(/\.$/, '')) + 2);
    expect(wire.at(-1)).toBe(0);
  });

  it('a NUL is refused', () => expect(() => quoteSetting('a\0b')).toThrow(/NUL/));
});
