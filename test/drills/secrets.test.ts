import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Payload } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { Incident } from '../../src/model/incident.ts';
import { isEncrypted } from '../../src/runtime/codec.ts';
import { signalIfThere } from '../../src/stage/pids.ts';
import { logFileOf } from '../../src/stage/stage-file.ts';
import { statusOf, waitUntilSteady } from '../../src/stage/steady.ts';
import { waitUntil } from '../../src/stage/wait.ts';
import { type Ran, runCli } from '../cli/run-cli.ts';
import { OPENSSL } from '../support/certificates.ts';
import { describeWithPart } from '../support/part.ts';
import { LIMIT_MS, PARTS } from './drill.ts';
import { SecureStage } from './secure-stage.ts';

/** What a person types: no secret, but nothing that others should read in Temporal's database where histories are encrypted. */
const REASON = 'maintenance of rack seventeen';

/** Payloads of a history as it is written to JSON: in base64, metadata and all. */
/** Search attributes are Temporal's to search, and the ids of patches its SDK's. */
const PLAIN = ['indexedFields', 'patch-data'];

function payloadsIn(value: unknown, under = ''): { under: string; payload: Payload }[] {
  if (typeof value !== 'object' || value === null) return [];
  const { metadata, data } = value as { metadata?: Record<string, string>; data?: string };
  if (metadata?.['encoding'] !== undefined) {
    const bytes = Object.fromEntries(Object.entries(metadata).map(([key, text]) => [key, Buffer.from(text, 'base64')]));
    return [{ under, payload: { metadata: bytes, data: Buffer.from(data ?? '', 'base64') } }];
  }
  return Object.entries(value).flatMap(([key, inner]) => payloadsIn(inner, PLAIN.includes(key) ? key : under));
}

describeWithPart([...PARTS, OPENSSL], 'a group with certificates, an API key, encrypted histories and passwords', () => {
  let drill: SecureStage;
  let failed = false;
  const said: { args: string; ran: Ran }[] = [];
  beforeAll(async () => {
    drill = await SecureStage.start();
  }, LIMIT_MS);
  afterEach(({ task }) => {
    failed ||= task.result?.state === 'fail';
  });
  afterAll(() => drill.stop(failed), LIMIT_MS);

  const cli = async (...args: string[]): Promise<Ran> => {
    const ran = await runCli([...args, '--config', drill.stage.layout.config, '--debug'], { cwd: drill.stage.layout.dir });
    said.push({ args: args.join(' '), ran });
    return ran;
  };
  const steady = (): Promise<void> => waitUntilSteady(drill.stage, { limitMs: LIMIT_MS / 2 });

  it(
    'fails over and switches over as any other',
    async () => {
      const { primary } = await statusOf(drill.stage);
      const postmaster = drill.stage.pidsOf(primary ?? '').postmaster;
      if (postmaster === null) throw new Error('the primary does not run');
      signalIfThere(postmaster, 'SIGKILL');
      await waitUntil('another primary', async () => ((await statusOf(drill.stage)).epoch === 2 ? [] : ['epoch 1']), { limitMs: LIMIT_MS / 2 });
      await steady();
      expect(await cli('switchover', 'orders', '--reason', REASON, '--yes')).toMatchObject({ code: 0 });
      await steady();
      expect(await statusOf(drill.stage)).toMatchObject({ phase: 'steady', epoch: 3 });
    },
    LIMIT_MS,
  );

  it('worker, agents, client and command line all showed their certificate and the key', () => {
    expect([...drill.secure.callers]).toEqual(['understudy']);
    expect([...drill.secure.authorizations]).toEqual([`Bearer ${drill.secrets['API key']}`]);
    // The SDK's native core in workers, and gRPC for Node in all the others.
    expect([...drill.secure.clients].toSorted()).toEqual(['grpc-node-js', 'tonic']);
  });

  it(
    'an API key is replaced under a running group: nobody is restarted, and nothing happens',
    async () => {
      const before = drill.stage.members.map(({ name }) => drill.stage.pidsOf(name));
      const key = drill.replaceApiKey();
      const shown = (): string[] => ['grpc-node-js', 'tonic'].filter((client) => !drill.secure.keysOfClients.has(`${client} Bearer ${key}`));
      // A worker shows it when it has something to say: it is asked.
      const missing = async (): Promise<string[]> => {
        await statusOf(drill.stage);
        return shown().map((client) => `${client} shows the old one`);
      };
      await waitUntil('the new key to be shown', missing, { limitMs: LIMIT_MS / 2, everyMs: 250 });
      drill.accepted.shift();
      const { refused } = drill.secure;
      await cli('switchover', 'orders', '--reason', REASON, '--yes');
      await steady();
      expect(await statusOf(drill.stage)).toMatchObject({ phase: 'steady', epoch: 4 });
      expect(drill.secure.refused).toBe(refused);
      expect(drill.stage.members.map(({ name }) => drill.stage.pidsOf(name).agent)).toEqual(before.map(({ agent }) => agent));
    },
    LIMIT_MS,
  );

  it(
    'the command line reads what was encrypted, and replays it',
    async () => {
      const [status, incidents, report, replay, doctor, validate] = [
        await cli('status', 'orders'),
        await cli('incidents', 'orders', '-o', 'json'),
        await cli('report', 'orders'),
        await cli('replay', '--all', '-o', 'json'),
        await cli('doctor'),
        await cli('validate'),
      ];
      expect(status.stdout).toMatch(/steady; primary pg-\w, epoch 4/);
      expect(status.stdout).toMatch(/pg-\w +standby +following/);
      expect((JSON.parse(incidents.stdout) as { incidents: unknown[] }).incidents).toHaveLength(3);
      expect(report.stdout).toContain(REASON);
      expect(JSON.parse(replay.stdout)).toMatchObject({
        differing: 0,
        results: expect.arrayContaining([expect.objectContaining({ elections: [expect.anything()] })]),
      });
      expect(doctor.stdout + doctor.stderr).not.toBe('');
      expect(validate.code).toBe(0);
    },
    LIMIT_MS,
  );

  it('nothing can be read in a history without the key, and everything with it', async () => {
    const histories = await drill.histories();
    expect(histories.map(({ id }) => id).toSorted()).toEqual(['failover/orders/2', 'group/orders', 'switchover/orders/3', 'switchover/orders/4']);
    const { converter } = drill.stage.connected;
    let opened = '';
    for (const { json } of histories) {
      const payloads = payloadsIn(JSON.parse(json));
      expect(payloads.length).toBeGreaterThan(5);
      const own = payloads.filter(({ under }) => under === '').map(({ payload }) => payload);
      expect(own.filter((payload) => !isEncrypted(payload))).toEqual([]);
      opened += JSON.stringify(await decodeArrayFromPayloads(converter, own));
      expect(json).not.toContain(REASON);
    }
    expect(opened).toContain(REASON);
    expect(opened).toContain('127.0.0.1');
    // I9: neither does whoever has the key find a secret.
    expect(drill.secretsIn(opened)).toEqual([]);
    const incident = await drill.stage.connected.client.workflow.getHandle('switchover/orders/3').result();
    expect((incident as Incident).epoch).toBe(3);
  });

  it("Temporal's own database holds nothing of what people typed", () => {
    const { temporalDatabase } = drill.stage.layout;
    for (const file of [temporalDatabase, `${temporalDatabase}-wal`]) {
      const count = (text: string): number => Number(execFileSync('sh', ['-c', 'grep -caF -- "$1" "$2" || true', 'sh', text, file], { encoding: 'utf8' }));
      expect([count(REASON), count(Buffer.from(REASON).toString('base64').slice(0, 30))]).toEqual([0, 0]);
    }
  });

  it('I9: no secret is on a command line, or in the environment of whoever does not need it', () => {
    expect(drill.commandLinesWithSecrets).toEqual([]);
    const environments = drill.stage.members.flatMap(({ name }) => drill.environments(name));
    expect(environments.length).toBeGreaterThan(6);
    expect(environments.flatMap(({ name, text }) => drill.secretsIn(text).map((secret) => `${secret} in ${name}`))).toEqual([]);
  });

  it('the metrics of each member tell how it is', async () => {
    const texts = await Promise.all(drill.metricsPorts.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()));
    expect(texts.filter((text) => /^understudy_role\{[^}]*role="primary"\} 1$/m.test(text))).toHaveLength(1);
    const primary = texts.find((text) => /role="primary"\} 1$/m.test(text)) ?? '';
    expect(primary).toMatch(/^understudy_epoch\{[^}]*\} 4$/m);
    expect(primary).toMatch(/^understudy_lease_left_seconds\{[^}]*\} [12]\.\d+$/m);
    expect(primary).toMatch(/^understudy_lease_renewals_total\{[^}]*answer="ok"\} [1-9]/m);
    expect(primary).toMatch(/^understudy_followers\{[^}]*state="streaming"\} 2$/m);
    expect(primary).toMatch(/^understudy_write_probes_total\{[^}]*outcome="written"\} [1-9]/m);
    expect(texts.join('')).toMatch(/^understudy_fed_ago_seconds\{/m);
    expect(drill.secretsIn(texts.join(''))).toEqual([]);
  });

  it(
    'I9: a support bundle has all that a helper needs, and no secret',
    async () => {
      const folder = drill.folder('bundle');
      const file = path.join(folder, 'b.tar.gz');
      const { logs } = drill.stage.layout;
      const planted = path.join(folder, 'planted.log');
      // What is in no file any more cannot be known; it is of no use any more, either.
      const { superuser = '', 'client key': pem = '', 'replaced API key': _, ...known } = drill.secrets;
      writeFileSync(
        planted,
        [...Object.values(known), `password=${superuser}`, '-----BEGIN PRIVATE KEY-----', pem, '-----END PRIVATE KEY-----', 'the last line'].join('\n'),
      );
      expect(drill.filesWithSecrets(folder)).toEqual([planted]);
      const ran = await cli(
        'support',
        'bundle',
        '--to',
        file,
        '--database-log',
        '-o',
        'json',
        '--log',
        planted,
        ...readdirSync(logs).map((name) => path.join(logs, name)),
      );
      expect(ran).toMatchObject({ code: 0 });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      execFileSync('tar', ['-xzf', file, '-C', folder]);
      const { files, missing } = JSON.parse(ran.stdout) as { files: string[]; missing: unknown[] };
      expect(missing).toEqual([]);
      for (const name of [
        'manifest.json',
        'config.json',
        'doctor.json',
        'status/orders.json',
        'incidents/orders.json',
        'reports/switchover-orders-3.md',
        'histories/group-orders.json',
        'histories/failover-orders-2.json',
        'members/orders-pg-a/agent.json',
        'members/orders-pg-a/guard.json',
        'members/orders-pg-a/guard.log',
        'members/orders-pg-b/postgres.log',
        'logs/pg-a.log',
        'logs/worker.log',
      ])
        expect(files).toContain(name);
      expect(drill.filesWithSecrets(folder)).toEqual([planted]);
      expect(execFileSync('sh', ['-c', `cat ${folder}/*/logs/planted.log`], { encoding: 'utf8' })).toMatch(/the last line$/);
    },
    LIMIT_MS,
  );

  it(
    'I9: no log, no output, no report and no file has a secret but those that are named for it',
    () => {
      expect(said.flatMap(({ args, ran }) => drill.secretsIn(ran.stdout + ran.stderr).map((secret) => `${secret} in ${args}`))).toEqual([]);
      const { dir, secret } = drill.stage.layout;
      const passFiles = drill.stage.members.map(({ name }) => path.join(dir, 'members', name, 'state', 'db', 'passfile'));
      const found = drill.filesWithSecrets(dir).filter((file) => file !== secret && !passFiles.includes(file));
      expect(found).toEqual([]);
      for (const file of [secret, ...passFiles]) expect(statSync(file).mode & 0o777).toBe(0o600);
      // The search finds what is there.
      expect(drill.filesWithSecrets(path.dirname(passFiles[0] ?? ''))).toEqual([passFiles[0]]);
      expect(statSync(logFileOf(drill.stage.layout, 'pg-a')).size).toBeGreaterThan(1000);
    },
    LIMIT_MS,
  );
});
