import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, resolveTarget, uiLink } from '../../src/runtime/connection.ts';

describe('where Temporal is', () => {
  let directory: string;
  let profiles: string;
  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'understudy-profiles-'));
    profiles = path.join(directory, 'temporal.toml');
    writeFileSync(profiles, '[profile.default]\naddress = "file.test:7233"\nnamespace = "from-file"\n[profile.prod]\naddress = "prod.test:7233"\n');
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.each([
    [
      'the configuration comes first',
      { address: 'config.test:1', namespace: 'n' },
      { TEMPORAL_ADDRESS: 'env.test:1' },
      'config.test:1',
      'n',
      'temporal.address of the configuration',
    ],
    ['then the environment', {}, { TEMPORAL_ADDRESS: 'env.test:1', TEMPORAL_NAMESPACE: 'e' }, 'env.test:1', 'e', 'TEMPORAL_ADDRESS'],
    ['then the profile', {}, { TEMPORAL_CONFIG_FILE: 'profiles' }, 'file.test:7233', 'from-file', "Temporal's profile default"],
    ['which can be named', { profile: 'prod' }, { TEMPORAL_CONFIG_FILE: 'profiles' }, 'prod.test:7233', 'default', "Temporal's profile prod"],
    ['then a server on this machine', {}, {}, '127.0.0.1:7233', 'default', 'the default'],
  ])('%s', (_, temporal, env, address, namespace, how) => {
    const named = 'TEMPORAL_CONFIG_FILE' in env ? { TEMPORAL_CONFIG_FILE: profiles } : { HOME: directory, ...env };
    expect(resolveTarget(temporal, named)).toMatchObject({ address, namespace, how: expect.stringContaining(how) });
  });

  it('a profile that is not there is an error, never localhost', () => {
    expect(() => resolveTarget({ profile: 'nope' }, { TEMPORAL_CONFIG_FILE: profiles })).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }) as Error);
    expect(() => resolveTarget({}, { TEMPORAL_CONFIG_FILE: '/nowhere.toml' })).toThrow(/TEMPORAL_CONFIG_FILE names \/nowhere.toml/);
  });

  it('nobody answers: the error says what was tried, who named it, and what to do next', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    await expect(connect({ temporal: { address: `127.0.0.1:${port}` }, purpose: 'cli', connectTimeoutMs: 300 })).rejects.toMatchObject({
      code: 'TemporalUnreachable',
      message: expect.stringMatching(
        new RegExp(`does not answer at 127.0.0.1:${port} within 300 ms \\(named by temporal.address of the configuration\\).*Next: `),
      ),
    });
  });

  it('a link survives the slashes in an id', () => {
    expect(uiLink('http://127.0.0.1:8233/', 'default', 'failover/orders/8', 'r')).toBe(
      'http://127.0.0.1:8233/namespaces/default/workflows/failover%2Forders%2F8/r/history',
    );
    expect(uiLink(undefined, 'default', 'x')).toBeUndefined();
  });
});
