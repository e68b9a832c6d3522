import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import type { TemporalConfig } from '../../src/model/config.ts';
import { type ConnectOptions, type Connected, connect, resolveTarget } from '../../src/runtime/connection.ts';
import { waitUntil } from '../../src/stage/wait.ts';
import { Authority, OPENSSL } from '../support/certificates.ts';
import { describeWithPart } from '../support/part.ts';
import { SecureTemporal } from '../support/secure-temporal.ts';

const temporal = inject('temporal');
const SERVER = { name: 'temporal', package: 'temporal-cli', find: () => ('missing' in temporal ? undefined : temporal.address) };

describeWithPart([OPENSSL, SERVER], 'a Temporal server that wants a certificate and a key', ({ temporal: target = '' }) => {
  let dir: string;
  let secure: SecureTemporal;
  let authority: Authority;
  let config: TemporalConfig & { tls: NonNullable<TemporalConfig['tls']> };
  const open: Connected[] = [];
  const at = (name: string): string => path.join(dir, name);

  beforeAll(async () => {
    dir = mkdtempSync(path.join(tmpdir(), 'understudy-tls-'));
    authority = new Authority(dir);
    writeFileSync(at('api-key'), 'first-key\n');
    let wanted = 'first-key';
    secure = await SecureTemporal.start({ target, ca: authority.ca, ...authority.issue('server'), apiKey: () => wanted });
    setWanted = (key) => (wanted = key);
    config = { address: secure.address, tls: { ca: authority.ca, ...authority.issue('client', 'client one') }, apiKey: { file: at('api-key') } };
  });
  let setWanted: (key: string) => void;
  afterAll(async () => {
    for (const { connection } of open) await connection.close();
    await secure.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const reach = async (more: Partial<TemporalConfig> = {}, purpose: ConnectOptions['purpose'] = 'agent'): Promise<Connected> => {
    const connected = await connect({ temporal: { ...config, ...more }, purpose, connectTimeoutMs: 1000 });
    open.push(connected);
    return connected;
  };
  const ask = ({ connection }: Connected): Promise<unknown> => connection.withDeadline(Date.now() + 2000, () => connection.workflowService.getSystemInfo({}));

  it.each(['agent', 'cli'] as const)('an %s shows both, by what the configuration names', async (purpose) => {
    secure.callers.clear();
    secure.authorizations.clear();
    await ask(await reach({}, purpose));
    expect([...secure.callers]).toEqual(['client one']);
    expect([...secure.authorizations]).toEqual(['Bearer first-key']);
  });

  it('a worker does, too', async () => {
    secure.callers.clear();
    const { address, options } = resolveTarget(config);
    const { tls, apiKey } = options;
    const connection = await NativeConnection.connect({ address, tls: tls ?? null, apiKey: typeof apiKey === 'function' ? apiKey() : '' });
    await connection.close();
    expect([...secure.callers]).toEqual(['client one']);
  });

  it("so does whoever takes them from Temporal's own environment", () => {
    const { options } = resolveTarget(
      {},
      {
        TEMPORAL_ADDRESS: secure.address,
        TEMPORAL_API_KEY: 'first-key',
        TEMPORAL_TLS_CLIENT_CERT_PATH: config.tls.cert,
        TEMPORAL_TLS_CLIENT_KEY_PATH: config.tls.key,
        TEMPORAL_TLS_SERVER_CA_CERT_PATH: config.tls.ca,
      },
    );
    expect(options).toMatchObject({
      apiKey: 'first-key',
      tls: { clientCertPair: { crt: expect.anything(), key: expect.anything() }, serverRootCACertificate: expect.anything() },
    });
  });

  it('a key of the configuration never goes without TLS, whatever the profile says', () => {
    expect(resolveTarget({ address: 'a:1', apiKey: { env: 'K' } }, { TEMPORAL_TLS: 'false', K: 'k' }).options.tls).toBe(true);
  });

  it('a name other than the address is what the certificate must bear', async () => {
    await ask(await reach({ tls: { ...config.tls, serverName: 'temporal.test' } }));
    await expect(reach({ tls: { ...config.tls, serverName: 'other.test' } })).rejects.toMatchObject({
      code: 'TemporalUnreachable',
      message: expect.stringMatching(/TLS: .*other\.test/),
    });
  });

  it.each<[string, () => Partial<TemporalConfig>, object]>([
    ['no certificate', () => ({ tls: { ca: authority.ca } }), { code: 'TemporalUnreachable', message: expect.stringMatching(/TLS: .*certificate required/i) }],
    [
      'an authority that did not sign it',
      () => ({ tls: { ...config.tls, ca: new Authority(dir, 'stranger').ca } }),
      { code: 'TemporalUnreachable', message: expect.stringMatching(/TLS: .*certificate/) },
    ],
    [
      'a file that is not there',
      () => ({ tls: { ...config.tls, cert: '/nowhere.pem' } }),
      { code: 'ConfigInvalid', message: expect.stringMatching(/temporal\.tls\.cert names \/nowhere\.pem, which cannot be read \(ENOENT\)/) },
    ],
    [
      'a key of another certificate',
      () => ({ tls: { ...config.tls, key: authority.issue('another').key } }),
      { code: 'ConfigInvalid', message: expect.stringMatching(/do not fit each other/) },
    ],
    [
      'a key that the server does not know',
      () => (writeFileSync(at('wrong-key'), 'wrong'), { apiKey: { file: at('wrong-key') } }),
      { code: 'TemporalUnreachable', message: expect.stringMatching(/no such key/) },
    ],
  ])('the reason is told: %s', async (_, make, error) => {
    await expect(reach(make())).rejects.toMatchObject(error);
  });

  it('an API key that was replaced is used at the next call', async () => {
    const connected = await reach();
    setWanted('second-key');
    await expect(ask(connected)).rejects.toThrow(/no such key/);
    writeFileSync(at('api-key'), 'second-key\n');
    await ask(connected);
  });

  it('a certificate that was replaced is shown at the next connection, with no restart', async () => {
    const connected = await reach();
    const fresh = authority.issue('fresh', 'client two');
    copyFileSync(fresh.key, config.tls.key ?? '');
    copyFileSync(fresh.cert, config.tls.cert ?? '');
    await waitUntil(
      'the new certificate to be shown',
      async () => {
        secure.disconnect();
        await ask(connected).catch(() => undefined);
        return secure.callers.has('client two') ? [] : ['the old one is'];
      },
      { limitMs: 20_000, everyMs: 500 },
    );
    await ask(connected);
  });
});
