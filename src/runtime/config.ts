import path from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import type { Config, Credential, GroupConfig, MemberLocal, PostgresConfig, ProviderConfig, SecretRef, TemporalConfig } from '../model/config.ts';
import { ConfigSchema, type RawConfig } from '../model/config-schema.ts';
import { UnderstudyError } from '../model/error.ts';
import type { Durability } from '../model/group.ts';
import { crossCheck } from './config-check.ts';
import { type Finding, findingsOf } from './config-mistakes.ts';
import { type Path, Places, hideControls } from './config-place.ts';
import { MAX_BYTES, MAX_DEPTH, badAlias, isTooDeep, readBounded } from './config-bounds.ts';

/** One mistake in a configuration, with its place. */
export interface Mistake {
  readonly file: string;
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
  /** `groups.orders.lease`; empty for the file as a whole. */
  readonly path: string;
  readonly words: string;
  readonly hint?: string;
  /** The line with a caret below the place, secrets masked. */
  readonly excerpt: string;
}

/**
 * Reads and checks a configuration.
 *
 * @throws UnderstudyError `ConfigInvalid` that lists every mistake with its place; they are in its evidence too
 */
export async function loadConfig(file: string): Promise<Config> {
  const text = await readConfigText(file);
  const answer = checkConfig(text, file);
  if ('config' in answer) return answer.config;
  const count = answer.mistakes.length;
  throw new UnderstudyError('ConfigInvalid', `${file} has ${count === 1 ? 'one mistake' : `${count} mistakes`}:\n\n${printMistakes(answer.mistakes)}`, {
    file,
    mistakes: answer.mistakes,
  });
}

/** @throws UnderstudyError `ConfigInvalid` where it cannot be read, is larger than a configuration may be, or is no text */
export async function readConfigText(file: string): Promise<string> {
  try {
    return await readBounded(file);
  } catch (error) {
    if (error instanceof UnderstudyError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a directory' : `it cannot be read (${code})`;
    throw new UnderstudyError(
      'ConfigInvalid',
      `the configuration ${file} was asked for, and ${why}. Next: name it with --config FILE or UNDERSTUDY_CONFIG.`,
      { file },
      error,
    );
  }
}

/** Checks a configuration's text: the configuration, or every mistake in it, in the order of the text. */
export function checkConfig(text: string, file: string): { config: Config } | { mistakes: Mistake[] } {
  const whole = (words: string, hint: string): { mistakes: Mistake[] } => ({ mistakes: [{ file, line: 1, column: 1, path: '', words, hint, excerpt: '' }] });
  if (text.length > MAX_BYTES) return whole(...TOO_LARGE);
  const lines = new LineCounter();
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, strict: true, logLevel: 'error' });
  // Before anything walks through it.
  if (isTooDeep(doc)) return whole(`more than ${MAX_DEPTH} levels are nested in each other`, 'a configuration has fewer than twelve');
  const places = new Places(doc, lines, text);
  const mistake = (at: { line: number; column: number }, where: string, words: string, hint?: string): Mistake => ({
    file,
    ...at,
    path: where,
    words,
    ...(hint === undefined ? {} : { hint }),
    excerpt: places.excerpt(at),
  });
  const isBroken = !doc.errors.every(({ code }) => code === 'DUPLICATE_KEY');
  const tabs = isBroken ? tabIndents(text) : [];
  const mistakes: Mistake[] = tabs.map((offset) => mistake(places.at(offset), '', 'a tab indents here', 'YAML takes spaces only'));
  for (const error of [...doc.errors, ...doc.warnings]) {
    // What follows a tab is misread, line after line: only the tab is to blame.
    if (tabs[0] !== undefined && error.pos[0] >= tabs[0]) continue;
    const known = YAML_WORDS[error.code];
    mistakes.push(mistake(places.at(error.pos[0]), '', known?.words ?? error.message, known?.hint));
  }
  // A duplicate key leaves the rest readable; after any other error the text does not mean what it seems to.
  const alias = isBroken ? undefined : badAlias(doc);
  if (alias !== undefined) mistakes.push(mistake(places.at(alias.offset), '', alias.words, alias.hint));
  else if (!isBroken) {
    const raw: unknown = doc.toJS() ?? {};
    const parsed = ConfigSchema.safeParse(raw);
    const findings: Finding[] = [...(parsed.success ? [] : findingsOf(parsed.error.issues, raw)), ...crossCheck(raw)];
    if (parsed.success && findings.length === 0 && mistakes.length === 0) return { config: toConfig(parsed.data, path.resolve(file)) };
    for (const { path: where, at, words, hint } of findings.slice(0, MAX_MISTAKES))
      mistakes.push(mistake(places.find(where, at), printPath(where), words, hint));
  }
  return { mistakes: mistakes.sort((a, b) => a.line - b.line || a.column - b.column) };
}

/** Nobody reads more at once, and each is looked up in the text. */
const MAX_MISTAKES = 100;
const TOO_LARGE = [
  `larger than ${MAX_BYTES / 1024} KiB`,
  'name the configuration itself, or divide it: a process needs only the groups that it works for',
] as const;

const YAML_WORDS: Readonly<Record<string, { words: string; hint?: string }>> = {
  DUPLICATE_KEY: { words: 'the key is written twice', hint: 'the second would replace the first: rename one, or join them' },
  MULTIPLE_DOCS: { words: 'a second document begins here', hint: 'one file holds one document: remove the ---' },
};

/** Where a line's indentation has its first tab. */
function tabIndents(text: string): number[] {
  return [...text.matchAll(/^ *\t/gm)].map((match) => match.index + match[0].length - 1);
}

/** `groups.orders.records[0].name` */
function printPath(where: Path): string {
  return where.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? hideControls(step) : `.${hideControls(step)}`)).join('');
}

/** For people: place, path and words of each, the line with a caret below it. */
export function printMistakes(mistakes: readonly Mistake[]): string {
  return mistakes
    .map(
      ({ file, line, column, path: where, words, hint, excerpt }) =>
        `${file}:${line}:${column} ${where === '' ? '' : `${where}: `}${words}\n${excerpt}${hint === undefined ? '' : `\n        ${hint}`}`,
    )
    .join('\n\n');
}

function toConfig(raw: RawConfig, file: string): Config {
  return {
    file,
    temporal: toTemporal(raw.temporal),
    providers: mapValues(raw.providers, toProvider),
    groups: Object.fromEntries(Object.entries(raw.groups).map(([name, group]) => [name, toGroup(name, group)])),
  };
}

function toTemporal({ tls, codec, ...rest }: RawConfig['temporal']): TemporalConfig {
  return {
    ...defined(rest),
    ...(codec === undefined ? {} : { codec: defined(codec) }),
    ...(tls === undefined ? {} : { tls: defined(tls) }),
  };
}

function toProvider({ timeout, ...rest }: RawConfig['providers'][string]): ProviderConfig {
  return { ...defined(rest), zone: rest.zone.toLowerCase(), timeoutMs: timeout };
}

function toGroup(name: string, raw: RawConfig['groups'][string]): GroupConfig {
  const { policy } = raw;
  return {
    spec: {
      name,
      database: raw.database,
      leaseMs: raw.lease,
      members: Object.entries(raw.members).map(([member, { address, dnsName, priority }]) => ({
        name: member,
        ...address,
        ...(dnsName === undefined ? {} : { dnsName: dnsName.toLowerCase() }),
        priority,
      })),
      durability: toDurability(raw.durability),
      policy: {
        mode: policy.mode,
        approval: policy.approval,
        approvalWithinMs: policy.approvalWithin,
        minIntervalMs: policy.minInterval,
        maxPerDay: policy.maxPerDay,
        maxLagBytes: policy.maxLag,
        answerWithinMs: policy.answerWithin,
        restartWithinMs: policy.restartWithin,
        stopWithinMs: policy.stopWithin,
        switchoverMaxLagBytes: policy.switchoverMaxLag,
        hungAfterMs: policy.hungAfter,
      },
      records: raw.records.map((record) => ({ name: record.name.toLowerCase(), type: record.type, ttlSeconds: record.ttl / 1000, provider: record.provider })),
    },
    postgres: toPostgres(raw.postgres),
    local: mapValues(raw.members, ({ dataDir, stateDir, metrics }): MemberLocal => ({
      dataDir,
      stateDir,
      ...(metrics === undefined ? {} : { metrics: metrics.listen }),
    })),
  };
}

function toDurability(raw: RawConfig['groups'][string]['durability']): Durability {
  const written = typeof raw === 'string' ? (raw === 'sync' ? { mode: raw, confirm: 1 } : { mode: raw }) : raw;
  if (written.mode === 'async') return { mode: 'async' };
  const relaxAfterMs = 'relaxAfter' in written ? written.relaxAfter : undefined;
  return { mode: 'sync', confirm: written.confirm, ...(relaxAfterMs === undefined ? {} : { relaxAfterMs }) };
}

function toPostgres({ maxWalKept, superuser, replication, ...rest }: RawConfig['groups'][string]['postgres']): PostgresConfig {
  const { bin, systemUser, tls, ...always } = rest;
  return {
    ...always,
    ...defined({ bin, systemUser }),
    ...(tls === undefined ? {} : { tls: defined(tls) }),
    superuser: toCredential(superuser),
    replication: toCredential(replication),
    maxWalKeptBytes: maxWalKept,
  };
}

function toCredential({ user, password }: { user: string; password?: SecretRef | undefined }): Credential {
  return { user, ...(password === undefined ? {} : { password }) };
}

const mapValues = <A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));

/** Without the keys that have no value, which an optional key of the model may not have. */
function defined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as { [K in keyof T]: Exclude<T[K], undefined> };
}
