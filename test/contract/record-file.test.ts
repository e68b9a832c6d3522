import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, lstatSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FileConfig } from '../../src/model/config.ts';
import type { OwnedRecord } from '../../src/model/record.ts';
import { openProvider } from '../../src/providers/index.ts';
import type { RecordProvider } from '../../src/providers/provider.ts';
import { query } from '../../src/providers/rfc2136/ask.ts';
import { rdataToText, TYPE } from '../../src/providers/rfc2136/rdata.ts';
import { startBind, ZONE } from '../support/dns-servers.ts';
import { describeWithPart, program } from '../support/part.ts';
import { never, recordContract, wanted } from '../support/record-contract.ts';

const SOA = `${ZONE}\t60 IN SOA ns.${ZONE} hostmaster.${ZONE} 41 60 60 86400 1\n${ZONE}\t60 IN NS ns.${ZONE}\nns.${ZONE}\t60 IN A 127.0.0.1\n`;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'understudy-records-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let counter = 0;
const freshPath = (): string => join(dir, `records-${(counter += 1)}`);
const open = (path: string, format: FileConfig['format'], timeoutMs = 20_000): RecordProvider =>
  openProvider('f', { type: 'file', path, format, zone: ZONE, timeoutMs }, () => {
    throw new Error('a file has no secret');
  });

/** What a person with an editor does to an A record. */
function edit(path: string, format: FileConfig['format'], name: string, values: readonly string[], ttlSeconds: number): void {
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (format === 'zone') {
    const others = text.split('\n').filter((line) => !(line.startsWith(`${name}\t`) && line.includes(' IN A ')));
    writeFileSync(path, [...others.filter((line) => line !== ''), ...values.map((value) => `${name}\t${ttlSeconds} IN A ${value}`), ''].join('\n'));
    return;
  }
  const content = (text === '' ? { version: 1, records: [] } : JSON.parse(text)) as {
    records: { name: string; values: readonly string[]; ttlSeconds: number }[];
  };
  const there = content.records.find((record) => record.name === name);
  if (there === undefined) content.records.push({ name, type: 'A', values, ttlSeconds } as never);
  else Object.assign(there, { values, ttlSeconds });
  writeFileSync(path, JSON.stringify(content));
}

for (const format of ['json', 'zone'] as const) {
  describe(`the file provider, ${format}`, () => {
    let path: string;
    beforeAll(() => {
      path = freshPath();
      if (format === 'zone') writeFileSync(path, SOA);
    });
    recordContract(() => ({
      open: () => open(path, format),
      put: async (name, values, ttl) => edit(path, format, name, values, ttl),
    }));

    it('I8: a file of another form is left as it is, byte by byte', async () => {
      const odd = freshPath();
      const text = format === 'json' ? '{ "version": 2, "records": [] }' : '$TTL 5\n@ SOA ns hostmaster 1 60 60 86400 1\n';
      writeFileSync(odd, text);
      expect(await open(odd, format).read(`x.${ZONE}`, 'A', never)).toMatchObject({ outcome: 'refused', words: expect.stringContaining(odd) });
      expect(await open(odd, format).apply(wanted(), never)).toMatchObject({ outcome: 'refused' });
      expect(readFileSync(odd, 'utf8')).toBe(text);
    });

    it('half a file, as a disk that ran full leaves it, is refused and not replaced', async () => {
      const torn = freshPath();
      await open(torn, format).apply(wanted(), never);
      const text = readFileSync(torn, 'utf8');
      const half = format === 'json' ? text.slice(0, -20) : text.slice(0, text.lastIndexOf('"'));
      writeFileSync(torn, half);
      expect(await open(torn, format).apply(wanted(), never)).toMatchObject({ outcome: 'refused' });
      expect(readFileSync(torn, 'utf8')).toBe(half);
    });

    it('5,000 records in one file: each change keeps the others', async () => {
      const huge = freshPath();
      const others = Array.from({ length: 5000 }, (_none, index): [string, string] => [`h-${index}.${ZONE}`, `10.1.${Math.floor(index / 250)}.${index % 250}`]);
      writeFileSync(
        huge,
        format === 'zone'
          ? others.map(([name, value]) => `${name}\t5 IN A ${value}\n`).join('')
          : JSON.stringify({ version: 1, records: others.map(([name, value]) => ({ name, type: 'A', ttlSeconds: 5, values: [value] })) }),
      );
      const record = wanted();
      expect(await open(huge, format).apply(record, never)).toMatchObject({ outcome: 'applied' });
      expect(await open(huge, format).read(`h-4999.${ZONE}`, 'A', never)).toEqual({
        outcome: 'found',
        found: { state: 'unowned', values: ['10.1.19.249'], ttlSeconds: 5 },
      });
      expect(readFileSync(huge, 'utf8').match(/\bh-\d+/g)).toHaveLength(5000);
    });

    it('one record of 500 addresses', async () => {
      const record = wanted({ values: Array.from({ length: 500 }, (_none, index) => `10.2.${Math.floor(index / 250)}.${index % 250}`) });
      expect(await open(path, format).apply(record, never)).toMatchObject({ outcome: 'applied' });
      expect(await open(path, format).verify(record, never)).toMatchObject({ outcome: 'verified' });
    });

    it('a record that is refused holds up none beside it', async () => {
      const theirs = wanted({ owner: 'default/billing' });
      const ours = wanted();
      await open(path, format).apply(theirs, never);
      const applied = await Promise.all([{ ...theirs, owner: 'default/orders' }, ours].map((record) => open(path, format).apply(record, never)));
      expect(applied.map(({ outcome }) => outcome)).toEqual(['foreign-owner', 'applied']);
    });

    it('I8: a CNAME is not put where other records are, nor another type where a CNAME is', async () => {
      const record = wanted({ type: 'CNAME', values: ['pg-b.example.com.'] });
      edit(path, format, record.name, ['192.0.2.1'], 60);
      expect(await open(path, format).apply(record, never)).toMatchObject({ outcome: 'refused', words: expect.stringContaining('another type') });
      const alias = wanted({ type: 'CNAME', values: ['pg-b.example.com.'] });
      await open(path, format).apply(alias, never);
      expect(await open(path, format).apply({ ...alias, type: 'A', values: ['10.0.0.1'] }, never)).toMatchObject({
        outcome: 'foreign-owner',
        found: { values: ['CNAME pg-b.example.com.'] },
      });
    });
  });
}

describe('the file on the disk', () => {
  it('a directory that is missing is unreachable, and one that is a file too', async () => {
    expect(await open(join(dir, 'no', 'such', 'file'), 'json').apply(wanted(), never)).toMatchObject({ outcome: 'unreachable' });
    expect(await open(join(dir, 'no', 'such', 'file'), 'json').read(`x.${ZONE}`, 'A', never)).toMatchObject({ found: { state: 'absent' } });
    const directory = freshPath();
    mkdirSync(directory);
    expect(await open(directory, 'json').read(`x.${ZONE}`, 'A', never)).toMatchObject({ outcome: 'refused', words: expect.stringContaining('EISDIR') });
  });

  it('a lock that somebody else holds makes it slow, and a holder that is killed gives it free', async () => {
    const path = freshPath();
    const holder = spawn('flock', ['--no-fork', `${path}.lock`, 'cat'], { stdio: 'pipe' });
    holder.stdin.write('.');
    await once(holder.stdout, 'data');
    expect(await open(path, 'json', 100).apply(wanted(), never)).toMatchObject({ outcome: 'slow', words: expect.stringContaining('.lock') });
    const waiting = open(path, 'json').apply(wanted(), never);
    holder.kill('SIGKILL');
    expect(await waiting).toMatchObject({ outcome: 'applied' });
  });

  it('an abort ends the wait for a lock', async () => {
    const path = freshPath();
    const holder = spawn('flock', ['--no-fork', `${path}.lock`, 'cat'], { stdio: 'pipe' });
    holder.stdin.write('.');
    await once(holder.stdout, 'data');
    const abort = new AbortController();
    const waiting = open(path, 'json').apply(wanted(), abort.signal);
    setImmediate(() => abort.abort(new Error('the worker stops')));
    await expect(waiting).rejects.toThrow('the worker stops');
    holder.kill('SIGKILL');
  });

  it('whoever reads it while it changes sees it whole', async () => {
    const path = freshPath();
    const record = wanted();
    await open(path, 'json').apply(record, never);
    let done = false;
    const writing = (async () => {
      for (let epoch = 2; epoch < 30; epoch += 1) await open(path, 'json').apply({ ...record, epoch }, never);
      done = true;
    })();
    const seen = new Set<number>();
    while (!done) {
      seen.add((JSON.parse(readFileSync(path, 'utf8')) as { records: OwnedRecord[] }).records[0]!.epoch);
      await new Promise(setImmediate);
    }
    await writing;
    expect(seen.size).toBeGreaterThan(3);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ version: 1, records: [{ ...record, epoch: 29 }] });
  });

  it('a crash between write and rename leaves the old text, and the next writer goes on', async () => {
    const path = freshPath();
    const record = wanted();
    await open(path, 'json').apply(record, never);
    writeFileSync(`${path}.new`, '{ "vers');
    expect(await open(path, 'json').verify(record, never)).toMatchObject({ outcome: 'verified' });
    expect(await open(path, 'json').apply({ ...record, epoch: 2 }, never)).toMatchObject({ outcome: 'applied' });
    expect(readdirSync(dir).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  it('a link stays a link, and who may read the file stays as it was', async () => {
    const path = freshPath();
    const link = freshPath();
    writeFileSync(path, '');
    chmodSync(path, 0o640);
    symlinkSync(path, link);
    expect(await open(link, 'json').apply(wanted(), never)).toMatchObject({ outcome: 'applied' });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });
});

describeWithPart(program('named', 'bind9'), 'a zone file that BIND serves', (paths) => {
  it('is answered by BIND after a reload, with a higher serial, with comments and other records kept', async () => {
    const path = freshPath();
    writeFileSync(path, `; by hand\n${SOA}`);
    const bind = await startBind(paths, path);
    const ask = async (name: string, type: 'A' | 'SOA' | 'TXT'): Promise<string[]> => {
      const answer = await query(bind.address, name, TYPE[type], undefined, { timeoutMs: 5000, signal: never });
      return answer.outcome === 'answer' ? answer.reply.answer.map(({ rdata }) => rdataToText(TYPE[type], rdata)) : [];
    };
    try {
      const record = wanted({ values: ['10.0.0.7'] });
      expect(await open(path, 'zone').apply(record, never)).toMatchObject({ outcome: 'applied' });
      bind.reload();
      await expect.poll(() => ask(record.name, 'A'), { timeout: 10_000 }).toEqual(['10.0.0.7']);
      expect(await ask(`_understudy.a.${record.name}`, 'TXT')).toEqual(['"v=1 owner=default/orders epoch=1"']);
      expect(await ask(ZONE, 'SOA')).toEqual([expect.stringContaining(' 42 60 60 86400 1')]);
      expect(await ask(`ns.${ZONE}`, 'A')).toEqual(['127.0.0.1']);
      expect(readFileSync(path, 'utf8')).toMatch(/^; by hand\n/);
    } finally {
      await bind.stop();
    }
  });
});
