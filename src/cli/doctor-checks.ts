import { existsSync, readFileSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import path from 'node:path';
import { examineFence } from '../guard/fence-kind.ts';
import type { Config } from '../model/config.ts';
import { UnderstudyError } from '../model/error.ts';
import { formatSize } from '../model/units.ts';
import { bootTimeMs } from '../runtime/clock.ts';
import { checkConfig } from '../runtime/config.ts';
import { cacheDirectory } from '../runtime/tools/cache.ts';
import { whyNoFetch } from '../runtime/tools/fetch.ts';
import { findOnPath } from '../runtime/tools/on-path.ts';
import { type PostgresTools, findPostgres, listPostgres } from '../runtime/tools/postgres.ts';
import { findTemporal } from '../runtime/tools/temporal.ts';
import { examineServer } from './doctor-server.ts';
import { formatSpan } from './output.ts';

/** One line of the doctor. `bad`: Understudy cannot work here as asked; `note`: it can, and there is something to know. */
export interface Finding {
  readonly subject: string;
  readonly verdict: 'ok' | 'note' | 'bad';
  readonly words: string;
  readonly next?: string;
}

export interface Examination {
  readonly configFile: string;
  /** Whether somebody named it, so that it must be there. */
  readonly configNamed: boolean;
  readonly measure: boolean;
}

export async function examineMachine({ configFile, configNamed, measure }: Examination): Promise<Finding[]> {
  const { finding, config } = await examineConfig(configFile, configNamed);
  return [
    node(),
    finding,
    await temporalTool(),
    ...(await postgres(config)),
    account(config),
    ...(await examineServer(config?.temporal ?? {}, measure)),
    ...(await lease()),
    clock(),
    await disk(),
  ];
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  return { subject: 'Node', verdict: fits ? 'ok' : 'bad', words: process.version, ...(fits ? {} : { next: 'install Node 20.19 or newer' }) };
}

async function examineConfig(file: string, named: boolean): Promise<{ finding: Finding; config?: Config }> {
  const subject = 'configuration';
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' && !named) return { finding: { subject, verdict: 'note', words: `no ${file} here: what depends on it was not looked at` } };
    return { finding: { subject, verdict: 'bad', words: `${file} cannot be read (${code})`, next: 'name another by --config or UNDERSTUDY_CONFIG' } };
  }
  const answer = checkConfig(text, file);
  if ('config' in answer)
    return { finding: { subject, verdict: 'ok', words: `${file}: ${Object.keys(answer.config.groups).join(', ')}` }, config: answer.config };
  return {
    finding: {
      subject,
      verdict: 'bad',
      words: `${file} has ${answer.mistakes.length === 1 ? 'one mistake' : `${answer.mistakes.length} mistakes`}`,
      next: `understudy validate ${file}`,
    },
  };
}

/** Whether a program that is missing could be fetched; else why not. */
function fetchable(): string | undefined {
  const no = whyNoFetch(process.env);
  if (no !== undefined) return no;
  const installer = ['uv', 'python3', 'pip3'].find((name) => findOnPath(name, process.env) !== undefined);
  return installer === undefined ? 'neither uv, python3 nor pip3 is here to fetch it' : undefined;
}

async function temporalTool(): Promise<Finding> {
  const subject = 'Temporal CLI';
  try {
    const { version, how, path: program } = await findTemporal({ fetch: false });
    return { subject, verdict: 'ok', words: `${version}, ${how}: ${program}` };
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    const no = fetchable();
    // Only a stage on this machine needs it; a member's host does not.
    if (no === undefined) return { subject, verdict: 'note', words: 'not installed; "npm start" and "understudy local up" fetch it' };
    return {
      subject,
      verdict: 'note',
      words: `not found, and ${no}: a stage on this machine cannot start`,
      next: 'install the Temporal CLI, or set UNDERSTUDY_TEMPORAL',
    };
  }
}

async function postgres(config: Config | undefined): Promise<Finding[]> {
  const subject = 'PostgreSQL';
  const bins = new Set(Object.values(config?.groups ?? {}).map((group) => group.postgres.bin));
  if (bins.size === 0) bins.add(undefined);
  const findings: Finding[] = [];
  const used: PostgresTools[] = [];
  for (const bin of bins) {
    try {
      const found = await findPostgres({ fetch: false, bin });
      used.push(found);
      findings.push({ subject, verdict: 'ok', words: `${found.version}, ${found.how}: ${found.binDir}` });
    } catch (error) {
      if (!(error instanceof UnderstudyError)) throw error;
      const no = bin === undefined ? fetchable() : `postgres.bin names ${bin}`;
      if (no === undefined)
        findings.push({
          subject,
          verdict: 'note',
          words: 'not installed; "npm start" and "understudy local up" fetch it',
          next: "for a member's host: install PostgreSQL's server (Debian: apt install postgresql)",
        });
      else
        findings.push({
          subject,
          verdict: 'bad',
          words: `${error.message.split('\n')[0]} (${no})`,
          next: "install PostgreSQL's server (Debian: apt install postgresql), or set UNDERSTUDY_PG_BIN",
        });
    }
  }
  const others = (await listPostgres()).filter(({ binDir }) => !used.some((found) => found.binDir === binDir));
  if (others.length > 0)
    findings.push({ subject, verdict: 'note', words: `also here: ${others.map(({ version, binDir }) => `${version} (${binDir})`).join(', ')}` });
  return findings;
}

/** PostgreSQL refuses to run as root: there must be somebody else to run as. */
function account(config: Config | undefined): Finding {
  const subject = 'account';
  const uid = process.getuid?.();
  if (uid !== 0) return { subject, verdict: 'ok', words: `ordinary user (${uid}); databases run as the same` };
  const accounts = new Set(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => line.split(':')[0]),
  );
  const wanted = Object.values(config?.groups ?? {}).flatMap(({ postgres: { systemUser } }) => (systemUser === undefined ? [] : [systemUser]));
  const missing = wanted.filter((name) => !accounts.has(name));
  if (missing.length > 0)
    return {
      subject,
      verdict: 'bad',
      words: `postgres.systemUser names ${missing.join(', ')}, which is no account here`,
      next: `useradd --system ${missing[0]}`,
    };
  const found = ['postgres', 'nobody'].find((name) => accounts.has(name));
  if (wanted.length === 0 && found === undefined)
    return {
      subject,
      verdict: 'bad',
      words: 'root, and there is neither an account postgres nor nobody for databases to run as',
      next: 'useradd --system postgres',
    };
  return { subject, verdict: 'ok', words: `root; databases run as ${wanted.length > 0 ? [...new Set(wanted)].join(', ') : found}` };
}

/** Who ends a primary whose lease has run out (protocol 1.4). */
async function lease(): Promise<Finding[]> {
  const found = await examineFence();
  const held: Finding =
    found.fence === 'kernel'
      ? { subject: 'lease', verdict: 'ok', words: "held by the kernel: its timer kills the guard, and with it the database's whole pid namespace" }
      : {
          subject: 'lease',
          verdict: 'note',
          words: `held by the guard's own clock only (fence: process), since ${found.fenceWords ?? 'the kernel does not'}`,
          next: 'run the agent as root or with CAP_SYS_ADMIN, on Linux with util-linux',
        };
  const realtime: Finding = found.realtime
    ? { subject: 'priority', verdict: 'ok', words: 'real-time: no commit after the deadline on a busy host' }
    : {
        subject: 'priority',
        verdict: 'note',
        words: 'ordinary: on a busy host a commit may come some milliseconds after the deadline, which the margin covers',
        next: 'run the agent as root, or allow it real-time priority (LimitRTPRIO=10)',
      };
  return [held, realtime];
}

function clock(): Finding {
  const file = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
  const source = existsSync(file) ? readFileSync(file, 'utf8').trim() : 'not told';
  return {
    subject: 'clock',
    verdict: 'ok',
    words: `source ${source}; CLOCK_BOOTTIME counts since ${formatSpan(bootTimeMs())}; no rule compares the clocks of two hosts`,
  };
}

/** Both tools, unpacked. */
const CACHE_BYTES = 200 * 1024 * 1024;

async function disk(): Promise<Finding> {
  const cache = cacheDirectory();
  let place = cache;
  while (!existsSync(place)) place = path.dirname(place);
  const { bavail, bsize } = await statfs(place);
  const freeBytes = bavail * bsize;
  const words = `${formatSize(freeBytes)} free for the cache ${cache}`;
  if (freeBytes >= CACHE_BYTES) return { subject: 'disk', verdict: 'ok', words };
  return { subject: 'disk', verdict: 'note', words: `${words}; fetched tools take ${formatSize(CACHE_BYTES)}`, next: 'make room, or set UNDERSTUDY_CACHE' };
}
