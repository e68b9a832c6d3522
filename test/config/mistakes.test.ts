import { describe, expect, it } from 'vitest';
import { checkConfig, printMistakes } from '../../src/runtime/config.ts';

/** A configuration without a mistake; each case changes some of its lines. */
const GOOD = `providers:
  main:
    type: rfc2136
    server: 127.0.0.1:5353
    zone: db.test.
    tsig: { name: understudy, secret: { env: UNDERSTUDY_TSIG } }
groups:
  orders:
    lease: 3s
    durability: sync
    policy: { maxLag: 16MB }
    postgres: { replication: { password: { env: REPLICATION } } }
    members:
      pg-a: { address: 10.0.0.1:5432, dataDir: /srv/data, stateDir: /srv/state }
      pg-b: { address: 10.0.0.2:5432, dataDir: /srv/data, stateDir: /srv/state }
    records:
      - { name: orders.db.test., type: A, provider: main }
`;

/** Replaces the line with that number, counted from 1; an array puts several in its place. */
type Change = Readonly<Record<number, string | readonly string[]>>;

function changed(change: Change): string {
  return GOOD.split('\n')
    .flatMap((line, index) => change[index + 1] ?? line)
    .join('\n');
}

/** `line:column path: words | hint` */
function told(text: string): string[] {
  const answer = checkConfig(text, 'u.yaml');
  if ('config' in answer) return [];
  return answer.mistakes.map(({ line, column, path, words, hint }) => `${line}:${column} ${path}: ${words}${hint === undefined ? '' : ` | ${hint}`}`);
}

const DURATION = 'a duration such as 500ms, 3s, 5m, 1h or 1d';
const SECRET = 'a secret is named, never written: { env: NAME } or { file: /path }';
const NAME = 'a name: small letters, digits and hyphens, a letter first, at most 48 characters';
const MEMBER_C = '      pg-c: { address: 10.0.0.3:5432, dataDir: /srv/data, stateDir: /srv/state }';
const member = (name: string, rest: string): string => `      ${name}: { ${rest} }`;

const TABLE: readonly [name: string, change: Change, ...mistakes: string[]][] = [
  ['nothing wrong', {}],
  // Keys
  ['an unknown key, nearly right', { 9: '    leese: 3s' }, '9:5 groups.orders.leese: unknown key | did you mean lease?'],
  [
    'an unknown key, with no idea what was meant',
    { 11: '    policy: { colour: red }' },
    '11:15 groups.orders.policy.colour: unknown key | known here: mode, approval, approvalWithin, minInterval, maxPerDay, maxLag, answerWithin, restartWithin, stopWithin, switchoverMaxLag, hungAfter',
  ],
  [
    'a key written twice',
    { 9: ['    lease: 3s', '    lease: 5s'] },
    '10:5 : the key is written twice | the second would replace the first: rename one, or join them',
  ],
  [
    'a member written twice',
    { 15: [MEMBER_C, member('pg-a', 'address: 10.0.0.2:5432, dataDir: /srv/data, stateDir: /srv/state')] },
    '16:7 : the key is written twice | the second would replace the first: rename one, or join them',
  ],
  ['a missing key', { 17: '      - { name: orders.db.test., provider: main }' }, '17:9 groups.orders.records[0].type: missing: A, AAAA, CNAME or SRV'],
  ['a key without a value', { 9: '    lease:' }, `9:5 groups.orders.lease: has no value: ${DURATION}`],
  // YAML
  ['a tab', { 9: '\tlease: 3s' }, '9:1 : a tab indents here | YAML takes spaces only'],
  ['a second document', { 18: '---\ngroups: {}\n' }, '18:1 : a second document begins here | one file holds one document: remove the ---'],
  // Names
  ['a group with capitals', { 8: '  Orders:' }, `8:3 groups.Orders: ${NAME}`],
  [
    'a member with an underscore',
    { 15: member('pg_b', 'address: 10.0.0.2:5432, dataDir: /srv/data, stateDir: /srv/state') },
    `15:7 groups.orders.members.pg_b: ${NAME}`,
  ],
  // Units
  ['a number without a unit', { 9: '    lease: 3' }, `9:12 groups.orders.lease: ${DURATION} | 3 has no unit: write 3s or 3ms`],
  ['words for a duration', { 9: '    lease: 3 seconds' }, `9:12 groups.orders.lease: ${DURATION}`],
  [
    'a size of another kind',
    { 11: '    policy: { maxLag: 16MiB }' },
    '11:23 groups.orders.policy.maxLag: a size such as 512kB, 16MB or 10GB | write 16MB (1024 each)',
  ],
  [
    'a value out of range',
    { 11: '    policy: { minInterval: 30d, maxPerDay: 0 }' },
    '11:28 groups.orders.policy.minInterval: 30d is out of range: 0s to 7d',
    '11:44 groups.orders.policy.maxPerDay: at least 1',
  ],
  // Lease
  [
    'a lease that the server cannot time',
    { 9: '    lease: 500ms' },
    '9:12 groups.orders.lease: a lease of 500ms is shorter than the server can time: 1s to 5m (150ms of it is the margin for the kill, and 350ms are left to renew it and to stop within)',
  ],
  [
    'a lease that is all margin',
    { 9: '    lease: 100ms' },
    '9:12 groups.orders.lease: a lease of 100ms is shorter than the server can time: 1s to 5m (150ms of it is the margin for the kill, and 0ms are left to renew it and to stop within)',
  ],
  ['a lease of an hour', { 9: '    lease: 1h' }, '9:12 groups.orders.lease: a lease of 1h is out of range: 1s to 5m'],
  // Addresses
  [
    'an address twice',
    { 15: member('pg-b', 'address: 10.0.0.1:5432, dataDir: /srv/b, stateDir: /srv/b-state') },
    '15:24 groups.orders.members.pg-b.address: 10.0.0.1:5432 is the address of groups.orders.members.pg-a already',
  ],
  [
    'an address twice, in another group',
    {
      17: [
        '      - { name: orders.db.test., type: A, provider: main }',
        '  billing:',
        '    durability: async',
        '    members:',
        member('pg-a', 'address: 10.0.0.1, dataDir: /srv/b, stateDir: /srv/b-state'),
      ],
    },
    '21:24 groups.billing.members.pg-a.address: 10.0.0.1:5432 is the address of groups.orders.members.pg-a already',
  ],
  [
    'an address without a host',
    { 14: member('pg-a', 'address: ":5432", dataDir: /srv/data, stateDir: /srv/state') },
    '14:24 groups.orders.members.pg-a.address: host:port, such as 10.0.0.1:5432 or [fd00::1]:5432',
  ],
  ['a port that is none', { 4: '    server: 127.0.0.1:70000' }, '4:13 providers.main.server: the port is out of range: 1 to 65535'],
  // Directories
  [
    'one directory for two members of a host',
    { 15: member('pg-b', 'address: 10.0.0.1:5433, dataDir: /srv/data/, stateDir: /srv/b') },
    '15:48 groups.orders.members.pg-b.dataDir: /srv/data is groups.orders.members.pg-a.dataDir already',
  ],
  [
    'a relative directory',
    { 14: member('pg-a', 'address: 10.0.0.1:5432, dataDir: data, stateDir: /srv/state') },
    '14:48 groups.orders.members.pg-a.dataDir: an absolute path, such as /var/lib/understudy',
  ],
  [
    'state inside the data',
    { 14: member('pg-a', 'address: 10.0.0.1:5432, dataDir: /srv, stateDir: /srv/state') },
    '14:64 groups.orders.members.pg-a.stateDir: lies inside dataDir, which a clone replaces | choose a directory beside it',
  ],
  [
    "a state directory too long for a socket's path",
    { 14: member('pg-a', `address: 10.0.0.1:5432, dataDir: /srv/data, stateDir: /${'x'.repeat(83)}`) },
    "14:69 groups.orders.members.pg-a.stateDir: 84 bytes are too long for the sockets in it: at most 83, since a socket's path may have 107",
  ],
  // Secrets
  [
    'I9: a secret written in the file',
    { 6: '    tsig: { name: understudy, secret: hunter2 }' },
    `6:39 providers.main.tsig.secret: ${SECRET} | put it into the environment or into a file, and write secret: { env: UNDERSTUDY_SECRET } or secret: { file: /etc/understudy/secret }`,
  ],
  [
    'a variable named with its dollar',
    { 12: '    postgres: { replication: { password: { env: $PW } } }' },
    '12:49 groups.orders.postgres.replication.password.env: the name of an environment variable, without $',
  ],
  [
    'no password where one is asked for',
    { 12: '    postgres: {}' },
    '12:5 groups.orders.postgres.replication.password: missing: with auth scram-sha-256 a standby connects by password | write password: { env: NAME } or { file: /path }; or auth: trust, where nobody else can reach the members',
  ],
  ['no password where none is asked for', { 12: '    postgres: { auth: trust }' }],
  // Durability
  [
    'an unknown durability',
    { 10: '    durability: snyc' },
    '10:17 groups.orders.durability: sync, async, or { mode: sync, confirm: 1, relaxAfter: 30s } | did you mean sync?',
  ],
  [
    'more confirmations than standbys',
    { 10: '    durability: { mode: sync, confirm: 2 }' },
    '10:40 groups.orders.durability.confirm: 2 standbys are to confirm each commit, but the group has 1 | at most 1',
  ],
  [
    'as many confirmations as standbys',
    {
      10: '    durability: { mode: sync, confirm: 2, relaxAfter: 30s }',
      15: [member('pg-b', 'address: 10.0.0.2:5432, dataDir: /srv/data, stateDir: /srv/state'), MEMBER_C],
    },
  ],
  [
    'a mistake within the durability',
    { 10: '    durability: { mode: sync, relaxafter: 30 }' },
    '10:31 groups.orders.durability.relaxafter: unknown key | did you mean relaxAfter?',
  ],
  [
    'sync with one member',
    { 15: [] },
    '10:17 groups.orders.durability: sync with one member: no standby could ever confirm a commit, so each would wait for ever | add a member, or write durability: async',
  ],
  [
    'sync by default with one member',
    { 10: [], 15: [] },
    '8:3 groups.orders.durability: sync with one member: no standby could ever confirm a commit, so each would wait for ever | add a member, or write durability: async',
  ],
  ['async with one member', { 10: '    durability: async', 15: [] }],
  // Records
  [
    'an unknown provider',
    { 17: '      - { name: orders.db.test., type: A, provider: mian }' },
    '17:53 groups.orders.records[0].provider: no provider is named "mian" | did you mean main?',
  ],
  [
    'a name without its final dot',
    { 17: '      - { name: orders.db.test, type: A, provider: main }' },
    '17:17 groups.orders.records[0].name: an absolute DNS name, with its final dot | write orders.db.test.',
  ],
  [
    'a name outside the zone',
    { 17: '      - { name: orders.notdb.test., type: A, provider: main }' },
    '17:17 groups.orders.records[0].name: lies outside the zone db.test. of provider main',
  ],
  [
    'SRV without names to point to',
    { 17: '      - { name: orders.db.test., type: SRV, provider: main }' },
    '17:40 groups.orders.records[0].type: SRV points to a name, and pg-a, pg-b have no dnsName | give each member a dnsName',
  ],
  [
    'AAAA with IPv4 members',
    { 17: '      - { name: orders.db.test., type: AAAA, provider: main }' },
    '17:40 groups.orders.records[0].type: AAAA points to an IPv6 address, which is not what pg-a (10.0.0.1), pg-b (10.0.0.2) have',
  ],
  [
    'A with a member that is a name',
    { 15: member('pg-b', 'address: b.test:5432, dataDir: /srv/data, stateDir: /srv/state') },
    '17:40 groups.orders.records[0].type: A points to an IPv4 address, which is not what pg-b (b.test) has',
  ],
  [
    'half a second of TTL',
    { 17: '      - { name: orders.db.test., type: A, ttl: 500ms, provider: main }' },
    '17:48 groups.orders.records[0].ttl: whole seconds',
  ],
  [
    'a record twice',
    { 17: ['      - { name: orders.db.test., type: A, provider: main }', '      - { name: ORDERS.db.test., type: A, provider: main }'] },
    '18:17 groups.orders.records[1].name: orders.db.test. A is written twice',
  ],
  [
    'I8: a record that two groups claim',
    {
      17: [
        '      - { name: orders.db.test., type: A, provider: main }',
        '  billing:',
        '    durability: async',
        '    members:',
        member('pg-a', 'address: 10.0.0.9, dataDir: /srv/b, stateDir: /srv/b-state'),
        '    records: [{ name: orders.db.test., type: A, provider: main }]',
      ],
    },
    '22:23 groups.billing.records[0].name: orders.db.test. belongs to group orders already: a record has one owner',
  ],
  [
    'several at once, none hidden by another',
    { 4: '    server: x:y', 9: '    lease: 0s', 17: '      - { name: other., type: AAA, provider: mian }' },
    '4:13 providers.main.server: host:port, such as 10.0.0.1:53 or [fd00::1]:53',
    '9:12 groups.orders.lease: a lease of 0ms is shorter than the server can time: 1s to 5m (150ms of it is the margin for the kill, and 0ms are left to renew it and to stop within)',
    '17:31 groups.orders.records[0].type: A, AAAA, CNAME or SRV | did you mean AAAA?',
    '17:46 groups.orders.records[0].provider: no provider is named "mian" | did you mean main?',
  ],
];

describe('each mistake is told with its place', () => {
  it.each(TABLE)('%s', (_, change, ...mistakes) => {
    expect(told(changed(change))).toEqual(mistakes);
  });

  it.each([
    ['an empty file', '', ['1:1 groups: missing: names, each with its settings']],
    ['a list', '[]', ['1:1 : a mapping with groups']],
    ['no group', 'groups: {}', ['1:1 groups: at least one group']],
    ['a group without members', 'groups: { a: { members: {} } }', ['1:16 groups.a.members: at least one member']],
  ])('%s', (_, text, mistakes) => {
    expect(told(text)).toEqual(mistakes);
  });

  it('a place in an anchored value is that of its use', () => {
    const text = changed({ 9: '    lease: &l 3s', 11: '    policy: { maxLag: *l }' });
    expect(told(text)).toEqual(['11:23 groups.orders.policy.maxLag: a size such as 512kB, 16MB or 10GB']);
  });
});

describe('I9: no excerpt shows a secret', () => {
  it.each([
    ['under its key', { 6: '    tsig: { name: understudy, secret: hunter2 }' }],
    ['under a misspelt key', { 6: '    tsig: { name: understudy, secrets: hunter2 }' }],
    ['beside another mistake', { 6: '    tsig: { nam: understudy, secret: "hunter2" }' }],
    ['of several lines', { 6: ['    tsig:', '      name: understudy', '      secret: |', '        hunter2', '        hunter2', '      hunter: x'] }],
    ['in a text that is no YAML', { 6: '    tsig: { name: understudy, secret: hunter2' }],
    ['in a line with a tab', { 6: ['    tsig:', '\tpassword: hunter2'] }],
  ] as [string, Change][])('%s', (_, change) => {
    const answer = checkConfig(changed(change), 'u.yaml');
    if ('config' in answer) throw new Error('no mistake was found');
    expect(answer.mistakes.length).toBeGreaterThan(0);
    expect(printMistakes(answer.mistakes)).not.toContain('hunter2');
    expect(JSON.stringify(answer.mistakes)).not.toContain('hunter2');
  });
});
