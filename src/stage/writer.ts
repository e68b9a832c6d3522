import { openSync, writeSync, closeSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { HostPort } from '../model/config.ts';
import { resolveService } from './resolve.ts';
import { monotonicNs } from './writer-log.ts';
import type { WriterLine } from './writer-log.ts';

/**
 * A client as any application has one: it knows a name, a user and a database, and writes. It is independent of Understudy, so that
 * what it sees is what clients see.
 */
export interface WriterOptions {
  /** Stands in each of its rows, so that several writers can share the table. */
  readonly by: string;
  readonly user: string;
  readonly database: string;
  readonly logFile: string;
  /** Between two writes, where the first is done by then. */
  readonly periodMs: number;
  /** Between two attempts to connect. */
  readonly retryMs: number;
  readonly connectTimeoutMs: number;
  /** Left out: it waits for as long as the connection lasts, as a client without a time-out does. */
  readonly queryTimeoutMs?: number;
  readonly target:
    | { readonly find: 'by-name'; readonly dns: HostPort; readonly record: string }
    /** Holds on to one member, whoever is the primary: to see whether a zombie answers. */
    | { readonly find: 'pinned'; readonly server: HostPort };
}

export const WRITES_TABLE = 'understudy_writes';
const TABLE = `create table if not exists ${WRITES_TABLE} (by text not null, id bigint not null, at timestamptz not null default clock_timestamp())`;
const INSERT = `insert into ${WRITES_TABLE} (by, id) values ($1, $2) returning inet_server_port() as port,
  ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline`;
const DNS_TIMEOUT_MS = 100;
const STOP_GRACE_MS = 500;

interface Link {
  readonly client: pg.Client;
  readonly port: number;
  drop(): void;
  /** Set when the connection has ended by itself. */
  broken?: Error;
}

/** Writes until told to stop; the log is complete when this returns. `onFirst` is called at its first acknowledgement. */
export async function runWriter(options: WriterOptions, stop: AbortSignal, onFirst: () => void): Promise<void> {
  const file = openSync(options.logFile, 'a', 0o644);
  const note = (line: WriterLine): void => {
    writeSync(file, `${JSON.stringify(line)}\n`);
  };
  let link: Link | undefined;
  let id = 0;
  let acknowledged = false;
  let tableThere = false;
  let dueMs = performance.now();
  // A write that hangs on a frozen server would hold up the end for ever.
  stop.addEventListener('abort', () => setTimeout(() => link?.drop(), STOP_GRACE_MS), { once: true });
  note({ k: 'start', ns: monotonicNs(), wallMs: Date.now(), by: options.by });
  while (!stop.aborted) {
    if (link === undefined) {
      const startedMs = performance.now();
      try {
        link = await connect(options);
        if (!tableThere && options.target.find === 'by-name') {
          await link.client.query(TABLE);
          tableThere = true;
        }
        note({ k: 'link', ns: monotonicNs(), port: link.port, tookMs: Math.round((performance.now() - startedMs) * 10) / 10 });
      } catch (error) {
        // Every way in which a connection can fail means the same to a client: ask again where the primary is.
        note({ k: 'unlinked', ns: monotonicNs(), words: wordsOf(error) });
        link?.drop();
        link = undefined;
        await pause(options.retryMs - (performance.now() - startedMs), stop);
        continue;
      }
    }
    id += 1;
    const { port } = link;
    note({ k: 'try', ns: monotonicNs(), id, port });
    try {
      if (link.broken !== undefined) throw link.broken;
      const { rows } = await link.client.query<{ port: number; timeline: number }>({ name: 'write', text: INSERT, values: [options.by, id] });
      const [said] = rows;
      note({ k: 'ack', ns: monotonicNs(), id, port: said?.port ?? port, ...(said === undefined ? {} : { timeline: said.timeline }) });
      if (!acknowledged) onFirst();
      acknowledged = true;
    } catch (error) {
      note({ k: 'unknown', ns: monotonicNs(), id, port, words: wordsOf(error) });
      // A pinned one stays with a standby that says no: it must be there when that one should wrongly say yes.
      if (options.target.find === 'by-name' || link.broken !== undefined || !isRefusal(error)) {
        link.drop();
        link = undefined;
        dueMs = performance.now();
        continue;
      }
    }
    dueMs = Math.max(performance.now(), dueMs + options.periodMs);
    await pause(dueMs - performance.now(), stop);
  }
  link?.drop();
  note({ k: 'end', ns: monotonicNs() });
  closeSync(file);
}

async function connect(options: WriterOptions): Promise<Link> {
  const { target } = options;
  const server = target.find === 'pinned' ? target.server : await resolveService(target.dns, target.record, DNS_TIMEOUT_MS);
  // A socket of our own, since only destroying it ends a connection to a server that is frozen.
  const socket = new net.Socket();
  const client = new pg.Client({
    host: server.host,
    port: server.port,
    user: options.user,
    database: options.database,
    application_name: `writer-${options.by}`,
    connectionTimeoutMillis: options.connectTimeoutMs,
    ...(options.queryTimeoutMs === undefined ? {} : { query_timeout: options.queryTimeoutMs }),
    // It is refused by every standby, many times a second: that is its task, and nothing for their logs.
    ...(target.find === 'pinned' ? { options: '-c log_min_messages=panic -c log_min_error_statement=panic' } : {}),
    stream: () => socket,
  });
  const link: Link = { client, port: server.port, drop: () => socket.destroy() };
  client.on('error', (error) => {
    link.broken = error;
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ port: number; recovering: boolean }>('select inet_server_port() as port, pg_is_in_recovery() as recovering');
    const [found] = rows;
    if (found === undefined) throw new Error('the server does not say who it is');
    if (target.find === 'by-name' && found.recovering) throw new Error(`the server at ${server.host}:${server.port} is a standby`);
    return Object.assign(link, { port: found.port });
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** A standby's no: it takes no writes, or the table has not reached it yet. @see PostgreSQL manual, "PostgreSQL Error Codes" */
const REFUSALS: readonly (string | undefined)[] = ['25006', '42P01'];
const isRefusal = (error: unknown): boolean => error instanceof pg.DatabaseError && REFUSALS.includes(error.code);

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? error.message : `${error.message} (${code})`;
}

/** Ends early, and without an error, when told to stop. */
async function pause(forMs: number, stop: AbortSignal): Promise<void> {
  if (forMs <= 0 || stop.aborted) return;
  try {
    await sleep(forMs, undefined, { signal: stop });
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}
