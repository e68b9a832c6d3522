import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonSchemaText } from '../../src/model/config-schema.ts';
import { checkConfig, loadConfig } from '../../src/runtime/config.ts';

const HERE = import.meta.dirname;

describe('a configuration', () => {
  it('says all that a process starts from, in plain numbers', async () => {
    const config = await loadConfig(path.join(HERE, 'good.yaml'));
    expect(config.temporal).toEqual({ address: '127.0.0.1:7233', namespace: 'default', ui: 'http://127.0.0.1:8233' });
    expect(config.providers).toEqual({
      main: {
        type: 'rfc2136',
        server: { host: '127.0.0.1', port: 5353 },
        secondaries: [{ host: '127.0.0.1', port: 5354 }],
        zone: 'db.test.',
        tsig: { name: 'understudy', algorithm: 'hmac-sha256', secret: { env: 'UNDERSTUDY_TSIG' } },
        timeoutMs: 2000,
      },
    });
    const { spec, local } = config.groups['orders'] ?? expect.fail('no group');
    expect(spec).toMatchObject({
      name: 'orders',
      leaseMs: 1000,
      durability: { mode: 'sync', confirm: 1, relaxAfterMs: 30_000 },
      records: [{ name: 'orders.db.test.', type: 'A', ttlSeconds: 5, provider: 'main' }],
    });
    expect(spec.members[2]).toEqual({ name: 'pg-c', host: '10.0.0.3', port: 5432, dnsName: 'pg-c.db.test.', priority: 0 });
    expect(local['pg-a']).toEqual({ dataDir: '/var/lib/understudy/orders/data', stateDir: '/var/lib/understudy/orders/state' });
  });

  it('has a sensible default for everything that may be left out', () => {
    const answer = checkConfig(
      'groups: { orders: { postgres: { auth: trust }, members: { pg-a: { address: "[fd00::1]", dataDir: /a, stateDir: /b }, pg-b: { address: db-b, dataDir: /a, stateDir: /b } } } }',
      'u.yaml',
    );
    if ('mistakes' in answer) throw new Error(JSON.stringify(answer.mistakes));
    expect(answer.config).toEqual({
      file: path.resolve('u.yaml'),
      temporal: {},
      providers: {},
      groups: {
        orders: {
          spec: {
            name: 'orders',
            database: 'postgres',
            leaseMs: 3000,
            durability: { mode: 'sync', confirm: 1 },
            members: [
              { name: 'pg-a', host: 'fd00::1', port: 5432, priority: 100 },
              { name: 'pg-b', host: 'db-b', port: 5432, priority: 100 },
            ],
            policy: {
              mode: 'automatic',
              approval: 'none',
              approvalWithinMs: 600_000,
              minIntervalMs: 600_000,
              maxPerDay: 5,
              maxLagBytes: 16 * 1024 * 1024,
              answerWithinMs: 500,
              restartWithinMs: 10_000,
              stopWithinMs: 30_000,
              switchoverMaxLagBytes: 16 * 1024 * 1024,
              hungAfterMs: 10_000,
            },
            records: [],
          },
          postgres: {
            superuser: { user: 'postgres' },
            replication: { user: 'understudy_replication' },
            maintenanceDatabase: 'postgres',
            auth: 'trust',
            maxWalKeptBytes: 10 * 1024 ** 3,
            failoverSlots: true,
          },
          local: { 'pg-a': { dataDir: '/a', stateDir: '/b' }, 'pg-b': { dataDir: '/a', stateDir: '/b' } },
        },
      },
    });
  });

  it('that is not there is an error with the next step', async () => {
    await expect(loadConfig('/nowhere/u.yaml')).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringMatching(/there is no such file\. Next: /),
    });
  });

  it('I9: with mistakes is one error that lists them all, and no secret', async () => {
    const error = (await loadConfig(path.join(HERE, 'bad.yaml')).catch((reason: unknown) => reason)) as Error & { evidence: { mistakes: unknown[] } };
    expect(error).toMatchObject({ code: 'ConfigInvalid', message: expect.stringContaining(`has ${error.evidence.mistakes.length} mistakes`) });
    expect(JSON.stringify([error.message, error.evidence])).not.toMatch(/hunter2|also-a-secret/);
  });
});

describe("the editors' schema", () => {
  const file = path.join(HERE, '../../understudy.schema.json');

  it('is the one that the code checks with: npm run build rewrites it', () => {
    expect(readFileSync(file, 'utf8')).toBe(jsonSchemaText());
  });

  it('says what each key means', () => {
    const undescribed: string[] = [];
    const walk = (schema: Record<string, unknown>, where: string): void => {
      for (const [key, value] of Object.entries((schema['properties'] ?? {}) as Record<string, Record<string, unknown>>)) {
        if (typeof value['description'] !== 'string' && value['const'] === undefined) undescribed.push(`${where}.${key}`);
        walk(value, `${where}.${key}`);
      }
      for (const inner of [schema['additionalProperties'], schema['items'], ...((schema['anyOf'] ?? []) as unknown[])]) {
        if (typeof inner === 'object' && inner !== null) walk(inner as Record<string, unknown>, `${where}[]`);
      }
    };
    walk(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>, '');
    expect(undescribed).toEqual([]);
  });
});
